"""Which earlier text has a ROUGE-L F at or above a limit, exactly and without comparing all.

F = 2·LCS ÷ (n + m). A pair of texts reaches the limit p/q if 2·q·LCS ≥ p·(n + m), in whole
numbers: in floating point some that are 0.7 exactly are not. As LCS is at most the number of
shared elements, these filters lose nothing (Bayardo, Ma and Srikant 2007; Xiao et al. 2008):

- *prefix*: two such texts share one of the rarest elements of each, so only those are indexed;
- *position and length*: an element far down the order of either leaves too few behind it, and
  texts of very different lengths share too few at all. The index keeps the places of an element
  apart by how far down they stand, in slices, and each slice in the order of the texts' lengths;
- *bitmap*: two texts differ in at least as many elements as their bitmaps in bits.

What is left is compared. A text counts in two views, the words outside shared frames and all of
its words: two texts are alike if they are so in both. The filters work on the first.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import Workers, kernel
from llamaduo.likeness.elements import differ, differ_at_once, elements_of
from llamaduo.likeness.lcs import lcs_length
from llamaduo.likeness.texts import Texts

SLICES = 4
_SLACK = 1e-9  # a filter may let through what it need not, never the other way round


class Rouge(NamedTuple):
    """Texts prepared for comparison at the limit ``part / of``: ``words[starts[i]:starts[i + 1]]``
    is the first view of text i, ``ranks`` its elements (see :class:`Elements`)."""

    words: NDArray[np.int32]
    starts: NDArray[np.int64]
    whole: NDArray[np.int32]
    whole_starts: NDArray[np.int64]
    ranks: NDArray[np.int32]
    bitmaps: NDArray[np.uint64]
    sketches: NDArray[np.uint64]
    kinds: int
    lone: int
    part: int
    of: int


class Postings(NamedTuple):
    """Some texts, found by an element and a slice: ``entries[starts[k]:ends[k]]``, each the
    number of words in a text (upper 32 bits) and the text's own. ``by_size``: the shortest
    first, so that a search looks at a part of them."""

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    entries: NDArray[np.int64]
    by_size: bool


class Scratch(NamedTuple):
    """What one thread needs to search: the query that last met each text, and see ``lcs``."""

    met: NDArray[np.int32]
    masks: NDArray[np.uint64]
    carries: NDArray[np.uint8]


def prepared(
    remaining: Texts, whole: Texts, limit: Fraction, words: int, workers: Workers
) -> Rouge:
    """Texts in both views, ready for comparison. ``words`` is the size of the vocabulary."""
    elements = elements_of(remaining, words, workers)
    return Rouge(
        remaining.words,
        remaining.starts,
        whole.words,
        whole.starts,
        elements.ranks,
        elements.bitmaps,
        elements.sketches,
        elements.kinds,
        elements.lone,
        limit.numerator,
        limit.denominator,
    )


def room_for(texts: NDArray[np.int32], rouge: Rouge) -> Postings:
    """An index with room for ``texts`` that holds none of them yet."""
    counts = np.zeros((rouge.kinds - rouge.lone) * SLICES + 1, np.int32)
    _count(texts, rouge, counts[1:])
    starts = np.cumsum(counts, dtype=np.int32)
    return Postings(starts, starts[:-1].copy(), np.empty(starts[-1], np.int64), False)


def settled(texts: NDArray[np.int32], rouge: Rouge) -> Postings:
    """An index of ``texts`` to which nothing will be added."""
    sizes = rouge.starts[texts + 1] - rouge.starts[texts]
    by_size = texts[np.argsort(sizes, kind="stable")]
    postings = room_for(by_size, rouge)
    add(by_size, rouge, postings)
    return postings._replace(ends=postings.starts[1:], by_size=True)


def scratch(rouge: Rouge, words: int) -> Scratch:
    """New scratch space for one thread."""
    count = len(rouge.starts) - 1
    longest = max(_longest(rouge.starts), _longest(rouge.whole_starts), 1)
    return Scratch(
        np.full(count, -1, np.int32), np.zeros(words, np.uint64), np.zeros(longest, np.uint8)
    )


def _longest(starts: NDArray[np.int64]) -> int:
    return int(np.diff(starts).max(initial=0))


@kernel
def _count(texts: NDArray[np.int32], rouge: Rouge, counts: NDArray[np.int32]) -> None:
    for i in texts:
        start, size = rouge.starts[i], rouge.starts[i + 1] - rouge.starts[i]
        for place in range(_prefix(size, rouge.part, rouge.of)):
            element = rouge.ranks[start + place] - rouge.lone
            if element >= 0:
                counts[element * SLICES + _slice(place, size, rouge)] += 1


@kernel
def add(texts: NDArray[np.int32], rouge: Rouge, postings: Postings) -> None:
    """Let searches find ``texts``. The index was made with room for them."""
    for i in texts:
        start, size = rouge.starts[i], rouge.starts[i + 1] - rouge.starts[i]
        for place in range(_prefix(size, rouge.part, rouge.of)):
            element = rouge.ranks[start + place] - rouge.lone
            if element >= 0:
                slot = element * SLICES + _slice(place, size, rouge)
                end = postings.ends[slot]
                postings.entries[end] = (size << 32) | i
                postings.ends[slot] = end + 1


@kernel
def first_like(i: int, rouge: Rouge, postings: Postings, space: Scratch) -> int:
    """The earliest text of the index that is like text ``i``; -1 if there is none."""
    part, of, bitmaps, sketches = rouge.part, rouge.of, rouge.bitmaps, rouge.sketches
    starts, ends, entries = postings.starts, postings.ends, postings.entries
    words, masks, carries = rouge.words, space.masks, space.carries  # not one by one, in the loop
    start, size = rouge.starts[i], rouge.starts[i + 1] - rouge.starts[i]
    none = len(rouge.starts)
    best = none
    half = part / (2 * of)
    width = _width(part, of)
    for place in range(_prefix(size, part, of)):
        element = rouge.ranks[start + place] - rouge.lone
        if element < 0:
            continue
        longest = (2 * of * (size - place)) // part - size
        for k in range(SLICES):
            shortest = int(np.ceil(half * size / (1 - width * k / SLICES - half) - _SLACK))
            if shortest > longest:
                break
            low, high = starts[element * SLICES + k], ends[element * SLICES + k]
            if postings.by_size:
                low = _skip(entries, low, high, shortest)
            for j in range(low, high):
                length, other = entries[j] >> 32, entries[j] & 0xFFFFFFFF
                if length > longest:
                    if postings.by_size:
                        break
                    continue
                if length < shortest or other >= best:
                    continue
                most = may_differ(size + length, part, of)
                if differ_at_once(sketches, i, other, most) or space.met[other] == i:
                    continue
                space.met[other] = i
                if differ(bitmaps, i, other, most):
                    continue
                first = rouge.starts[other]
                text = words[first : first + length]
                common = lcs_length(words[start : start + size], text, masks, carries)
                if 2 * common >= size + length - most and alike_in_all(i, other, rouge, space):
                    best = other
    return best if best < none else -1


@kernel
def _skip(entries: NDArray[np.int64], low: int, high: int, shortest: int) -> int:
    """The first place from ``low`` on whose text has at least ``shortest`` words."""
    least = shortest << 32
    while high - low > 8:
        middle = (low + high) >> 1
        if entries[middle] < least:
            low = middle + 1
        else:
            high = middle
    while low < high and entries[low] < least:
        low += 1
    return low


@kernel
def may_differ(words: int, part: int, of: int) -> int:
    """In how many elements two texts with so many words together may differ, at the limit."""
    return words - 2 * ((part * words + 2 * of - 1) // (2 * of))


@kernel
def alike(i: int, j: int, rouge: Rouge, space: Scratch) -> bool:
    """Whether ROUGE-L F of texts ``i`` and ``j`` reaches the limit, in both views."""
    a = rouge.words[rouge.starts[i] : rouge.starts[i + 1]]
    b = rouge.words[rouge.starts[j] : rouge.starts[j + 1]]
    if len(a) == 0 or len(b) == 0:
        return False
    common = lcs_length(a, b, space.masks, space.carries)
    enough = common >= _needed(len(a) + len(b), rouge.part, rouge.of)
    return enough and alike_in_all(i, j, rouge, space)


@kernel
def alike_in_all(i: int, j: int, rouge: Rouge, space: Scratch) -> bool:
    """Whether texts that reach the limit outside their frames do so in all of their words."""
    a = rouge.whole[rouge.whole_starts[i] : rouge.whole_starts[i + 1]]
    b = rouge.whole[rouge.whole_starts[j] : rouge.whole_starts[j + 1]]
    outside = rouge.starts[i + 1] - rouge.starts[i] + rouge.starts[j + 1] - rouge.starts[j]
    if len(a) + len(b) == outside:
        return True  # no frame in either: the views are the same
    needed = _needed(len(a) + len(b), rouge.part, rouge.of)
    return lcs_length(a, b, space.masks, space.carries) >= needed


@kernel
def _needed(words: int, part: int, of: int) -> int:
    """The least LCS of two texts that have so many words together."""
    return (part * words + 2 * of - 1) // (2 * of)


@kernel
def _prefix(size: int, part: int, of: int) -> int:
    """How many of its rarest elements a text is indexed and looked up by."""
    if size == 0:
        return 0
    shortest = -((-size * part) // (2 * of - part))
    return size - _needed(size + shortest, part, of) + 1


@kernel
def _width(part: int, of: int) -> float:
    """The share of its elements that a long text is indexed by."""
    return 1 - part / (2 * of - part)


@kernel
def _slice(place: int, size: int, rouge: Rouge) -> int:
    """How far down the order an element stands, in slices of what is indexed."""
    width = _width(rouge.part, rouge.of)
    k = 0 if width <= 0 else int(place * SLICES / (size * width) - _SLACK)
    return min(k, SLICES - 1)


@kernel
def measure(
    rows: NDArray[np.int64],
    others: NDArray[np.int64],
    rouge: Rouge,
    space: Scratch,
    shares: NDArray[np.float64],
) -> None:
    """ROUGE-L F of each of ``rows`` and the text beside it in ``others``: the smaller view's.
    Rounded, for people to read."""
    for k in range(len(rows)):
        i, j = rows[k], others[k]
        a = rouge.words[rouge.starts[i] : rouge.starts[i + 1]]
        b = rouge.words[rouge.starts[j] : rouge.starts[j + 1]]
        share = 2 * lcs_length(a, b, space.masks, space.carries) / (len(a) + len(b))
        a = rouge.whole[rouge.whole_starts[i] : rouge.whole_starts[i + 1]]
        b = rouge.whole[rouge.whole_starts[j] : rouge.whole_starts[j + 1]]
        common = lcs_length(a, b, space.masks, space.carries)
        shares[k] = min(share, 2 * common / (len(a) + len(b)))
