"""A number for each distinct word, found by its bytes: a hash table that compares the words.

Most of the time goes into waiting for memory. So a place of the table holds a short word itself,
not only where to find it; and a text is first cut into words, and then they are looked up: the
processor looks up several at a time if nothing else stands between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import kernel

SHORT = 15
"""Bytes of a word that fit into its key, beside their number: then the key is the word."""

_LONG = np.uint64(0xFF << 56)
_BYTE = np.uint64(8)
_TOP_BYTE = np.uint64(56)
_HALF = np.uint64(32)
_FREE = np.uint64(0)
_SPACE = np.uint8(32)
_FNV_SEED, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_ODD, _ODD_TOO = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)

_IN_WORD = np.array(
    [chr(byte) in "abcdefghijklmnopqrstuvwxyz0123456789" or byte > 127 for byte in range(256)]
)

Letters = NDArray[np.uint8]
Table = NDArray[np.uint64]


class WordTable:
    """Words of bytes, numbered from 0 as they come.

    Word ``n`` is ``letters[starts[n]:starts[n + 1]]``. ``table`` holds its key, two wide, and
    ``n + 1``, at the first place that was free from the one on which its key falls; at most half
    of the places are taken. Not for two threads at a time.
    """

    def __init__(self) -> None:
        self.count = 0
        self._letters = np.empty(1 << 12, np.uint8)
        self._starts = np.zeros((1 << 9) + 1, np.int64)
        self._table = np.zeros((1 << 10, 3), np.uint64)

    def number_all(
        self, data: Letters, ends: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The numbers of the words in ``data``, and how many are in each text.

        A word is a run of a-z, 0-9 and bytes above 127. Text ``i`` ends with the byte before
        ``ends[i]``, which is no part of a word.
        """
        cuts = np.empty((len(data) // 2 + 1, 2), np.int64)
        sizes = np.empty(len(ends), np.int64)
        count = _cut(data, ends, cuts, sizes)
        return self._number(data, cuts[:count]), sizes

    def number_one(self, word: bytes) -> int:
        """The number of ``word``, whatever bytes it has."""
        data = np.frombuffer(word, np.uint8)
        return int(self._number(data, np.array([[0, len(data)]]))[0])

    def number_phrases(
        self, words: NDArray[np.int32], begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """The numbers of phrases, each the ``words`` from one of ``begins`` to the same of
        ``ends`` with spaces between; a phrase of one word has the space after it."""
        cuts = np.empty((len(begins), 2), np.int64)
        size = _measure(words, begins, ends, self._starts, cuts)
        data = np.empty(size, np.uint8)
        _spell(words, begins, ends, self._letters, self._starts, cuts, data)
        return self._number(data, cuts)

    def spelling(self, number: int) -> bytes:
        """The bytes of a word.

        Raises:
            IndexError: no word has this number.
        """
        if not 0 <= number < self.count:
            raise IndexError(number)
        return self._letters[self._starts[number] : self._starts[number + 1]].tobytes()

    def _number(self, data: Letters, cuts: NDArray[np.int64]) -> NDArray[np.int32]:
        """The numbers of the words ``data[first:last]``, for each ``first, last`` of ``cuts``."""
        self._reserve(len(cuts), len(data))
        keys = np.empty((len(cuts), 2), np.uint64)
        numbers = np.empty(len(cuts), np.int32)
        _fill_keys(data, cuts, keys)
        columns = (self._letters, self._starts, self._table)
        self.count = _find_or_add(data, cuts, keys, numbers, *columns, self.count)
        return numbers

    def _reserve(self, words: int, letters: int) -> None:
        """Make room for so many more words and letters: the kernels do not."""
        count = self.count + words
        self._letters = _grown(self._letters, int(self._starts[self.count]) + letters)
        self._starts = _grown(self._starts, count + 1)
        if 2 * count > len(self._table):
            larger = np.zeros((1 << (2 * count - 1).bit_length(), 3), np.uint64)
            _move(self._table, larger)
            self._table = larger


def _grown(column: NDArray[Any], size: int) -> NDArray[Any]:
    """``column`` with at least ``size`` places, at least doubled where it was too short."""
    if size <= len(column):
        return column
    longer = np.empty(max(size, 2 * len(column)), column.dtype)
    longer[: len(column)] = column
    return longer


@kernel
def _cut(
    data: Letters, ends: NDArray[np.int64], cuts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> int:
    """Fill ``cuts`` with where words begin and end, and ``sizes``; how many words there are."""
    count = 0
    i = 0
    for text in range(len(ends)):
        before = count
        while i < ends[text]:
            first = i
            while _IN_WORD[data[i]]:  # it stops in this text: its last byte is not in a word
                i += 1
            if i > first:
                cuts[count, 0] = first
                cuts[count, 1] = i
                count += 1
            i += 1
        sizes[text] = count - before
    return count


@kernel
def _fill_keys(data: Letters, cuts: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
    """The key of a short word is its bytes and their number; that of a long one is a hash."""
    for word in range(len(cuts)):
        first, last = cuts[word, 0], cuts[word, 1]
        low, high = _FREE, _FREE
        if last - first <= SHORT:
            for i in range(first, min(last, first + 8)):
                low = (low << _BYTE) | np.uint64(data[i])
            for i in range(first + 8, last):
                high = (high << _BYTE) | np.uint64(data[i])
            high |= np.uint64(last - first) << _TOP_BYTE
        else:
            low, high = _FNV_SEED, _LONG
            for i in range(first, last):
                low = (low ^ np.uint64(data[i])) * _FNV_PRIME
        keys[word, 0] = low
        keys[word, 1] = high


@kernel
def _find_or_add(
    data: Letters,
    cuts: NDArray[np.int64],
    keys: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    letters: Letters,
    starts: NDArray[np.int64],
    table: Table,
    count: int,
) -> int:
    """Fill ``numbers``; how many words the table has now."""
    for word in range(len(cuts)):
        low, high = keys[word, 0], keys[word, 1]
        at = _place(low, high, len(table))
        while table[at, 2] != _FREE:
            if table[at, 0] == low and table[at, 1] == high:
                if high != _LONG:
                    break
                if _same(data, cuts, word, letters, starts, np.int64(table[at, 2]) - 1):
                    break
            at = (at + 1) & (len(table) - 1)
        if table[at, 2] == _FREE:
            _add(data, cuts, word, letters, starts, count)
            count += 1
            table[at, 0] = low
            table[at, 1] = high
            table[at, 2] = count
        numbers[word] = np.int64(table[at, 2]) - 1
    return count


@kernel
def _place(low: Any, high: Any, size: int) -> int:
    """The first place to look for a key at, of ``size``, a power of two."""
    mixed = (low ^ (high * _ODD_TOO)) * _ODD
    return int(np.int64((mixed >> _HALF) & np.uint64(size - 1)))


@kernel
def _same(
    data: Letters,
    cuts: NDArray[np.int64],
    word: int,
    letters: Letters,
    starts: NDArray[np.int64],
    number: Any,
) -> bool:
    """Whether the word is the one with this number."""
    first, last = cuts[word, 0], cuts[word, 1]
    begin = starts[number]
    if starts[number + 1] - begin != last - first:
        return False
    for k in range(last - first):
        if letters[begin + k] != data[first + k]:
            return False
    return True


@kernel
def _add(
    data: Letters,
    cuts: NDArray[np.int64],
    word: int,
    letters: Letters,
    starts: NDArray[np.int64],
    count: int,
) -> None:
    """Write the letters of a word behind those of all others."""
    first, last = cuts[word, 0], cuts[word, 1]
    begin = starts[count]
    for k in range(last - first):
        letters[begin + k] = data[first + k]
    starts[count + 1] = begin + last - first


@kernel
def _move(table: Table, larger: Table) -> None:
    """Put what is in ``table`` into one that is empty."""
    for old in range(len(table)):
        if table[old, 2] == _FREE:
            continue
        at = _place(table[old, 0], table[old, 1], len(larger))
        while larger[at, 2] != _FREE:
            at = (at + 1) & (len(larger) - 1)
        larger[at] = table[old]


@kernel
def _measure(
    words: NDArray[np.int32],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    starts: NDArray[np.int64],
    cuts: NDArray[np.int64],
) -> int:
    """Fill ``cuts`` with where each phrase begins and ends in bytes; the end of the last."""
    size = 0
    for phrase in range(len(begins)):
        cuts[phrase, 0] = size
        for i in range(begins[phrase], ends[phrase]):
            size += starts[words[i] + 1] - starts[words[i]] + 1
        if ends[phrase] - begins[phrase] > 1:
            size -= 1  # no space after the last word
        cuts[phrase, 1] = size
    return size


@kernel
def _spell(
    words: NDArray[np.int32],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    letters: Letters,
    starts: NDArray[np.int64],
    cuts: NDArray[np.int64],
    data: Letters,
) -> None:
    """Write the phrases into ``data``, at their ``cuts``."""
    for phrase in range(len(begins)):
        at = cuts[phrase, 0]
        for i in range(begins[phrase], ends[phrase]):
            for k in range(starts[words[i]], starts[words[i] + 1]):
                data[at] = letters[k]
                at += 1
            if at < cuts[phrase, 1]:
                data[at] = _SPACE
                at += 1
