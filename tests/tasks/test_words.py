"""Words in every script, and parity of the similarities with rouge-score and rapidfuzz."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from llamaduo.tasks.words import jaccard, lcs_length, rouge_l, shingles, words

ASCII = st.text(st.characters(max_codepoint=127), max_size=60)
FEW_WORDS = st.lists(st.sampled_from("abcde"), max_size=40)


@given(ASCII)
def test_words_of_ascii_text_equal_those_of_rouge_score(text: str) -> None:
    assert words(text) == DefaultTokenizer(use_stemmer=False).tokenize(text)


@given(FEW_WORDS, FEW_WORDS)
def test_rouge_l_equals_rouge_score(a: list[str], b: list[str]) -> None:
    theirs = RougeScorer(["rougeL"]).score(" ".join(a), " ".join(b))["rougeL"].fmeasure
    assert math.isclose(rouge_l(a, b), theirs, abs_tol=1e-12)


@given(FEW_WORDS, FEW_WORDS)
def test_lcs_length_equals_rapidfuzz(a: list[str], b: list[str]) -> None:
    assert lcs_length(a, b) == LCSseq.similarity(a, b)


@given(st.lists(st.integers(0, 300).map(str), min_size=70, max_size=200))
def test_lcs_length_is_exact_beyond_a_machine_word(a: list[str]) -> None:
    b = a[::2] + a[::3]
    assert lcs_length(a, b) == LCSseq.similarity(a, b)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rückerstattung für Ärger", ["rückerstattung", "für", "ärger"]),
        ("हिन्दी में लिखा", ["हिन्दी", "में", "लिखा"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ("می‌خواهم بروم", ["میخواهم", "بروم"]),
        ("返金はABCで", ["返", "金", "は", "abc", "で"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("snake_case naïve_x", ["snake", "case", "naïve", "x"]),
        ("co\u00adoperate don’t", ["cooperate", "don", "t"]),
        ("one\u200btwo é", ["one", "two", "é"]),
        ("👍 — …", []),
    ],
)
def test_words_in_other_scripts(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_mark_belongs_to_the_character_before_it() -> None:
    assert words("ที่นี่ 10\u0e48") == ["ที่", "นี่", "10", "\u0e48"]
    assert words("\u0e48ก\u200d\u0e48 \u0e48") == ["\u0e48", "ก\u0e48", "\u0e48"]
    assert words("\u0e48ก \u0e48") == ["\u0e48", "ก", "\u0e48"]


def test_composed_and_decomposed_accents_are_the_same_word() -> None:
    assert words("cafe\u0301") == words("caf\u00e9")


@given(st.text(max_size=40))
def test_words_have_no_white_space_and_read_the_same_again(text: str) -> None:
    found = words(text)
    assert all(word and not any(c.isspace() for c in word) for word in found)
    assert words(" ".join(found)) == found


@given(st.text(max_size=40))
def test_every_letter_and_digit_is_in_some_word(text: str) -> None:
    assert bool(words(text)) >= any(c.isalnum() for c in text)


def test_shingles_of_a_short_text_are_the_text_itself() -> None:
    assert shingles(["a", "b"]) == {("a", "b")}
    assert shingles([]) == frozenset()
    assert shingles(["a", "b", "c", "d"]) == {("a", "b", "c"), ("b", "c", "d")}


@given(FEW_WORDS, FEW_WORDS)
def test_jaccard_is_symmetric_and_1_only_for_equal_sets(a: list[str], b: list[str]) -> None:
    left, right = shingles(a), shingles(b)
    assert jaccard(left, right) == jaccard(right, left)
    assert (jaccard(left, right) == 1) == (left == right and bool(left))
