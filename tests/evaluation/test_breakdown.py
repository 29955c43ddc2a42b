"""Scores in slices, the weakest first, and the confusion matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.breakdown import MOST_SLICES, NO_LABEL, OTHERS, break_down
from llamaduo.records import Breakdown, Pair, Response, Slice
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import pair, response

SPAM = TaskSettings(kind="classification", labels=("spam", "ham", "other"))
FREE = TaskSettings()


def first_word(text: str) -> str:
    return text.split(maxsplit=1)[0]


def broken_down(
    pairs: Sequence[Pair],
    responses: Sequence[Response],
    precision: Sequence[float] = (),
    task: TaskSettings = FREE,
) -> Breakdown:
    panel = {r.id: {"precision": p} for r, p in zip(responses, precision, strict=False)}
    return break_down(responses, pairs, panel, task, first_word)


def names(found: Breakdown, by: str) -> list[str]:
    return [one.name for one in found.slices if one.by == by]


def named(found: Breakdown, name: str) -> Slice:
    return next(one for one in found.slices if one.name == name)


# --- slices -------------------------------------------------------------------------------


def test_the_weakest_slice_of_each_kind_is_first() -> None:
    pairs = [pair("en one", "spam"), pair("de two three", "ham"), pair("fr four five six", "spam")]
    responses = [response(one, text=one.response) for one in pairs]
    found = broken_down(pairs, responses, (50, 90, 20), SPAM)
    assert names(found, "label") == ["spam", "ham"]
    assert names(found, "language") == ["fr", "en", "de"]
    assert names(found, "length") == ["4 words", "2 words", "3 words"]
    assert [one.by for one in found.slices] == ["label"] * 2 + ["language"] * 3 + ["length"] * 3


def test_among_equals_the_first_free_metric_decides() -> None:
    pairs = [pair("en one", "yes"), pair("de one", "yes")]
    responses = [response(pairs[0], text="yes"), response(pairs[1], text="no")]
    assert names(broken_down(pairs, responses, (50, 50)), "language") == ["de", "en"]
    assert names(broken_down(pairs, responses), "language") == ["de", "en"]


def test_what_nobody_judged_comes_after_what_somebody_did() -> None:
    pairs = [pair("en one"), pair("de one")]
    found = broken_down(pairs, [response(one) for one in pairs[::-1]], (99,))
    assert names(found, "language") == ["de", "en"]
    assert named(found, "en").measures["precision"].value is None


def test_a_slice_has_the_panels_metrics_and_the_free_ones() -> None:
    pairs = [pair("en one", "spam"), pair("en two", "ham"), pair("de three", "ham")]
    responses = [response(one, k, "ham") for one in pairs for k in range(2)]
    panel = {r.id: {"similarity": 10.0 * i, "tone": 50.0} for i, r in enumerate(responses)}
    found = named(break_down(responses, pairs, panel, SPAM, first_word), "en")
    assert (found.prompts, found.responses) == (2, 4)
    assert list(found.measures) == [
        "similarity",
        "tone",
        "exact_match",
        "label_accuracy",
        "rouge_l",
    ]
    assert found.measures["similarity"].value == 15
    assert found.measures["label_accuracy"].value == 50
    assert found.measures["label_accuracy"].prompts == 2
    assert all(measure.interval for measure in found.measures.values())


def test_a_reference_without_a_label_has_a_slice_of_its_own() -> None:
    pairs = [pair("en one", "spam"), pair("en two", "spam or ham")]
    found = broken_down(pairs, [response(one, text="spam") for one in pairs], (), SPAM)
    assert set(names(found, "label")) == {"spam", NO_LABEL}
    assert "label_accuracy" in named(found, "spam").measures
    assert named(found, NO_LABEL).measures["label_accuracy"].responses == 0


def test_a_task_without_labels_has_no_slices_by_label() -> None:
    pairs = [pair("en one", "spam")]
    found = broken_down(pairs, [response(pairs[0])])
    assert names(found, "label") == []
    assert found.confusion is None


def test_small_slices_are_summed_and_stand_last() -> None:
    pairs = [pair(f"l{i} word {k}") for i in range(40) for k in range(1 + (i < 29))]
    found = broken_down(pairs, [response(one) for one in pairs], [0] * len(pairs))
    listed = [one for one in found.slices if one.by == "language"]
    assert len(listed) == MOST_SLICES
    assert listed[-1].name == OTHERS
    assert listed[-1].prompts == 11
    assert {one.prompts for one in listed[:-1]} == {2}


def test_as_many_slices_as_there_may_be_are_not_summed() -> None:
    pairs = [pair(f"l{i} word") for i in range(MOST_SLICES)]
    found = broken_down(pairs, [response(one) for one in pairs])
    assert OTHERS not in names(found, "language")


# --- by length ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "spans"),
    [
        ([1], ["1 word"]),
        ([4, 4, 4], ["4 words"]),
        ([1, 2], ["1 word", "2 words"]),
        (list(range(1, 10)), ["1–3 words", "4–6 words", "7–9 words"]),
        ([2, 2, 2, 2, 3, 50], ["2 words", "3–50 words"]),
    ],
)
def test_thirds_are_named_by_their_bounds(lengths: list[int], spans: list[str]) -> None:
    pairs = [pair(" ".join(["w"] * length), str(i)) for i, length in enumerate(lengths)]
    found = broken_down(pairs, [response(one) for one in pairs])
    assert sorted(names(found, "length")) == spans


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40))
def test_slices_of_a_kind_add_up_to_the_whole(lengths: list[int]) -> None:
    pairs = [pair("w " * length, str(i)) for i, length in enumerate(lengths)]
    responses = [response(one, k) for one in pairs for k in range(2)]
    found = [one for one in broken_down(pairs, responses).slices if one.by == "length"]
    assert sum(one.prompts for one in found) == len(pairs)
    assert sum(one.responses for one in found) == len(responses)
    assert len(found) <= 3


def test_prompts_that_nothing_answered_are_in_no_slice() -> None:
    pairs = [pair("en one"), pair("de a much longer one")]
    found = broken_down(pairs, [response(pairs[0])])
    assert names(found, "language") == ["en"]
    assert names(found, "length") == ["2 words"]
    assert broken_down(pairs, []).slices == ()


# --- confusion ----------------------------------------------------------------------------


def test_the_matrix_counts_responses_by_what_was_right_and_what_was_given() -> None:
    asked = [pair("A?", "spam"), pair("B?", "ham"), pair("C?", "spam or ham")]
    texts = ("spam", "Spam.", "ham", "neither", "ham", "spam and ham", "spam", "ham")
    places = (0, 0, 0, 0, 1, 1, 1, 2)
    responses = [
        response(asked[p], k, t) for k, (p, t) in enumerate(zip(places, texts, strict=True))
    ]
    confusion = broken_down(asked, responses, (), SPAM).confusion
    assert confusion is not None
    assert confusion.labels == ("spam", "ham")
    assert confusion.counts == ((2, 1, 1), (1, 1, 1))


@given(st.lists(st.tuples(st.sampled_from(SPAM.labels), st.sampled_from([*SPAM.labels, "?"]))))
def test_rows_add_up_to_the_references_and_the_diagonal_is_label_accuracy(
    both: list[tuple[str, str]],
) -> None:
    asked = {label: pair(f"{label}?", label) for label in SPAM.labels}
    responses = [response(asked[right], k, given) for k, (right, given) in enumerate(both)]
    found = broken_down(list(asked.values()), responses, (), SPAM)
    assert found.confusion is not None
    rights = Counter(right for right, _ in both)
    for place, label in enumerate(found.confusion.labels):
        row = found.confusion.counts[place]
        assert sum(row) == rights[label]
        if rights[label]:
            accuracy = named(found, label).measures["label_accuracy"].value
            assert accuracy == pytest.approx(100 * row[place] / rights[label])
