"""Words become numbers and come back as they were."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.tokenize import tokenize

from llamaduo.likeness.interning import SHORT, WordTable, _fill_keys, _find_or_add
from llamaduo.likeness.texts import HANDFUL, Texts, Vocabulary, joined
from llamaduo.tasks.words import words

SCRIPTS = st.text("aZ9 .-_\x00\n\u00a0éßİKǅΣς\u0301\u200b\u200d़ाहи́ア日ไม가\u1100\u1161\ud800👍²½")
TEXTS = st.one_of(st.text(), st.text(st.characters(codec="ascii")), SCRIPTS)


def spelled(texts: Texts, vocabulary: Vocabulary) -> list[list[str]]:
    return [[vocabulary.word(number) for number in texts[i]] for i in range(len(texts))]


def expected(text: str) -> list[str]:
    return words(text) or ([text.strip()] if text.strip() else [])


@given(st.lists(TEXTS, max_size=5))
def test_each_text_is_read_as_its_words(texts: list[str]) -> None:
    vocabulary = Vocabulary()
    read = vocabulary.read(texts)
    assert spelled(read, vocabulary) == [expected(text) for text in texts]
    assert len({vocabulary.word(number) for number in range(len(vocabulary))}) == len(vocabulary)


@given(st.text(st.characters(codec="ascii")))
def test_ascii_is_read_as_rouge_score_reads_it(text: str) -> None:
    vocabulary = Vocabulary()
    if tokens := tokenize(text, None):
        assert spelled(vocabulary.read([text]), vocabulary) == [tokens]


def assert_characters_are_read(codes: range) -> None:
    texts = [f"x{chr(c)}y {chr(c)}{chr(c)}" for c in codes]
    texts += [f"\u0915{chr(c)}\u0301b\u3042{chr(c)}" for c in codes]
    vocabulary = Vocabulary()
    assert spelled(vocabulary.read(texts), vocabulary) == [expected(text) for text in texts]


def test_the_characters_of_most_alphabets() -> None:
    assert_characters_are_read(range(0x3100))


@pytest.mark.proof
def test_every_character() -> None:
    assert_characters_are_read(range(sys.maxunicode + 1))


def test_many_texts_are_read_in_handfuls_and_the_vocabulary_grows() -> None:
    texts = [f"Word{i} and слово{i % 977}, " * (i % 40) + "!" * (i % 3) for i in range(3000)]
    assert sum(map(len, texts)) > 10 * HANDFUL
    vocabulary = Vocabulary()
    assert spelled(vocabulary.read(texts), vocabulary) == [expected(text) for text in texts]
    size = len(vocabulary)
    vocabulary.read(texts)
    assert len(vocabulary) == size


def test_a_text_longer_than_a_handful() -> None:
    text = " ".join(f"w{i}" for i in range(60_000))
    vocabulary = Vocabulary()
    assert list(vocabulary.read(["w7", text]).words) == [0, *range(1, 8), 0, *range(8, 60_000)]


def test_words_that_differ_at_the_end_alone() -> None:
    long = [letter * size for letter in "ab" for size in range(1, 2 * SHORT + 2)]
    long += [f"{'a' * size}b" for size in range(2 * SHORT)]
    assert len(set(Vocabulary().read([" ".join(long)]).words)) == len(set(long))


def test_long_words_of_one_hash_are_told_apart() -> None:
    data = np.frombuffer(b"y" * 20 + b"z" * 20 + b"y" * 20, np.uint8)
    cuts = np.array([[0, 20], [20, 40], [40, 60]])
    keys = np.empty((3, 2), np.uint64)
    _fill_keys(data, cuts, keys)
    keys[:] = keys[0]
    table, numbers = WordTable(), np.empty(3, np.int32)
    columns = (table._letters, table._starts, table._table)
    assert _find_or_add(data, cuts, keys, numbers, *columns, 0) == 2
    assert list(numbers) == [0, 1, 0]


def test_a_text_of_symbols_is_one_word_of_its_own() -> None:
    vocabulary = Vocabulary()
    read = vocabulary.read([" 👍 ", "", "a", " \n", "? !", "👍", "\ud800"])
    assert spelled(read, vocabulary) == [["👍"], [], ["a"], [], ["? !"], ["👍"], ["\ud800"]]
    assert read[0] == read[5]


@given(st.lists(st.text()))
def test_a_word_has_one_number_whatever_characters_it_has(texts: list[str]) -> None:
    vocabulary = Vocabulary()
    numbers = [vocabulary.intern(text) for text in texts]
    assert [vocabulary.word(number) for number in numbers] == texts
    assert len(vocabulary) == len(set(texts))
    assert [vocabulary.intern(text) for text in texts] == numbers


def test_nul_bytes_count() -> None:
    vocabulary = Vocabulary()
    assert [vocabulary.intern(word) for word in ("", "\0", "\0\0", "a", "a\0")] == [0, 1, 2, 3, 4]


def test_a_number_without_a_word() -> None:
    vocabulary = Vocabulary()
    vocabulary.read(["one two"])
    for number in (-1, 2):
        with pytest.raises(IndexError):
            vocabulary.word(number)


@given(st.lists(st.sampled_from(["", "a", "a b", "b a", "?"]), max_size=6), st.data())
def test_phrases_are_no_ordinary_words(texts: list[str], data: st.DataObject) -> None:
    vocabulary = Vocabulary()
    read = vocabulary.read(texts)
    rows = np.flatnonzero(read.sizes() > 0)
    ordinary = set(read.words.tolist())
    phrases = [vocabulary.word(number) for number in vocabulary.phrases(read, rows)]
    whole = [expected(texts[row]) for row in rows]
    assert phrases == [" ".join(row) if len(row) > 1 else f"{row[0]} " for row in whole]
    assert not ordinary & set(vocabulary.phrases(read, rows).tolist())


ROWS = st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6)


def column(rows: list[list[int]]) -> Texts:
    flat = [word for row in rows for word in row]
    starts = np.cumsum([0, *map(len, rows)])
    return Texts(np.array(flat, np.int32), starts)


def rows_of(texts: Texts) -> list[list[int]]:
    assert texts.words.dtype == np.int32
    assert texts.starts.dtype == np.int64
    return [texts[i].tolist() for i in range(len(texts))]


@given(ROWS, st.data())
def test_a_part_is_those_rows(rows: list[list[int]], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(rows)))
    last = data.draw(st.integers(first, len(rows)))
    part = column(rows).part(first, last)
    assert rows_of(part) == rows[first:last]
    assert part.sizes().tolist() == [len(row) for row in rows[first:last]]


@given(st.lists(st.tuples(*[st.lists(st.integers(0, 9), max_size=4)] * 2), max_size=6))
def test_texts_are_joined_row_by_row(pairs: list[tuple[list[int], list[int]]]) -> None:
    left, right = column([a for a, _ in pairs]), column([b for _, b in pairs])
    assert rows_of(joined(left, right)) == [a + b for a, b in pairs]


def test_columns_of_different_length_are_not_joined() -> None:
    with pytest.raises(ValueError, match="1 texts"):
        joined(column([[1]]), column([]))


def test_a_row_that_is_not_there() -> None:
    texts = column([[1], [2]])
    for i in (-1, 2):
        with pytest.raises(IndexError):
            texts[i]
    assert [row.tolist() for row in texts] == [[1], [2]]
