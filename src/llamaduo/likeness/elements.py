"""Texts as sets of elements, rarest first, for finding those that share many.

An element is a word with the number of times it has occurred before in the text, so that sets
share as many elements as the texts share words: an upper bound on the length of their longest
common subsequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import Workers, kernel
from llamaduo.likeness.lcs import popcount
from llamaduo.likeness.texts import Texts

BITMAP_WORDS = 8
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """Set i is ``ranks[starts[i]:starts[i + 1]]``, ascending: 0 is the rarest element.

    ``bitmaps`` (rows × 8 words of 64 bits) has the parity of the elements that fall on each
    bit: two bitmaps never differ in more bits than the sets differ in elements. ``sketches``
    (rows × 2) are the bitmaps folded to a quarter: they say less, and stay in the processor's
    cache.
    """

    ranks: NDArray[np.int32]
    starts: NDArray[np.int64]
    bitmaps: NDArray[np.uint64]
    sketches: NDArray[np.uint64]
    kinds: int
    """How many different elements there are."""
    lone: int
    """How many of them are in one set only. They come first."""


def elements_of(texts: Texts, words: int, workers: Workers) -> Elements:
    """The elements of each text. ``words`` is the size of the vocabulary."""
    most = np.zeros(words, np.int32)
    _count_repeats(texts.words, texts.starts, most, np.zeros(words, np.int32))
    first = np.zeros(words + 1, np.int64)
    np.cumsum(most, out=first[1:])
    ranks = np.empty(len(texts.words), np.int32)
    frequency = np.zeros(first[-1], np.int64)
    _number(texts.words, texts.starts, first, ranks, frequency, np.zeros(words, np.int32))
    order = np.argsort(frequency, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    bitmaps = np.zeros((len(texts), BITMAP_WORDS), np.uint64)
    workers.share(len(texts), partial(_rank, texts.starts, rank, ranks, bitmaps))
    lone = int(np.count_nonzero(frequency == 1))
    return Elements(ranks, texts.starts, bitmaps, folded(bitmaps), len(order), lone)


@kernel
def _count_repeats(
    words: NDArray[np.int32],
    starts: NDArray[np.int64],
    most: NDArray[np.int32],
    seen: NDArray[np.int32],
) -> None:
    """``most`` of a word: how often it occurs in the text that has it most often."""
    for i in range(len(starts) - 1):
        for j in range(starts[i], starts[i + 1]):
            word = words[j]
            seen[word] += 1
            most[word] = max(most[word], seen[word])
        for j in range(starts[i], starts[i + 1]):
            seen[words[j]] = 0


@kernel
def _number(
    words: NDArray[np.int32],
    starts: NDArray[np.int64],
    first: NDArray[np.int64],
    numbers: NDArray[np.int32],
    frequency: NDArray[np.int64],
    seen: NDArray[np.int32],
) -> None:
    """The number of the element at each place, and how many texts have each element."""
    for i in range(len(starts) - 1):
        for j in range(starts[i], starts[i + 1]):
            word = words[j]
            number = first[word] + seen[word]
            seen[word] += 1
            numbers[j] = number
            frequency[number] += 1
        for j in range(starts[i], starts[i + 1]):
            seen[words[j]] = 0


@kernel
def _rank(
    starts: NDArray[np.int64],
    rank: NDArray[np.int32],
    ranks: NDArray[np.int32],
    bitmaps: NDArray[np.uint64],
    low: int,
    high: int,
) -> None:
    """Put each text's element numbers into the order of their ranks, and draw its bitmap."""
    for i in range(low, high):
        own = ranks[starts[i] : starts[i + 1]]
        for j in range(len(own)):
            own[j] = rank[own[j]]
            flip(bitmaps[i], np.uint64(own[j]))
        own.sort()


def folded(bitmaps: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Bitmaps of a quarter of the bits, each the parity of four."""
    folds = bitmaps.reshape(len(bitmaps), BITMAP_WORDS // 2, 2)
    return np.asarray(np.bitwise_xor.reduce(folds, axis=1), np.uint64)


@kernel
def flip(bitmap: NDArray[np.uint64], element: np.uint64) -> None:
    """Flip the bit that ``element`` falls on."""
    bit = (element * _SPREAD) >> np.uint64(55)
    bitmap[bit >> np.uint64(6)] ^= np.uint64(1) << (bit & np.uint64(63))


@kernel
def differ(bitmaps: NDArray[np.uint64], i: int, j: int, most: int) -> bool:
    """Whether the bitmaps of sets ``i`` and ``j`` differ in more than ``most`` bits."""
    bits = 0
    for k in range(BITMAP_WORDS):
        bits += popcount(bitmaps[i, k] ^ bitmaps[j, k])
    return bits > most


@kernel
def differ_at_once(sketches: NDArray[np.uint64], i: int, j: int, most: int) -> bool:
    """:func:`differ`, as far as the sketches tell."""
    bits = popcount(sketches[i, 0] ^ sketches[j, 0]) + popcount(sketches[i, 1] ^ sketches[j, 1])
    return bits > most
