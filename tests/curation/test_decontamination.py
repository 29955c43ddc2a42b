"""Step 5: copies of held-out pairs are caught, on real pairs too; clean ones are not."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from llamaduo.curation.decontamination import Decontamination
from llamaduo.curation.reading import reader_of
from llamaduo.records import Pair
from llamaduo.tasks.words import words
from tests.curation.making import SETTINGS, curated, pair, pair_of_row, verdicts

DATA = Path(__file__).parents[3] / "shared" / "data"
WRAPPED = "Before the meeting on Tuesday read what a colleague sent me. {} Then tell me why."
LONG = " ".join(f"fact{i}" for i in range(30))


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


def test_a_short_response_in_common_decides_nothing_and_a_long_one_does() -> None:
    held = [pair("Where is the river Ebro?", "In Spain."), pair("Say what you know", LONG)]
    label = pair("Which country has the most olive trees?", "In Spain.")
    answer = pair("List every fact from the table of last year", LONG + " indeed")
    result = curated([label, answer], held_out=held)
    assert result.kept == (label,)
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


# --- real pairs ---------------------------------------------------------------------------

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
    train, held = pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]
    chance = random.Random(2)
    vocabulary = sorted({word for p in train for word in words(p.instruction)})
    reader = reader_of(train, SETTINGS.shared_frame)
    step = Decontamination([reader.read(p) for p in held], SETTINGS)

    def caught(plant: str) -> float:
        planted = [pair(_planted(plant, p, train, chance, vocabulary), "other") for p in held]
        return sum(step.objection(reader.read(p)) is not None for p in planted) / len(held)

    assert caught("verbatim") == 1
    assert caught("embedded") == 1
    assert caught("0.1") >= 0.99
    assert caught("0.2") >= 0.97


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
    reader = reader_of(train, SETTINGS.shared_frame)
    step = Decontamination([reader.read(p) for p in held], SETTINGS)
    flagged = [p for p in train if step.objection(reader.read(p)) is not None]
    clean = [p for p in flagged if not any(mark in p.instruction.lower() for mark in REWRITTEN)]
    assert len(clean) <= 0.01 * half
