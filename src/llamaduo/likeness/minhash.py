"""Which earlier text is nearly the same: MinHash proposes, the exact Jaccard index decides.

A text is the set of its runs of three words, as 64-bit hashes (two runs among millions have the
same one with a probability of about 1 in 100,000). MinHash (Broder 1997) with locality-sensitive
hashing: the least hash under each of 128 permutations, in bands; texts that agree in a band are
candidates. Bands are as wide as they can be while at most one in 1,000 of the pairs at the limit
agrees in none. No candidate is taken for a duplicate before its Jaccard index is known.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import Workers, kernel
from llamaduo.likeness.elements import BITMAP_WORDS, differ, flip
from llamaduo.likeness.texts import Texts

RUN = 3
PERMUTATIONS = 128
_MISSED = 0.001
_SEED = 20251123


class Runs(NamedTuple):
    """Texts as sets of runs: ``hashes[starts[i]:starts[i] + sizes[i]]`` in ascending order.
    ``groups`` (texts × bands) numbers the texts that agree in a band; -1 where one is alone.
    ``whole`` are the texts' words in the second view, frames included."""

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int32]
    bitmaps: NDArray[np.uint64]
    groups: NDArray[np.int32]
    whole: NDArray[np.int32]
    whole_starts: NDArray[np.int64]
    part: int
    of: int


class Groups(NamedTuple):
    """The texts of each group that were added: ``texts[starts[g]:ends[g]]``, in that order."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    texts: NDArray[np.int32]


class RunScratch(NamedTuple):
    """What one thread needs: the query that last met each text, and room for runs."""

    met: NDArray[np.int32]
    left: NDArray[np.uint64]
    right: NDArray[np.uint64]


def runs_of(remaining: Texts, whole: Texts, limit: Fraction, workers: Workers) -> Runs:
    """The runs of each text in both views, grouped into candidates at Jaccard ``limit``."""
    count = len(remaining)
    hashes = np.empty(len(remaining.words), np.uint64)
    sizes = np.zeros(count, np.int32)
    bitmaps = np.zeros((count, BITMAP_WORDS), np.uint64)
    work = partial(_read_runs, remaining.words, remaining.starts, hashes, sizes, bitmaps)
    workers.share(count, work)
    groups = _groups(hashes, remaining.starts, sizes, limit, workers)
    views = (whole.words, whole.starts)
    return Runs(
        hashes, remaining.starts, sizes, bitmaps, groups, *views, limit.numerator, limit.denominator
    )


def no_runs(count: int) -> Runs:
    """``count`` texts of which none is nearly the same as another."""
    none, starts = np.empty(0, np.uint64), np.zeros(count + 1, np.int64)
    return Runs(
        none,
        starts,
        np.zeros(count, np.int32),
        np.zeros((count, BITMAP_WORDS), np.uint64),
        np.zeros((count, 0), np.int32),
        np.empty(0, np.int32),
        starts,
        1,
        1,
    )


def bands_for(limit: Fraction) -> tuple[int, int]:
    """(bands, permutations in each) for that limit."""
    for rows in range(16, 1, -1):
        bands = PERMUTATIONS // rows
        if (1 - float(limit) ** rows) ** bands <= _MISSED:
            return bands, rows
    return PERMUTATIONS, 1


def empty_groups(runs: Runs) -> Groups:
    """An index with room for all texts that holds none yet."""
    counts = np.bincount(runs.groups[runs.groups >= 0]).astype(np.int64)
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return Groups(starts, starts[:-1].copy(), np.empty(starts[-1], np.int32))


def run_scratch(runs: Runs) -> RunScratch:
    """New scratch space for one thread."""
    longest = max(int(np.diff(runs.whole_starts).max(initial=0)), 1)
    room = (np.empty(longest, np.uint64), np.empty(longest, np.uint64))
    return RunScratch(np.full(len(runs.sizes), -1, np.int32), *room)


def _groups(
    hashes: NDArray[np.uint64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int32],
    limit: Fraction,
    workers: Workers,
) -> NDArray[np.int32]:
    bands, rows = bands_for(limit)
    random = np.random.default_rng(_SEED)
    factors = random.integers(0, 2**64, (bands, rows), np.uint64) | np.uint64(1)
    offsets = random.integers(0, 2**64, (bands, rows), np.uint64)
    groups = np.full((bands, len(sizes)), -1, np.int32)
    found = np.zeros(bands + 1, np.int64)

    def group(first: int, last: int) -> None:
        keys = np.empty(len(sizes), np.uint64)
        for band in range(first, last):
            _read_band(hashes, starts, sizes, factors[band], offsets[band], keys)
            order = np.argsort(keys)
            found[band + 1] = _number_groups(keys, order, sizes, groups[band])

    workers.share(bands, group)
    firsts = np.cumsum(found)[:-1, None]
    return np.ascontiguousarray(np.where(groups >= 0, groups + firsts, -1).T, np.int32)


@kernel
def _read_runs(
    words: NDArray[np.int32],
    starts: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    sizes: NDArray[np.int32],
    bitmaps: NDArray[np.uint64],
    low: int,
    high: int,
) -> None:
    for i in range(low, high):
        room = hashes[starts[i] : starts[i + 1]]
        sizes[i] = _write_runs(words[starts[i] : starts[i + 1]], room)
        for j in range(sizes[i]):
            flip(bitmaps[i], room[j])


@kernel
def _write_runs(words: NDArray[np.int32], room: NDArray[np.uint64]) -> int:
    """The different runs of ``words`` in ascending order, and how many they are. A text shorter
    than a run is one run."""
    size = len(words)
    if size == 0:
        return 0
    count = max(1, size - RUN + 1)
    for i in range(count):
        run = np.uint64(min(size, RUN))
        for word in words[i : i + RUN]:
            run = _mix(run ^ np.uint64(word))
        room[i] = run
    runs = room[:count]
    runs.sort()
    different = 1
    for i in range(1, count):
        if runs[i] != runs[different - 1]:
            runs[different] = runs[i]
            different += 1
    return different


@kernel
def _mix(number: np.uint64) -> np.uint64:
    """The finalizer of splitmix64: every bit depends on every other, and none is lost."""
    number += np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


@kernel
def _read_band(
    hashes: NDArray[np.uint64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int32],
    factors: NDArray[np.uint64],
    offsets: NDArray[np.uint64],
    keys: NDArray[np.uint64],
) -> None:
    """For each text one number for its least hashes under the permutations of a band."""
    for i in range(len(sizes)):
        key = np.uint64(0)
        own = hashes[starts[i] : starts[i] + sizes[i]]
        for k in range(len(factors)):
            factor, offset = factors[k], offsets[k]
            least = ~np.uint64(0)
            for j in range(len(own)):
                least = min(least, own[j] * factor + offset)
            key = _mix(key ^ least)
        keys[i] = key


@kernel
def _number_groups(
    keys: NDArray[np.uint64],
    order: NDArray[np.int64],
    sizes: NDArray[np.int32],
    groups: NDArray[np.int32],
) -> int:
    """Number the texts that share a key. Empty texts and lone ones are in no group."""
    number = 0
    first = 0
    while first < len(order):
        last = first + 1
        while last < len(order) and keys[order[last]] == keys[order[first]]:
            last += 1
        if last - first > 1 and sizes[order[first]] > 0:
            for place in range(first, last):
                groups[order[place]] = number
            number += 1
        first = last
    return number


@kernel
def add_to_groups(texts: NDArray[np.int32], runs: Runs, index: Groups) -> None:
    """Let later searches find ``texts``."""
    for i in texts:
        for band in range(runs.groups.shape[1]):
            group = runs.groups[i, band]
            if group >= 0:
                index.texts[index.ends[group]] = i
                index.ends[group] += 1


@kernel
def first_nearly_same(i: int, runs: Runs, index: Groups, space: RunScratch) -> int:
    """The earliest text of the index whose Jaccard index with ``i`` reaches the limit, or -1."""
    groups, bitmaps, met, texts = runs.groups, runs.bitmaps, space.met, index.texts
    sizes, part, of = runs.sizes, runs.part, runs.of
    none = len(sizes)
    best = none
    for band in range(groups.shape[1]):
        group = groups[i, band]
        if group < 0:
            continue
        for j in range(index.starts[group], index.ends[group]):
            other = texts[j]
            if other >= best:
                break
            if met[other] == i:
                continue
            met[other] = i
            most = may_differ(sizes[i] + sizes[other], part, of)
            if not differ(bitmaps, i, other, most) and nearly_same(i, other, runs, space):
                best = other
    return best if best < none else -1


@kernel
def may_differ(runs: int, part: int, of: int) -> int:
    """In how many runs two texts with so many together may differ, at the limit."""
    return (of - part) * runs // (of + part)


@kernel
def is_found(i: int, j: int, runs: Runs, space: RunScratch) -> bool:
    """Whether texts ``i`` and ``j`` agree in a band and are nearly the same."""
    for band in range(runs.groups.shape[1]):
        if runs.groups[i, band] >= 0 and runs.groups[i, band] == runs.groups[j, band]:
            return nearly_same(i, j, runs, space)
    return False


@kernel
def nearly_same(i: int, j: int, runs: Runs, space: RunScratch) -> bool:
    """Whether the Jaccard index of texts ``i`` and ``j`` reaches the limit, in both views."""
    a = runs.hashes[runs.starts[i] : runs.starts[i] + runs.sizes[i]]
    b = runs.hashes[runs.starts[j] : runs.starts[j] + runs.sizes[j]]
    if not _overlap(a, b, runs.part, runs.of):
        return False
    left = runs.whole[runs.whole_starts[i] : runs.whole_starts[i + 1]]
    right = runs.whole[runs.whole_starts[j] : runs.whole_starts[j + 1]]
    outside = runs.starts[i + 1] - runs.starts[i] + runs.starts[j + 1] - runs.starts[j]
    if len(left) + len(right) == outside:
        return True  # no frame in either: the views are the same
    a = space.left[: _write_runs(left, space.left)]
    b = space.right[: _write_runs(right, space.right)]
    return _overlap(a, b, runs.part, runs.of)


@kernel
def measure(
    rows: NDArray[np.int64],
    others: NDArray[np.int64],
    runs: Runs,
    space: RunScratch,
    shares: NDArray[np.float64],
) -> None:
    """The Jaccard index of each of ``rows`` and the text beside it in ``others``: the smaller
    view's. Rounded, for people to read."""
    for k in range(len(rows)):
        i, j = rows[k], others[k]
        a = runs.hashes[runs.starts[i] : runs.starts[i] + runs.sizes[i]]
        b = runs.hashes[runs.starts[j] : runs.starts[j] + runs.sizes[j]]
        shared = _shared(a, b)
        share = shared / (len(a) + len(b) - shared)
        left = runs.whole[runs.whole_starts[i] : runs.whole_starts[i + 1]]
        right = runs.whole[runs.whole_starts[j] : runs.whole_starts[j + 1]]
        a = space.left[: _write_runs(left, space.left)]
        b = space.right[: _write_runs(right, space.right)]
        shared = _shared(a, b)
        shares[k] = min(share, shared / (len(a) + len(b) - shared))


@kernel
def _overlap(a: NDArray[np.uint64], b: NDArray[np.uint64], part: int, of: int) -> bool:
    """Whether |a ∩ b| ÷ |a ∪ b| is at least part ÷ of."""
    shared = _shared(a, b)
    return shared > 0 and shared * of >= part * (len(a) + len(b) - shared)


@kernel
def _shared(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> int:
    """|a ∩ b|. Both are in ascending order."""
    shared = i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            shared += 1
            i += 1
            j += 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return shared
