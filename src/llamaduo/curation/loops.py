"""Which texts repeat themselves.

:func:`repeats_itself` takes 5 to 40 µs a text, mostly to make its words. So :func:`repeating`
looks at many first, in 2 µs each: it reads code points and compares words by their hashes. That
look may suspect a text that does not loop, and never misses one that does.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from operator import eq

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import kernel
from llamaduo.tasks.words import words

LOOP_TIMES = 4
LOOP_WORDS = 16
LONGEST_LOOP = 24
STUTTER_TIMES = 50

_REPEATED = LOOP_WORDS - LOOP_WORDS // LOOP_TIMES
"""The fewest words of a loop that occurred before: it has a quarter of its words, four times."""
_STUTTER = re.compile(rf"([^\W_]{{1,8}}?)\1{{{STUTTER_TIMES - 1}}}")

_ASCII_WORDS = bytes(
    ord(chr(c).lower()) if c < 128 and chr(c).isalnum() else 32 for c in range(256)
)
"""A :meth:`bytes.translate` table that leaves words in lower case, and spaces."""

_UNKNOWN, _BETWEEN, _INSIDE, _ALONE, _NOTHING = range(5)
"""What a character is to a word: one that ends it, a letter of it, a word of its own, nothing."""

_NO_WORD = np.uint64(0)
_ODD = np.uint64(1)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_RING = 32  # a power of two, and more than LONGEST_LOOP

_roles = np.full(sys.maxunicode + 1, _UNKNOWN, np.uint8)  # filled in as characters are met


def repeats_itself(text: str) -> bool:
    """The same words at least four times in a row, sixteen words or more in all; or the same
    few letters fifty times. What is repeated may have up to 24 words."""
    return len(text) >= LOOP_WORDS and (_stutters(text) or _loops(quick_words(text)))


def quick_words(text: str) -> Sequence[str] | Sequence[bytes]:
    """The words of ``text``, of ASCII as bytes: three times as fast."""
    return text.encode().translate(_ASCII_WORDS).split() if text.isascii() else words(text)


def _stutters(text: str) -> bool:
    """It would cover fifty characters at least, so one of these windows is full of them."""
    half = STUTTER_TIMES // 2
    windows = (text[i : i + half] for i in range(0, len(text) - half + 1, half))
    return any(map(str.isalnum, windows)) and _STUTTER.search(text) is not None


def _loops(tokens: Sequence[str] | Sequence[bytes]) -> bool:
    if len(tokens) - len(set(tokens)) < _REPEATED:
        return False
    return any(_repeats(tokens, period) for period in range(1, LONGEST_LOOP + 1))


def _repeats(tokens: Sequence[str] | Sequence[bytes], period: int) -> bool:
    """A loop of ``period`` words: each word equals the one ``period`` before it, for long.

    For so long that one of the words at regular distances does. These are looked at first.
    """
    needed = max(LOOP_WORDS, LOOP_TIMES * period) - period
    if not any(map(eq, tokens[needed - 1 :: needed], tokens[needed - 1 + period :: needed])):
        return False
    equal = bytes(map(eq, tokens, tokens[period:]))
    return b"\x01" * needed in equal


def repeating(texts: Sequence[str]) -> list[bool]:
    """:func:`repeats_itself` of each text."""
    folded = [_folded(text) for text in texts]
    codes = np.frombuffer("\n".join([*folded, ""]).encode("utf-32-le", "surrogatepass"), np.uint32)
    ends = np.cumsum(np.fromiter(map(len, folded), np.int64, len(folded)) + 1)
    _learn(codes)
    suspects = _suspects(codes, ends, _roles).tolist()
    return [odd and repeats_itself(text) for odd, text in zip(suspects, texts, strict=True)]


def _folded(text: str) -> str:
    """As :func:`~llamaduo.tasks.words.words` folds it."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text.lower())


def _learn(codes: NDArray[np.uint32]) -> None:
    """The roles of the characters that are met for the first time."""
    at = 0
    while (at := _unknown(codes, at, _roles)) < len(codes):
        _roles[codes[at]] = _role(chr(codes[at]))


def _role(char: str) -> int:
    around = words(f"a{char}a")
    if around == ["a", "a"]:
        return _BETWEEN
    if around == ["aa"]:
        return _NOTHING
    return _INSIDE if len(around) == 1 else _ALONE


@kernel
def _unknown(codes: NDArray[np.uint32], at: int, roles: NDArray[np.uint8]) -> int:
    """The next place from ``at`` on with a character whose role is not known, or the end."""
    while at < len(codes) and roles[codes[at]] != _UNKNOWN:
        at += 1
    return at


@kernel
def _suspects(
    codes: NDArray[np.uint32], ends: NDArray[np.int64], roles: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """For each text whether it has a loop of words (by their hashes), or letters in a row enough
    to stutter. ``ends``: past the line break that follows each text."""
    found = np.zeros(len(ends), np.bool_)
    latest = np.zeros(_RING, np.uint64)
    equal = np.zeros(LONGEST_LOOP, np.int64)
    first = 0
    for text in range(len(ends)):
        equal[:] = 0
        count, letters, word = 0, 0, _NO_WORD
        for i in range(first, ends[text]):
            role = roles[codes[i]]
            if role == _NOTHING:
                continue
            if role != _INSIDE and word != _NO_WORD:
                found[text] |= _ends_loop(word, count, latest, equal)
                count, word = count + 1, _NO_WORD
            if role == _BETWEEN:
                letters = 0
                continue
            letters += 1
            found[text] |= letters >= STUTTER_TIMES
            word = _hashed(word, codes[i])
            if role == _ALONE:
                found[text] |= _ends_loop(word, count, latest, equal)
                count, word = count + 1, _NO_WORD
        first = ends[text]
    return found


@kernel
def _hashed(word: np.uint64, code: np.uint32) -> np.uint64:
    """The hash of ``word`` with one more letter; never that of no word."""
    mixed = (word ^ np.uint64(code)) * _FACTOR
    return mixed ^ (mixed >> np.uint64(29)) | _ODD


@kernel
def _ends_loop(
    word: np.uint64, count: int, latest: NDArray[np.uint64], equal: NDArray[np.int64]
) -> bool:
    """Take in the next ``word``, which ``count`` others precede: is it the last of a loop?

    ``latest`` is a ring of the latest words. ``equal[p - 1]`` is how many words in a row equal
    the one ``p`` before them.
    """
    found = False
    for period in range(1, min(count, LONGEST_LOOP) + 1):
        if latest[(count - period) & (_RING - 1)] == word:
            equal[period - 1] += 1
            found |= equal[period - 1] >= max(LOOP_WORDS, LOOP_TIMES * period) - period
        else:
            equal[period - 1] = 0
    latest[count & (_RING - 1)] = word
    return found
