"""Runs of three words: how many texts have each, and where a text has one of some.

Before and after a text stand edges, two on either side, so that a text of n words has n + 2
runs; those of text ``t`` are entries ``starts[t] + 2 * t`` and following of a column of runs. A
table of runs has a row for each: its three words, how many texts have it, and the last of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import kernel

RUN = 3
"""Words in a run."""
EDGE = np.int32(-1)

_COUNT, _LAST = 3, 4
_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93), np.uint64(0xC2B2AE3D27D4EB4F))
_HALF = np.uint64(32)

Words = NDArray[np.int32]
Starts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Runs = NDArray[np.int32]


def frequent_runs(words: Words, starts: Starts, vocabulary_size: int, fewest: int) -> Runs:
    """The runs that are in at least ``fewest`` texts, as rows of three words, in order.

    Only runs of words that are themselves in so many texts are counted, so the table is small.
    """
    common = np.zeros(vocabulary_size, np.int32)
    _count_words(words, starts, common, np.zeros(vocabulary_size, np.int64))
    table, taken, text = _empty(1 << 10), 0, 0
    while True:
        text, taken = _count_runs(words, starts, common >= fewest, table, text, taken)
        if text == len(starts) - 1:
            break
        table = _doubled(table)
    runs = table[table[:, _COUNT] >= fewest, :RUN]
    return runs[np.lexsort(runs.T[::-1])]


def find_runs(words: Words, starts: Starts, runs: Runs, vocabulary_size: int) -> Flags:
    """For each run of each text, whether it is one of ``runs``."""
    ours = np.zeros(vocabulary_size, np.bool_)
    ours[runs[runs != EDGE]] = True
    table = _empty(1 << (4 * len(runs) + 1).bit_length())
    _fill(table, runs)
    found = np.zeros(len(words) + 2 * (len(starts) - 1), np.bool_)
    _find(words, starts, ours, table, found)
    return found


def _empty(size: int) -> Runs:
    return np.zeros((size, RUN + 2), np.int32)


def _doubled(table: Runs) -> Runs:
    larger = _empty(2 * len(table))
    _move(table, larger)
    return larger


@kernel
def _count_words(words: Words, starts: Starts, counts: NDArray[np.int32], last: Starts) -> None:
    """In how many texts each word is. ``last`` is zeros at first: the number of the last text
    with a word, from 1."""
    for text in range(len(starts) - 1):
        for i in range(starts[text], starts[text + 1]):
            if last[words[i]] != text + 1:
                last[words[i]] = text + 1
                counts[words[i]] += 1


@kernel
def _count_runs(
    words: Words, starts: Starts, common: Flags, table: Runs, text: int, taken: int
) -> tuple[int, int]:
    """Count the runs of ``text`` and those after it, as far as the table has places for all of
    the next one; that text, and how many places are taken."""
    while text < len(starts) - 1:
        begin, end = starts[text], starts[text + 1]
        if 2 * (taken + end - begin + RUN - 1) > len(table):
            break
        a = b = EDGE
        for i in range(begin, end + RUN - 1):
            c = words[i] if i < end else EDGE
            if _in(common, a) and _in(common, b) and _in(common, c):
                taken += _count(table, a, b, c, text)
            a, b = b, c
        text += 1
    return text, taken


@kernel
def _count(table: Runs, a: Any, b: Any, c: Any, text: int) -> int:
    """Count a run of ``text`` if it is the first of its kind there; 1 if the run is new."""
    at = _seek(table, a, b, c)
    if table[at, _COUNT] == 0:
        table[at, 0] = a
        table[at, 1] = b
        table[at, 2] = c
        table[at, _COUNT] = 1
        table[at, _LAST] = text
        return 1
    if table[at, _LAST] != text:
        table[at, _LAST] = text
        table[at, _COUNT] += 1
    return 0


@kernel
def _seek(table: Runs, a: Any, b: Any, c: Any) -> int:
    """The place of a run in the table, or the free one where it would be."""
    mixed = np.uint64(a) * _ODD[0] + np.uint64(b) * _ODD[1] + np.uint64(c) * _ODD[2]
    at = np.int64((mixed ^ (mixed >> _HALF)) & np.uint64(len(table) - 1))
    while table[at, _COUNT] != 0:
        if table[at, 0] == a and table[at, 1] == b and table[at, 2] == c:
            break
        at = (at + 1) & (len(table) - 1)
    return int(at)


@kernel
def _move(table: Runs, larger: Runs) -> None:
    """Put what is in ``table`` into one that is empty."""
    for old in range(len(table)):
        if table[old, _COUNT] != 0:
            larger[_seek(larger, table[old, 0], table[old, 1], table[old, 2])] = table[old]


@kernel
def _fill(table: Runs, runs: Runs) -> None:
    for run in range(len(runs)):
        _count(table, runs[run, 0], runs[run, 1], runs[run, 2], 0)


@kernel
def _find(words: Words, starts: Starts, ours: Flags, table: Runs, found: Flags) -> None:
    """Set ``found`` where a run is in the table. ``ours`` are the words of such runs."""
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        a = b = EDGE
        for i in range(begin, end + RUN - 1):
            c = words[i] if i < end else EDGE
            if _in(ours, a) and _in(ours, b) and _in(ours, c):
                found[i + 2 * text] = table[_seek(table, a, b, c), _COUNT] != 0
            a, b = b, c


@kernel
def _in(flags: Flags, word: Any) -> bool:
    return bool(word == EDGE or flags[word])


@kernel
def cover(starts: Starts, found: Flags, covered: Flags, left: Starts) -> None:
    """Set ``covered`` for each word of a run that was found, and ``left`` to how many words of
    each text are not."""
    for text in range(len(starts) - 1):
        left[text] = 0
        for i in range(starts[text], starts[text + 1]):
            run = i + 2 * text
            covered[i] = found[run] or found[run + 1] or found[run + 2]
            left[text] += not covered[i]


@kernel
def chains(starts: Starts, found: Flags, spans: NDArray[np.int64]) -> int:
    """Fill ``spans`` with where chains of overlapping runs that were found begin and end, in
    words; how many there are."""
    count = 0
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        chain = False
        for i in range(begin, end + RUN):
            here = i < end + RUN - 1 and found[i + 2 * text]
            if here and not chain:
                spans[count, 0] = max(begin, i - RUN + 1)
            elif chain and not here:
                spans[count, 1] = min(end, i)
                count += spans[count, 1] > spans[count, 0]  # a text without words has edges alone
            chain = here
    return count
