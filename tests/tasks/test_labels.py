"""Which labels there are, and which one a text gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.records import Message, Pair, Provenance
from llamaduo.tasks.labels import label_in, label_set, with_labels
from llamaduo.tasks.settings import TaskSettings

MOODS = ("positive", "negative", "very positive", "neutral")


def pairs(*references: str) -> list[Pair]:
    return [
        Pair(
            id=str(i),
            messages=(Message("user", "What is it?"),),
            response=reference,
            reference_source="human",
            provenance=Provenance(origin="coverage", source="made.jsonl:1"),
        )
        for i, reference in enumerate(references)
    ]


def labels(*references: str, **task: Any) -> tuple[str, ...]:
    return label_set(TaskSettings(kind="classification", **task), pairs(*references))


# --- the one that a text gives ------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["positive", "Positive", " positive\n", "POSITIVE.", "positive !", "positive。"]
)
def test_a_label_is_itself_up_to_case_white_space_and_closing_punctuation(text: str) -> None:
    assert label_in(text, MOODS) == "positive"


@pytest.mark.parametrize(
    "text",
    [
        "**positive**",
        "It is positive, I think.",
        '{"label": "positive"}',
        "Positive (quite positive)",
        "label: positive\n",
    ],
)
def test_the_only_label_that_stands_in_a_text_is_the_one_it_gives(text: str) -> None:
    assert label_in(text, MOODS) == "positive"


@pytest.mark.parametrize("text", ["", "good", "positive or negative", "neutral-to-negative"])
def test_none_and_more_than_one_are_no_label(text: str) -> None:
    assert label_in(text, MOODS) is None


@pytest.mark.parametrize("text", ["non-positive", "positively", "unpositive", "positive_1"])
def test_a_part_of_a_word_is_no_label(text: str) -> None:
    assert label_in(text, MOODS) is None


def test_of_a_longer_and_a_shorter_label_the_longer_counts() -> None:
    assert label_in("I find it very  positive indeed", MOODS) == "very positive"
    assert label_in("very positive, or just positive", MOODS) is None


def test_a_label_keeps_its_own_punctuation() -> None:
    languages = ("C", "C#", "Node.js")
    assert label_in("C#.", languages) == "C#"
    assert label_in("c", languages) == "C"
    assert label_in("node.js", languages) == "Node.js"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("1", "1"),
        ("Grade: 1.", "1"),
        ("-1", "-1"),
        ("it scores -1 here", "-1"),
        ("1.5", None),
        ("1,5 points", None),
        ("11", None),
        ("+1 from me", None),
    ],
)
def test_a_part_of_a_number_is_no_label(text: str, label: str | None) -> None:
    assert label_in(text, ("1", "2", "-1")) == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("正面", "正面"),
        ("这条评论是正面的。", "正面"),
        ("不是负面, 是正面", None),
        ("是", "是"),
        ("我认为这是对的", None),
    ],
)
def test_scripts_without_spaces_have_labels_too(text: str, label: str | None) -> None:
    assert label_in(text, ("正面", "负面", "是", "否")) == label


def test_a_word_does_not_end_at_its_vowel_sign() -> None:
    assert label_in("नहीं", ("नह", "हाँ")) is None
    assert label_in("जवाब: हाँ", ("नह", "हाँ")) == "हाँ"


def test_accents_may_be_written_either_way() -> None:
    assert label_in("Re\u0301clamation", ("r\u00e9clamation", "autre")) == "r\u00e9clamation"


def test_no_labels_no_label() -> None:
    assert label_in("positive", ()) is None
    assert label_in("", ("",)) is None


@given(st.text(max_size=60), st.lists(st.text(max_size=8), max_size=5))
def test_what_is_given_is_one_of_the_labels(text: str, names: list[str]) -> None:
    assert label_in(text, names) in {None, *names}


@given(st.sampled_from(MOODS), st.sampled_from(["{}", " {}. ", "*{}*", "so {}!", "{}\n\n"]))
def test_every_label_is_found_in_a_frame(label: str, frame: str) -> None:
    assert label_in(frame.format(label.upper()), MOODS) == label


def test_a_long_text_takes_no_time() -> None:
    assert label_in("positive-" * 50_000, MOODS) is None
    assert label_in("1" * 200_000, ("1", "11")) is None


# --- the set ------------------------------------------------------------------------------


def test_configured_labels_are_the_set() -> None:
    assert labels("spam", labels=("ham", "spam", "other")) == ("ham", "spam", "other")
    assert label_set(TaskSettings(labels=("a", "b")), pairs("free text")) == ("a", "b")


def test_few_short_references_that_come_back_are_a_set() -> None:
    assert labels("spam", "ham", "spam", "ham ", "spam.") == ("ham", "spam")


def test_the_most_frequent_spelling_is_the_label() -> None:
    assert labels("Spam", "spam", "Spam", "SPAM.", "ham", "ham") == ("Spam", "ham")


def test_references_that_do_not_come_back_are_no_set() -> None:
    assert labels("a", "b", "c", "a") == ()


def test_many_or_long_or_empty_references_are_no_set() -> None:
    assert labels(*[str(i) for i in range(31)] * 3) == ()
    assert labels(*["x" * 61] * 9) == ()
    assert labels("spam", "spam", "") == ()
    assert labels() == ()


def test_other_tasks_have_a_set_only_if_it_is_configured() -> None:
    assert label_set(TaskSettings(kind="closed_qa"), pairs("yes", "yes", "no", "no")) == ()


def test_a_split_is_measured_by_the_labels_of_all_pairs() -> None:
    task, every = TaskSettings(kind="classification"), pairs("a", "a", "b", "b", "c", "c")
    small = pairs("a", "b")
    assert label_set(task, small) == ()
    assert label_set(with_labels(task, every), small) == ("a", "b", "c")
    assert with_labels(TaskSettings(kind="closed_qa"), every).labels == ()
