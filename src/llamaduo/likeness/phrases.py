"""Runs of words in a row, numbered, and found again in other texts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import kernel
from llamaduo.likeness.texts import Texts

_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Phrases(NamedTuple):
    """The runs of ``size`` words of some texts.

    ``numbers`` has, for each place in ``words``, the number of the run that starts there; -1
    where none does. ``slots`` is a hash table of the places where each run stands first.
    """

    words: NDArray[np.int32]
    numbers: NDArray[np.int32]
    slots: NDArray[np.int64]
    size: int
    kinds: int


def phrases_of(texts: Texts, size: int, apart: NDArray[np.bool_] | None = None) -> Phrases:
    """The runs of ``texts``, but for those with a word that ``apart`` marks."""
    count = len(texts.words)
    slots = np.full(1 << (2 * count + 1).bit_length(), -1, np.int64)
    numbers = np.full(count, -1, np.int32)
    apart = np.zeros(count, np.bool_) if apart is None else apart
    empty = Phrases(texts.words, numbers, slots, size, 0)
    return empty._replace(kinds=_number(empty, texts.starts, apart))


@kernel
def _number(phrases: Phrases, starts: NDArray[np.int64], apart: NDArray[np.bool_]) -> int:
    """Fill the table of ``phrases``; how many different runs there are."""
    words, slots, numbers = phrases.words, phrases.slots, phrases.numbers
    kinds = 0
    for i in range(len(starts) - 1):
        for place in range(starts[i], starts[i + 1] - phrases.size + 1):
            if np.any(apart[place : place + phrases.size]):
                continue
            slot = _slot(words, slots, phrases.size, words, place)
            if slots[slot] < 0:
                slots[slot] = place
                numbers[place] = kinds
                kinds += 1
            else:
                numbers[place] = numbers[slots[slot]]
    return kinds


@kernel
def find_all(phrases: Phrases, words: NDArray[np.int32], found: NDArray[np.int32]) -> int:
    """Put the number of the run that starts at each place of ``words`` into ``found``, -1 where
    it is none of them; how many places there are.

    All at once: taking a record of arrays apart costs more than the search for one run.
    """
    known, slots, numbers = phrases.words, phrases.slots, phrases.numbers
    count = max(0, len(words) - phrases.size + 1)
    for place in range(count):
        first = slots[_slot(known, slots, phrases.size, words, place)]
        found[place] = numbers[first] if first >= 0 else -1
    return count


@kernel
def _slot(
    known: NDArray[np.int32],
    slots: NDArray[np.int64],
    size: int,
    words: NDArray[np.int32],
    place: int,
) -> int:
    """Where in the table the run at ``place`` of ``words`` stands, or would."""
    key = np.uint64(0)
    for k in range(size):
        key = (key ^ np.uint64(words[place + k])) * _SPREAD
        key ^= key >> np.uint64(29)
    last = len(slots) - 1
    slot = np.int64(key & np.uint64(last))
    while slots[slot] >= 0:
        first, k = slots[slot], 0
        while k < size and known[first + k] == words[place + k]:
            k += 1
        if k == size:
            break
        slot = (slot + 1) & last
    return int(slot)
