"""Texts as columns of word numbers, and the vocabulary that gives each word its number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.interning import WordTable
from llamaduo.likeness.spacing import Spacing

HANDFUL = 1 << 16
"""Characters that are read at a time: what stands beside the words themselves stays small."""


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Texts as word ids: text ``i`` is ``words[starts[i]:starts[i + 1]]``.

    ``starts`` has one more entry than there are texts; the first is 0, the last ``len(words)``.
    """

    words: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, i: int) -> NDArray[np.int32]:
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self.words[self.starts[i] : self.starts[i + 1]]

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[i] for i in range(len(self)))

    def sizes(self) -> NDArray[np.int64]:
        """How many words each text has."""
        return np.diff(self.starts)

    def part(self, first: int, last: int) -> Texts:
        """Texts ``first`` to ``last - 1``. Their words are a view of these words."""
        begin, end = self.starts[first], self.starts[last]
        return Texts(self.words[begin:end], self.starts[first : last + 1] - begin)


def joined(left: Texts, right: Texts) -> Texts:
    """Text ``i`` is ``left[i]`` followed by ``right[i]``."""
    if len(left) != len(right):
        raise ValueError(f"{len(left)} texts cannot be joined to {len(right)}")
    starts = starts_of(left.sizes() + right.sizes())
    both = np.empty(starts[-1], np.int32)
    of_left = np.ones(len(both), np.bool_)
    of_left[np.arange(len(right.words)) + np.repeat(left.starts[1:], right.sizes())] = False
    both[of_left] = left.words
    both[~of_left] = right.words
    return Texts(both, starts)


def starts_of(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where texts of ``sizes`` words start, and where the last one ends."""
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


class Vocabulary:
    """A number for each distinct word, from 0, as words are met. Not for two threads at a time.

    Not every entry is a word: a text that stands for itself (of symbols alone, or all frame) is
    interned too, with a symbol or a space in it that no ordinary word has.
    """

    def __init__(self) -> None:
        self._table = WordTable()
        self._spacing = Spacing()

    def __len__(self) -> int:
        return self._table.count

    def read(self, texts: Sequence[str]) -> Texts:
        """The words of each text, as :func:`llamaduo.tasks.words.words` finds them; those of
        symbols alone are their own single word."""
        column = np.empty(0, np.int32)
        every = [np.zeros(0, np.int64)]
        filled = 0
        for some in _handfuls(texts):
            numbers, sizes = self._read(some)
            every.append(sizes)
            if filled + len(numbers) > len(column):
                # Grown in place, which the system does without a copy: no second column of words.
                column.resize((filled + len(numbers)) * 3 // 2, refcheck=False)
            column[filled : filled + len(numbers)] = numbers
            filled += len(numbers)
        column.resize(filled, refcheck=False)
        return Texts(column, starts_of(np.concatenate(every)))

    def intern(self, word: str) -> int:
        """The number of ``word``, whatever characters it has."""
        return self._table.number_one(word.encode("utf-8", "surrogatepass"))

    def word(self, number: int) -> str:
        """The word with this number.

        Raises:
            IndexError: there is none.
        """
        return self._table.spelling(number).decode("utf-8", "surrogatepass")

    def phrases(self, texts: Texts, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """The number of each of these texts as one single word: its words, with spaces between.

        A text of one word has the space after it, so that it is not that word.
        """
        numbers = np.empty(len(rows), np.int32)
        size = 1 << 8
        for first in range(0, len(rows), size):
            some = rows[first : first + size]
            numbers[first : first + size] = self._table.number_phrases(
                texts.words, texts.starts[some], texts.starts[some + 1]
            )
        return numbers

    def _read(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        plain = self._plain(texts)
        data = np.frombuffer(b" ".join((*plain, b"")), np.uint8)
        ends = np.cumsum([len(text) + 1 for text in plain], dtype=np.int64)
        numbers, sizes = self._table.number_all(data, ends)
        alone = [
            (i, text) for i in np.flatnonzero(sizes == 0).tolist() if (text := texts[i].strip())
        ]
        if alone:
            rows = [i for i, _ in alone]
            ids = [self.intern(text) for _, text in alone]
            numbers = np.insert(numbers, starts_of(sizes)[rows], ids)
            sizes[rows] = 1
        return numbers, sizes

    def _plain(self, texts: Sequence[str]) -> list[bytes]:
        """Each text as bytes in lower case that :class:`WordTable` parts into words."""
        foreign = iter(self._spacing.spaced([text for text in texts if not text.isascii()]))
        return [text.lower().encode() if text.isascii() else next(foreign) for text in texts]


def _handfuls(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """``texts`` in consecutive slices of about :data:`HANDFUL` characters."""
    first = size = 0
    for i, text in enumerate(texts):
        size += len(text)
        if size >= HANDFUL:
            yield texts[first : i + 1]
            first, size = i + 1, 0
    if first < len(texts):
        yield texts[first:]
