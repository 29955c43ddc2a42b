"""Stems are those of rouge-score."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.tokenizers import DefaultTokenizer

from llamaduo.errors import ExtraMissing
from llamaduo.likeness.stems import stemmed
from llamaduo.likeness.texts import Vocabulary

ENDINGS = ("", "s", "es", "ed", "ing", "ation", "fulness", "ously", "ity", "er", "y", "ied")
ENGLISH = st.builds(
    "{}{}".format, st.text("aeioubcdstlrn", min_size=1, max_size=6), st.sampled_from(ENDINGS)
)
TEXTS = st.lists(ENGLISH, min_size=1).map(" ".join)


def stems(*texts: str) -> list[list[str]]:
    vocabulary = Vocabulary()
    read = stemmed(vocabulary.read(texts), vocabulary)
    return [[vocabulary.word(word) for word in row] for row in read]


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_stems_are_those_of_rouge_score(texts: list[str]) -> None:
    tokenizer = DefaultTokenizer(use_stemmer=True)
    assert stems(*texts) == [tokenizer.tokenize(text) for text in texts]


def test_forms_of_a_word_become_one() -> None:
    assert stems("Cancelled orders", "cancelling the order") == [
        ["cancel", "order"],
        ["cancel", "the", "order"],
    ]


def test_what_is_not_english_stays() -> None:
    assert stems("заказы отменены", "Größen", "👍 👍", "") == [
        ["заказы", "отменены"],
        ["größen"],
        ["👍 👍"],
        [],
    ]


def test_without_nltk_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    with pytest.raises(ExtraMissing) as missing:
        stems("orders")
    assert "nltk" in missing.value.message
    assert "pip install 'llamaduo[stemming]'" in missing.value.hint
