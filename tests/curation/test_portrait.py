"""The portrait: what it measures, what it warns of, and that chance alone does not make it warn."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.curation.chance import alike, beyond_chance, largest_rise, moved
from llamaduo.curation.diversity import ngrams
from llamaduo.curation.portrait import portray
from llamaduo.curation.settings import CurationSettings
from llamaduo.curation.shifts import family_shift, templates
from llamaduo.curation.sides import OTHER_LABEL, spaced
from llamaduo.likeness.texts import Vocabulary
from llamaduo.records import Pair, Portrait, TokenStatistics
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.storage.jsonl import read_record, write_record
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import pair, pair_of_row

FREE = TaskSettings()
TRIAGE = TaskSettings(kind="classification")
WORDS = [f"{a}{b}{c}" for a in "bdgklmnprst" for b in "aeiou" for c in "bdgklmnprst"]
TWOS = list(pairwise(WORDS))


def prose(count: int, seed: int) -> list[Pair]:
    """Pairs of random words: lengths vary a lot, one response in twenty refuses."""
    chance = random.Random(seed)

    def text(most: int) -> str:
        return " ".join(chance.choices(WORDS, k=min(most, int(8 * chance.paretovariate(1.5)))))

    refusal = "As an AI language model, I can't help with that."
    return [pair(text(60), refusal if chance.random() < 0.05 else text(90)) for _ in range(count)]


def triage(count: int, seed: int) -> list[Pair]:
    return [pair_of_row(row) for row in tickets(count, seed)]


def warnings(train: Sequence[Pair], synthetic: Sequence[Pair], task: TaskSettings) -> list[str]:
    return list(portray(train, synthetic, task=task).warnings)


# --- what it measures ---------------------------------------------------------------------


def test_labels_are_counted_where_the_task_has_a_closed_set() -> None:
    task = TaskSettings(kind="classification", labels=("yes", "no", "maybe"))
    train = [pair("a", "yes"), pair("b", " no "), pair("c", "yes")]
    shown = portray(train, [pair("d", "no"), pair("e", "Perhaps")], task=task)
    assert shown.train.labels == {"maybe": 0, "no": 1, "yes": 2}
    assert shown.synthetic.labels == {"maybe": 0, "no": 1, "yes": 0, OTHER_LABEL: 1}
    assert portray(train, train, task=FREE).train.labels is None


def test_lengths_are_in_words_or_in_what_a_tokenizer_counts() -> None:
    train = [pair("one two", "three"), pair("one two three four", "five six seven")]
    side = portray(train, train, task=FREE).train
    assert side.lengths == TokenStatistics(pairs=2, shortest=3, longest=7, mean=5.0, deviation=2.0)
    assert side.response.lengths == TokenStatistics(
        pairs=2, shortest=1, longest=3, mean=2.0, deviation=1.0
    )
    counted = portray(train, train, task=FREE, count=lambda texts: [len(t) for t in texts])
    assert counted.unit == "tokens"
    assert counted.synthetic.instruction.lengths == TokenStatistics(
        pairs=2, shortest=7, longest=18, mean=12.5, deviation=5.5
    )


def test_scripts_and_refusals_are_counted() -> None:
    refusal = "I'm sorry, but I can't help with that."
    side = portray([pair("где?", refusal), pair("where?", "here")], [], task=FREE).train
    assert side.instruction.scripts == {"cyrillic": 1, "latin": 1}
    assert side.instruction.languages is None
    assert side.refusals == 1


def test_distinct_is_taken_over_equally_many_words_of_both_sides() -> None:
    few, many = prose(60, 1), prose(900, 2)
    shown = portray(few, many, task=FREE)
    for ours, theirs in (
        (shown.train.instruction, shown.synthetic.instruction),
        (shown.train.response, shown.synthetic.response),
    ):
        assert ours.distinct_over == theirs.distinct_over
        for before, now in zip(ours.distinct, theirs.distinct, strict=True):
            assert before is not None
            assert now == pytest.approx(before, rel=0.15)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=6), st.integers(1, 3))
def test_distinct_of_all_ngrams_is_what_counting_them_gives(
    texts: list[list[str]], size: int
) -> None:
    read = Vocabulary().read([" ".join(words) for words in texts])
    grams = [tuple(t[i : i + size]) for t in texts for i in range(len(t) - size + 1)]
    found = ngrams(read, read, size, np.random.default_rng(0))
    if not grams:
        assert found is None
    else:
        assert found is not None
        assert found.over == len(grams)
        assert found.distinct() == (len(set(grams)) / len(grams),) * 2


def test_the_largest_families_are_shown_with_an_example() -> None:
    train = [pair(f"name {n} rivers of {place}") for n, place in ((3, "Asia"), (4, "Spain"))]
    haikus = [pair(f"write a haiku about {topic}") for topic in ("rain", "snow", "tea", "bread")]
    shown = portray([*train, *prose(3, 3)], [*haikus, *train[:1]], task=FREE)
    assert [(f.train, f.synthetic) for f in shown.families] == [(0.0, 0.8), (0.4, 0.2)]
    assert shown.families[0].example.startswith("write a haiku about")
    assert shown.synthetic.templates == pytest.approx(10 / 6)


def test_what_the_train_prompts_share_makes_no_family() -> None:
    shown = portray(triage(128, 1), triage(300, 2), task=TRIAGE)
    assert all(family.synthetic < 0.05 for family in shown.families)


def test_templates_do_not_depend_on_how_many_pairs_there_are() -> None:
    assert templates(np.array([2, 2, 0])) == pytest.approx(3)
    assert templates(np.array([5000, 5000, 0])) == pytest.approx(2, rel=0.001)
    assert templates(np.array([0, 0, 9])) is None
    assert templates(np.array([0])) is None
    assert alike(np.array([1, 1, 7])) == 0


def test_the_same_pairs_give_the_same_portrait_and_it_survives_json(tmp_path: Path) -> None:
    train, synthetic = triage(40, 1), triage(90, 2)
    shown = portray(train, synthetic, task=TRIAGE, seed=3)
    assert shown == portray(train, synthetic, task=TRIAGE, seed=3)
    write_record(tmp_path / "portrait.json", shown)
    assert read_record(tmp_path / "portrait.json", Portrait) == shown


def test_a_side_may_be_empty() -> None:
    for train, synthetic in (([], triage(5, 1)), (triage(5, 1), []), ([], [])):
        shown = portray(train, synthetic, task=TRIAGE)
        assert not shown.warnings
        assert (shown.train.lengths is None) == (not train)
        assert shown.synthetic.instruction.distinct == (None, None, None)


def test_a_sample_is_evenly_spaced() -> None:
    assert list(spaced(3, 5)) == [0, 1, 2]
    assert list(spaced(10, 4)) == [0, 2, 5, 7]


# --- what it warns of ---------------------------------------------------------------------


def test_one_template_takes_over() -> None:
    haikus = [pair(f"write a haiku about {a} {b}", f"{b} {a}") for a, b in TWOS[:160]]
    found = warnings(prose(200, 1), [*prose(240, 2), *haikus], FREE)
    assert found[0].startswith(
        "One template has 40% of the synthetic pairs (train: 0%): 'write a haiku about "
    )
    assert "Set curation.max_per_family" in found[0]


def test_a_frame_of_the_train_split_takes_over() -> None:
    """Outside the frame these have nothing in common, so all their words must be looked at."""
    framed = [pair(f"please tell me in short words about {word}") for word in WORDS]
    found = warnings([*prose(180, 1), *framed[:20]], [*prose(100, 2), *framed[20:320]], FREE)
    one = "One template has 75% of the synthetic pairs (train: 10%): 'please tell me in short"
    (told,) = [text for text in found if text.startswith(one)]
    assert told.endswith("'. Give synthesis more varied seeds."), "no cap counts a frame"


def test_few_templates_have_all_pairs() -> None:
    chance = random.Random(1)
    moulds = [" ".join(chance.choices(WORDS, k=8)) for _ in range(20)]
    raw = [pair(" ".join([moulds[i % 20], *chance.choices(WORDS, k=3)])) for i in range(600)]
    found = warnings(prose(200, 1), raw, FREE)
    assert any(
        text.startswith("The synthetic pairs come from few templates: as from 2") for text in found
    )


def test_labels_shift_and_vanish() -> None:
    def answers(**uses: int) -> list[Pair]:
        labels = [label for label, n in uses.items() for _ in range(n)]
        asked = prose(len(labels), len(uses))
        return [pair(p.instruction, label) for p, label in zip(asked, labels, strict=True)]

    found = warnings(answers(bug=40, login=40, idea=20), answers(bug=150, login=50), TRIAGE)
    shifted, gone = found
    assert shifted == (
        "The labels have shifted, bug most: 75% of the synthetic pairs (train: 40%). "
        "Set curation.max_per_label in a new run, or give synthesis more varied seeds."
    )
    assert gone == (
        "No synthetic pair has the label idea (train: 20%). "
        "Look among the dropped pairs for why, or add train pairs that have it."
    )


def test_lengths_shift() -> None:
    longer = [pair(f"{p.instruction} {p.instruction} {p.instruction}") for p in prose(200, 1)]
    found = warnings([pair(p.instruction) for p in prose(200, 2)], longer, FREE)
    assert found[0].startswith("The synthetic instructions are longer than the train split's: ")


def test_lengths_of_labels_are_no_matter_of_their_own() -> None:
    asked = prose(400, 1)
    answers = ["yes", "by no means ever"] * 100 + ["by no means ever"] * 200
    pairs = [pair(p.instruction, answer) for p, answer in zip(asked, answers, strict=True)]
    found = warnings(pairs[:200], pairs[200:], TRIAGE)
    assert [text.partition(" (")[0] for text in found] == [
        "The labels have shifted, by no means ever most: 100% of the synthetic pairs",
        "No synthetic pair has the label yes",
    ]


def test_another_script_and_refusals() -> None:
    synthetic = [
        *prose(150, 2),
        *(pair(f"{w} {v}", "I cannot assist with that.") for w, v in TWOS[:50]),
        *(pair(f"где {w}", "здесь, недалеко") for w in "абвгдежзиклмнопрстуфхцчшщэюя"),
    ]
    found = warnings(prose(200, 1), synthetic, FREE)
    script = "The script of the responses has shifted, cyrillic most: 12%"
    assert any(text.startswith(script) for text in found)
    assert any("refuse or speak as an AI (train: " in text for text in found)


def test_another_language() -> None:
    def stays(sentence: str, count: int) -> list[Pair]:
        names = permutations(("Anna", "Peter", "Maria", "Paul", "Laura", "Simon", "Eva"), 3)
        asked = list(names)[:count]
        return [pair(" ".join(names), sentence.format(*names)) for names in asked]

    english = stays("Mrs {} will be staying with {} and {} until the end of the summer.", 120)
    german = stays("Frau {} wohnt bis zum Ende des Sommers mit {} und {} in der Stadt.", 40)
    told = CurationSettings(languages=True)
    shown = portray(english[:60], [*english[60:], *german], task=FREE, settings=told)
    assert shown.train.response.languages is not None
    assert shown.synthetic.response.languages is not None
    assert shown.train.response.languages.keys() <= {"en", "latin"}  # latin: not sure
    assert shown.synthetic.response.languages["de"] >= 30
    start = "The language of the responses has shifted, de most: "
    (warning,) = [text for text in shown.warnings if text.startswith(start)]
    assert warning.endswith(" Name the language in task.topic."), "curation.languages is on already"


def test_wording_that_repeats_itself() -> None:
    chance = random.Random(4)
    dull = [pair(" ".join(chance.choices(WORDS[:12], k=12)), "fine") for _ in range(200)]
    varied = [pair(" ".join(chance.choices(WORDS, k=12)), "fine") for _ in range(200)]
    found = warnings(varied, dull, FREE)
    assert any(
        text.startswith("The synthetic instructions repeat themselves: distinct-1 is 0.01")
        for text in found
    )
    assert not warnings(varied[:100], varied[100:], FREE)


# --- and not by chance --------------------------------------------------------------------


def test_few_pairs_are_no_evidence() -> None:
    odd = [pair("где это?", "As an AI, I rest. " * 9)] * 3
    assert not warnings(prose(3, 1), odd, FREE)


@pytest.mark.parametrize("sizes", [(8, 30), (60, 60), (200, 40)])
def test_samples_of_one_distribution_hardly_ever_pass_for_two(sizes: tuple[int, int]) -> None:
    """1,500 pairs of samples, each with a chance of 1 in 1,000."""
    random = np.random.default_rng(1)
    of_kind = random.dirichlet([0.3] * 12, size=1500)
    for measure in (moved, largest_rise):
        alarms = 0
        for kinds in of_kind:
            ours, theirs = (random.multinomial(size, kinds) for size in sizes)
            alarms += beyond_chance(ours, theirs, measure, random)
        assert alarms <= 6


@pytest.mark.parametrize("make", [prose, triage])
def test_halves_of_the_same_data_bring_no_warning(make: Callable[[int, int], list[Pair]]) -> None:
    data = make(400, 1)
    task = TRIAGE if make is triage else FREE
    alarms = 0
    for seed in range(25):
        drawn = random.Random(seed).sample(data, 150)
        alarms += bool(warnings(drawn[:50], drawn[50:], task))
    assert alarms <= 1


@pytest.mark.proof
@pytest.mark.parametrize("make", [prose, triage])
def test_many_halves_of_the_same_data_bring_few_warnings(
    make: Callable[[int, int], list[Pair]],
) -> None:
    data = make(1500, 2)
    task = TRIAGE if make is triage else FREE
    alarms = 0
    for seed in range(1000):
        ours, theirs = ((30, 100), (100, 30), (128, 256))[seed % 3]
        drawn = random.Random(seed).sample(data, ours + theirs)
        alarms += bool(warnings(drawn[:ours], drawn[ours:], task))
    assert alarms <= 20


def test_no_family_no_warning() -> None:
    none = np.array([30])
    assert not list(family_shift([], none, none, np.random.default_rng(0), framed=False))
