"""Text outside ASCII, rewritten so that bytes alone tell where its words are."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import kernel
from llamaduo.tasks.words import words

_UNKNOWN, _BETWEEN, _WITHIN, _ALONE, _NOTHING, _ADDED = range(6)
_SPACE = 32


class Spacing:
    """What each character does to the words around it, by its number in Unicode.

    It separates them, is part of one, is one alone (where a script has no spaces), is added to
    such a one (its marks), or is not there (joiners). :func:`llamaduo.tasks.words.words` says
    which, and is asked once about a character, when it is first met.
    """

    def __init__(self) -> None:
        self._kinds = np.zeros(sys.maxunicode + 1, np.uint8)

    def spaced(self, texts: Sequence[str]) -> list[bytes]:
        """Each text as UTF-8, in lower case, with nothing but spaces between its words."""
        lowered = [unicodedata.normalize("NFC", text.lower()) for text in texts]
        data = "".join(lowered).encode("utf-32-le", "surrogatepass")
        codes = np.frombuffer(data, np.uint32)
        self._learn(codes)
        ends = np.cumsum([len(text) for text in lowered], dtype=np.int64)
        written = np.empty(6 * len(codes), np.uint8)  # at most 4 bytes, and a space either side
        _write(codes, self._kinds, ends, written)
        spaced = written[: ends[-1] if len(ends) else 0].tobytes()
        return [spaced[first:last] for first, last in pairwise((0, *ends.tolist()))]

    def _learn(self, codes: NDArray[np.uint32]) -> None:
        for code in np.unique(codes[self._kinds[codes] == _UNKNOWN]):
            self._kinds[code] = _kind(chr(code))


def _kind(char: str) -> int:
    """How ``char`` spaces the words of a text in lower case and composed."""
    pieces = words(f"a{char}b\u00e9")  # é: not ASCII, so that every character gets the same way
    if len(pieces) == 3:
        return _ADDED if len(words(f"ก{char}")) == 1 else _ALONE
    if len(pieces) == 2:
        return _BETWEEN
    return _NOTHING if pieces == ["ab\u00e9"] else _WITHIN


@kernel
def _write(
    codes: NDArray[np.uint32],
    kinds: NDArray[np.uint8],
    ends: NDArray[np.int64],
    written: NDArray[np.uint8],
) -> None:
    """Write the texts that end before ``ends``; then ``ends`` says where they end in bytes."""
    place = 0
    i = 0
    for text in range(len(ends)):
        after_one = False  # the last word is a character, to which a mark may be added
        while i < ends[text]:
            code = np.int64(codes[i])
            kind = kinds[code]
            if kind == _ADDED and after_one:
                place -= 1
            elif kind in (_BETWEEN, _ALONE, _ADDED):
                written[place] = _SPACE
                place += 1
            if kind in (_WITHIN, _ALONE, _ADDED):
                place = _encode(code, written, place)
            if kind in (_ALONE, _ADDED):
                written[place] = _SPACE
                place += 1
            if kind != _NOTHING:
                after_one = kind in (_ALONE, _ADDED)
            i += 1
        ends[text] = place


@kernel
def _encode(code: Any, written: NDArray[np.uint8], place: int) -> int:
    """Write a character as UTF-8 at ``place``; the place after it."""
    if code < 0x80:
        written[place] = code
        return place + 1
    if code < 0x800:
        written[place] = 0xC0 | (code >> 6)
        written[place + 1] = 0x80 | (code & 0x3F)
        return place + 2
    if code < 0x10000:
        written[place] = 0xE0 | (code >> 12)
        written[place + 1] = 0x80 | ((code >> 6) & 0x3F)
        written[place + 2] = 0x80 | (code & 0x3F)
        return place + 3
    written[place] = 0xF0 | (code >> 18)
    written[place + 1] = 0x80 | ((code >> 12) & 0x3F)
    written[place + 2] = 0x80 | ((code >> 6) & 0x3F)
    written[place + 3] = 0x80 | (code & 0x3F)
    return place + 4
