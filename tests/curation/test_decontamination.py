"""Step 5: copies of held-out pairs are caught, on real pairs and tickets; clean ones are not."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llamaduo.curation.decontamination import contaminated
from llamaduo.curation.objection import Objection
from llamaduo.curation.reading import Reading, read_pairs
from llamaduo.curation.settings import CurationSettings
from llamaduo.likeness.compiled import Workers
from llamaduo.records import Pair
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.tasks.words import words
from tests.curation.held_out_oracle import Oracle, Plain, Text
from tests.curation.making import SETTINGS, curated, pair, pair_of_row, verdicts

DATA = Path(__file__).parents[3] / "shared" / "data"
WRAPPED = "Before the meeting on Tuesday read what a colleague sent me. {} Then tell me why."
LONG = " ".join(f"fact{i}" for i in range(30))


def objections(
    raw: Sequence[Pair],
    train: Sequence[Pair],
    held: Sequence[Pair],
    settings: CurationSettings = SETTINGS,
    threads: int = 1,
) -> list[Objection | None]:
    reading = read_pairs(train, (), raw, held, settings.shared_frame)
    with Workers(threads) as workers:
        return contaminated(reading, [p.id for p in held], settings, workers)


def test_the_dropped_pair_names_the_held_out_pair_and_why() -> None:
    held = pair("Name three rivers that flow through the north of Spain")
    copies = {
        held.instruction.upper() + " ...": "instruction resembles a held-out one",
        WRAPPED.format(held.instruction): "instruction contains a held-out one",
    }
    for instruction, why in copies.items():
        copy = pair(instruction, "Ebro")
        for result in (curated([copy], held_out=[held]), curated([copy], final=[held])):
            assert verdicts(result) == [("decontamination", why, held.id)]


def test_a_long_passage_in_common_is_a_copy_even_in_a_long_instruction() -> None:
    passage = " ".join(f"p{i}" for i in range(24))
    held = pair(f"{passage} " + " ".join(f"h{i}" for i in range(200)))
    copy = pair(" ".join(f"s{i}" for i in range(90)) + f" {passage}")
    shorter = pair(" ".join(f"s{i}" for i in range(90)) + f" {passage[:-4]}")
    assert verdicts(curated([copy], held_out=[held])) == [
        ("decontamination", "instruction copies a held-out one", held.id)
    ]
    assert curated([shorter], held_out=[held]).kept == (shorter,)


def test_a_long_response_in_common_decides_with_a_prompt_half_as_like_and_a_short_one_never() -> (
    None
):
    held = [pair("Where is the river Ebro?", "In Spain."), pair("Say all you know of Spain", LONG)]
    label = pair("Which country has the most olive trees?", "In Spain.")
    alone = pair("List every fact from the table of last year", LONG + " indeed")
    answer = pair("Please say now all that you know", LONG + " indeed")
    result = curated([label, alone, answer], held_out=held)
    assert result.kept == (label, alone)
    assert verdicts(result) == [
        ("decontamination", "response resembles a held-out one", held[1].id)
    ]


def test_a_few_held_out_words_in_a_long_text_are_no_copy() -> None:
    held = pair("what is it that we do")
    story = pair("tell me what the matter is and if it was so that all we saw would do " * 2)
    assert curated([story], held_out=[held]).kept == (story,)


def test_a_shared_frame_is_no_resemblance_and_a_copy_inside_it_is() -> None:
    frame = "Classify the message below as praise or complaint and give one word: {}"
    train = [pair(frame.format(m), "praise") for m in ("love it", "well done", "great staff")]
    held = pair(frame.format("nobody answered the phone all day"), "complaint")
    clean = pair(frame.format("the soup was cold"), "complaint")
    copy = pair(frame.format("nobody answered our phone all day"), "complaint")
    result = curated([clean, copy], train, [held])
    assert result.kept == (clean,)
    assert verdicts(result)[0][0] == "decontamination"


def test_an_edit_inside_a_frame_does_not_hide_a_copy() -> None:
    frame = "Classify the message below as praise or complaint and give one word: {} Thank you"
    train = [pair(frame.format(m), "praise") for m in ("love it", "well done", "great staff")]
    held = pair(frame.format("nobody answered the phone all day"), "complaint")
    edits = held.instruction.replace("message", "sentence").replace("one", "your")
    assert verdicts(curated([pair(edits)], train, [held]))[0][0] == "decontamination"


def test_what_several_train_prompts_say_is_no_evidence_of_having_seen_another() -> None:
    """Two tickets with the same phrases, of which the train split has many, and other numbers."""
    ticket = "{} here, {} the lamp flickers {} please hurry {}"
    names, openers = ("Ana", "Bo", "Cy", "Di", "Ed", "Fay"), ("hello", "good day", "dear all")
    train = [
        pair(ticket.format(names[i % 6], openers[i % 3], 100 + i, f"t{i % 40}")) for i in range(120)
    ]
    held = [pair(ticket.format("Ana", "hello", 900, "t7")), pair("Water the zinnias before noon")]
    clean = pair(ticket.format("Ana", "hello", 901, "t8"))
    copy = pair("Water the zinnias before tea")
    found = objections([clean, copy, held[0]], train, held)
    assert [objection and objection.lost_to for objection in found] == [
        None,
        held[1].id,
        held[0].id,
    ]


def ticket(text: str) -> Pair:
    return pair(f"Ticket from {text}\n\nCategory and priority?")


HELD_TICKET = "Femi: Hi. We miss more colour themes, #653. App runs well. Very urgent."
EDITED_TICKET = "late, Hi. We miss more colour themes, App runs well. Very urgent."


def test_closer_than_train_prompts_are_to_each_other_is_a_sign_that_needs_fewer_words() -> None:
    """The edit took both words that no other ticket has, so the rest could be chance. But of
    8,000 pairs of train tickets none is so alike."""
    train = [pair_of_row(row) for row in tickets(128, 4)]
    held = [ticket(HELD_TICKET), *(pair_of_row(row) for row in tickets(47, 5))]
    copy = ticket(EDITED_TICKET)
    assert [o and o.lost_to for o in objections([copy], train, held)] == [held[0].id]


def test_where_train_prompts_are_as_close_to_each_other_it_is_no_sign() -> None:
    words = [f"{HELD_TICKET[:-12]} {kind} {part}." for kind in "abcdefgh" for part in "ijklmnop"]
    train = [ticket(text) for text in words] + [pair_of_row(row) for row in tickets(64, 4)]
    held = [ticket(HELD_TICKET), *(pair_of_row(row) for row in tickets(47, 5))]
    assert objections([ticket(EDITED_TICKET)], train, held) == [None]


def test_the_same_train_prompt_again_does_not_hide_a_copy() -> None:
    train = [pair_of_row(row) for row in tickets(128, 4)]
    held = [ticket(HELD_TICKET), *(pair_of_row(row) for row in tickets(47, 5))]
    assert objections([ticket(EDITED_TICKET)], [*train, *train], held) != [None]


def test_words_outside_frames_that_were_edited_do_not_hide_a_copy_in_a_task_with_frames() -> None:
    train = [pair_of_row(row) for row in tickets(128, 16)]
    held = [pair_of_row(row) for row in tickets(176, 16)[128:]]
    instruction = next(p.instruction for p in held if "138" in p.instruction)
    copy = pair(instruction.replace("Wei:", "").replace("menu", "yesterday"), "other")
    assert objections([copy], train, held) != [None]


def test_the_pair_named_is_the_one_that_ours_shares_most_with_and_the_earliest_of_equals() -> None:
    most = pair("Name three rivers that flow through the north of Spain")
    less = pair("Name three towns that lie along the north of Spain")
    again = pair(most.instruction, "Ebro, Duero, Sil")
    raw = [pair("Name three rivers that flow through the north of Portugal")]
    for held, named in (((less, most), most), ((less, again, most), again)):
        assert [o and o.lost_to for o in objections(raw, (), held)] == [named.id]


# --- equal to brute force -------------------------------------------------------------------

WORDS = st.sampled_from([*"abcdefgh", "zwei", "三", "δ"])
SENTENCES = st.lists(WORDS, max_size=14).map(" ".join)
LONG_TEXTS = st.integers(0, 50).map(lambda n: " ".join(f"{'ab'[i % 2]}{i % 37}" for i in range(n)))
FRAMES = st.sampled_from(["{}", "say it now: {}", "say it now: {} in the end", "{} {}"])


@st.composite
def pairs_of(draw: st.DrawFn) -> Pair:
    text, response = draw(SENTENCES), draw(st.one_of(SENTENCES, LONG_TEXTS))
    return pair(draw(FRAMES).format(text, draw(SENTENCES)), response)


def plain(reading: Reading) -> list[Plain]:
    """The rows of ``reading`` in words."""
    sides = []
    for field in (reading.instruction, reading.response):
        names = [reading.vocabulary.word(int(word)) for word in field.whole.words]
        ends = field.whole.starts.tolist()
        sides.append(
            [Text(tuple(names[a:b]), tuple(field.framed[a:b].tolist())) for a, b in pairwise(ends)]
        )
    return [Plain(prompt, response) for prompt, response in zip(*sides, strict=True)]


SIGNS = {
    "instruction resembles a held-out one": "like",
    "instruction contains a held-out one": "contains",
    "instruction copies a held-out one": "copies",
    "response resembles a held-out one": "response",
}


@settings(max_examples=120, deadline=None)
@given(
    st.lists(pairs_of(), max_size=8),
    st.lists(pairs_of(), min_size=1, max_size=6),
    st.lists(pairs_of(), min_size=1, max_size=10),
    st.sampled_from([0.5, 0.6, 0.7, 0.9, 1.0]),
    st.sampled_from([2, 4, 8]),
)
@example([], [pair("", ""), pair("?!", "?!")], [pair("", ""), pair("?!", "?!")], 0.7, 2)
def test_equal_to_comparing_everything_with_everything(
    train: list[Pair], held: list[Pair], raw: list[Pair], limit: float, run: int
) -> None:
    dials = CurationSettings(contamination=limit, contamination_ngram=run)
    rows = plain(read_pairs(train, (), raw, held, dials.shared_frame))
    first = len(train) + len(raw)
    oracle = Oracle(rows[: len(train)], rows[first:], Fraction(str(limit)), run)
    expected = [oracle.verdict(ours) for ours in rows[len(train) : first]]
    for threads in (1, 3):
        found = objections(raw, train, held, dials, threads)
        assert expected == [
            objection and (SIGNS[objection.reason.partition(" (")[0]], _number(objection, held))
            for objection in found
        ]


@pytest.mark.parametrize("limit", [0.5, 0.7, 0.9])
def test_equal_to_comparing_everything_on_edited_tickets(limit: float) -> None:
    """Some of them are convicted because so few train prompts are as close to each other."""
    drawn, chance = [pair_of_row(row) for row in tickets(236, 4)], random.Random(4)
    train, held, fresh = drawn[:128], drawn[128:176], drawn[176:]
    vocabulary = sorted({word for p in train for word in words(p.instruction)})
    copies = [
        pair(edited(p.instruction, share, chance, vocabulary), "other")
        for share in (0.1, 0.2)
        for p in held
    ]
    raw, dials = [*copies, *fresh], CurationSettings(contamination=limit)
    rows = plain(read_pairs(train, (), raw, held, dials.shared_frame))
    oracle = Oracle(rows[:128], rows[-48:], Fraction(str(limit)), dials.contamination_ngram)
    expected = [oracle.verdict(ours) for ours in rows[128:-48]]
    found = objections(raw, train, held, dials)
    assert expected == [o and (SIGNS[o.reason.partition(" (")[0]], _number(o, held)) for o in found]


def _number(objection: Objection, held: Sequence[Pair]) -> int:
    return [p.id for p in held].index(objection.lost_to or "")


def test_a_pair_is_judged_by_itself() -> None:
    rows = [pair_of_row(row) for row in tickets(160, 5)]
    train, held, raw = rows[:48], rows[48:72], rows[60:]
    together = objections(raw, train, held, threads=2)
    assert together == [objections([p], train, held)[0] for p in raw]
    assert [o.lost_to for o in together[:12] if o] == [p.id for p in raw[:12]]


def test_texts_of_sixty_thousand_words() -> None:
    held = pair(" ".join(f"h{i % 5000}" for i in range(60_000)))
    other = pair(" ".join(f"s{i % 5000}" for i in range(60_000)))
    found = objections([pair(held.instruction + " and more"), other], (), [held])
    assert [o and o.lost_to for o in found] == [held.id, None]


# --- planted copies and clean pairs ---------------------------------------------------------

REWRITTEN = ("audiobook", "sudoku")
"""Prompts that the data has twice or three times over, reworded: rightly taken for copies."""


def real_pairs(name: str) -> list[Pair]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    pairs = [pair_of_row(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    random.Random(1).shuffle(pairs)
    return pairs


def edited(text: str, share: float, chance: random.Random, vocabulary: list[str]) -> str:
    """``text`` with a share of its words replaced, removed or followed by another."""
    tokens = words(text)
    for i in chance.sample(range(len(tokens)), round(share * len(tokens))):
        other = chance.choice(vocabulary)
        tokens[i] = chance.choice([other, "", f"{tokens[i]} {other}"])
    return " ".join(tokens)


@pytest.mark.parametrize("name", ["no_robots_classify.jsonl", "no_robots_coding.jsonl"])
def test_planted_copies_of_real_pairs_are_caught(name: str) -> None:
    pairs = real_pairs(name)
    half = len(pairs) // 2
    caught = recalls(pairs[:half], pairs[half:])
    assert caught["verbatim"] == caught["embedded"] == 1
    assert caught["0.1"] >= 0.99
    assert caught["0.2"] >= 0.97


def test_planted_copies_of_tickets_are_caught() -> None:
    rows = [pair_of_row(row) for row in tickets(600, 4)]
    caught = recalls(rows[:400], rows[400:])
    assert caught["verbatim"] == caught["embedded"] == 1
    assert caught["0.1"] >= 0.985
    assert caught["0.2"] >= 0.95


def recalls(train: list[Pair], held: list[Pair]) -> dict[str, float]:
    """For each way of planting copies of ``held``, the share of them that is caught."""
    chance = random.Random(2)
    vocabulary = sorted({word for p in train for word in words(p.instruction)})
    caught = {}
    for plant in ("verbatim", "embedded", "0.1", "0.2"):
        copies = [pair(_planted(plant, p, train, chance, vocabulary), "other") for p in held]
        found = objections(copies, train, held)
        caught[plant] = sum(objection is not None for objection in found) / len(held)
    return caught


def _planted(
    plant: str, held: Pair, train: list[Pair], chance: random.Random, vocabulary: list[str]
) -> str:
    if plant == "verbatim":
        return held.instruction
    if plant == "embedded":
        before, after = (chance.choice(train).instruction[:400] for _ in range(2))
        return f"{before}\n{held.instruction}\n{after}"
    return edited(held.instruction, float(plant), chance, vocabulary)


@pytest.mark.parametrize("name", ["no_robots_classify.jsonl", "no_robots_coding.jsonl"])
def test_clean_real_pairs_are_not_taken_for_copies(name: str) -> None:
    pairs = real_pairs(name)
    half = len(pairs) // 2
    train, held = pairs[:half], pairs[half:]
    found = zip(train, objections(train, train, held), strict=True)
    flagged = [p for p, objection in found if objection is not None]
    clean = [p for p in flagged if not any(mark in p.instruction.lower() for mark in REWRITTEN)]
    assert not clean


def test_clean_tickets_are_hardly_ever_taken_for_copies() -> None:
    taken = 0
    for seed in range(5):
        rows = [pair_of_row(row) for row in tickets(1600, seed)]
        found = objections(rows[600:], rows[:400], rows[400:600])
        taken += sum(objection is not None for objection in found)
    assert taken <= 0.004 * 5000
