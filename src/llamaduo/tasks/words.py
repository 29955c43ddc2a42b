"""Words of a text, in every script, and the similarities that rest on them.

On ASCII text :func:`words` equals rouge-score's default tokenizer without stemming (its
alphabet is a–z and 0–9). Outside ASCII that tokenizer finds nothing, so here a word is a run
of Unicode letters, marks and digits, and each character is a word where a script does not
put spaces between words (Han, Kana, Thai, Lao, Khmer, Myanmar): a letter with its marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_UNSPACED = (
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "HALFWIDTH KATAKANA",
    "IDEOGRAPHIC",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
)
_ZERO_WIDTH_SPACE = "\u200b"
_ENDS, _ADDS = "\f", "\b"
"""Stand after a character that is a word, and before a mark that belongs to such a one. A text's
own control characters are gone by then: they separate words."""


class _Spacing(dict[int, str]):
    """A :meth:`str.translate` table that leaves words with spaces between them.

    It fills itself as characters are met: Python's ``\\w`` leaves out combining marks (the
    vowel signs of Devanagari, among others), and a table of all of Unicode takes too long.
    """

    def __missing__(self, code: int) -> str:
        spaced = self[code] = _spaced(chr(code))
        return spaced


def _spaced(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cf":  # joiners, soft hyphens and direction marks are inside words
        return " " if char == _ZERO_WIDTH_SPACE else ""
    if category[0] not in "LMN":
        return " "
    if not unicodedata.name(char, "").startswith(_UNSPACED):
        return char
    return f"{_ADDS if category[0] == 'M' else ' '}{char}{_ENDS}"


_SPACING = _Spacing()


def words(text: str) -> list[str]:
    """The words of ``text`` in lower case, in order."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    # Accents may be written as one character or two: composed, both are the same word.
    spaced = unicodedata.normalize("NFC", text.lower()).translate(_SPACING)
    return spaced.replace(_ENDS + _ADDS, "").replace(_ADDS, " ").split()


def shingles(tokens: Sequence[str], size: int = 3) -> frozenset[tuple[str, ...]]:
    """Every run of ``size`` words; the whole text as one run when it is shorter."""
    if len(tokens) <= size:
        return frozenset([tuple(tokens)]) if tokens else frozenset()
    return frozenset(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """|a ∩ b| ÷ |a ∪ b|: what MinHash estimates. 0 when both are empty."""
    union = len(a | b)
    return len(a & b) / union if union else 0.0


def lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, bit-parallel (Hyyrö 2004)."""
    if not a or not b:
        return 0
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | (1 << i)
    everything = (1 << len(a)) - 1
    row = everything
    for word in b:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & everything
    return len(a) - row.bit_count()


def rouge_l(a: Sequence[str], b: Sequence[str]) -> float:
    """ROUGE-L F-measure of two token lists, 0 to 1. 0 when either is empty."""
    if not a or not b:
        return 0.0
    return 2 * lcs_length(a, b) / (len(a) + len(b))
