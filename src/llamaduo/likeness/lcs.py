"""The longest common subsequence of two texts, bit-parallel (Hyyrö 2004)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import kernel

_ONE = np.uint64(1)
_NONE = np.uint64(0)
_ALL = ~np.uint64(0)


@kernel
def lcs_length(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    masks: NDArray[np.uint64],
    carries: NDArray[np.uint8],
) -> int:
    """Length of the longest common subsequence of ``a`` and ``b``.

    ``a`` is taken 64 words at a time; what one such block carries into the next waits in
    ``carries`` (at least as long as either text). ``masks`` has a place for each word of the
    vocabulary; it is all zeros, before and after.
    """
    if len(a) * ((len(b) + 63) // 64) < len(b) * ((len(a) + 63) // 64):
        a, b = b, a
    for j in range(len(b)):
        carries[j] = 0
    length = 0
    for first in range(0, len(a), 64):
        last = min(first + 64, len(a))
        for i in range(first, last):
            masks[a[i]] |= _ONE << np.uint64(i - first)
        row = _ALL
        for j in range(len(b)):
            match = row & masks[b[j]]
            total = row + match
            carry = total < row
            added = total + np.uint64(carries[j])
            carries[j] = carry or added < total
            row = added | (row - match)
        for i in range(first, last):
            masks[a[i]] = _NONE
        length += _zeros(row, last - first)
    return length


@kernel
def _zeros(row: Any, bits: int) -> int:
    """How many of the lowest ``bits`` bits are 0."""
    kept = ~row
    if bits < 64:
        kept &= (_ONE << np.uint64(bits)) - _ONE
    return popcount(kept)


@kernel
def popcount(word: Any) -> int:
    """How many bits of an unsigned 64-bit number are 1."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((word * np.uint64(0x0101010101010101)) >> np.uint64(56))
