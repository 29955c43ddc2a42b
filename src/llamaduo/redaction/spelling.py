"""Texts as a person reads them: what JSON, addresses of pages and word processors write in
another way is written plainly, so that every finder has one spelling to know.

JSON in a text (an escaped line break before a number, ``\\u0040``), escapes of the web (``%40``),
full-width letters and digits, digits of other scripts, hard spaces and dashes, and characters
that are not seen at all.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

_SPACES = (
    "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
_DASHES = "\u2010\u2011\u2012\u2013\u2212"
_UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
_ZEROS = (0x660, 0x6F0, 0x966, 0x9E6)
"""Where the digits of Arabic, Persian, Hindi and Bengali begin."""
_PLAIN = {
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys(_DASHES, "-"),
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full width
    **{chr(zero + digit): str(digit) for zero in _ZEROS for digit in range(10)},
    **dict.fromkeys(("%20", "&nbsp;"), " "),
    **dict.fromkeys(("%2B", "%2b"), "+"),
    **dict.fromkeys(("%40", "&#64;"), "@"),
    **dict(zip("nrt", "\n\r\t", strict=True)),
}
_CHARACTERS = f"{_SPACES}{_DASHES}{_UNSEEN}\uff01-\uff5e" + "".join(
    f"{chr(zero)}-{chr(zero + 9)}" for zero in _ZEROS
)
_MARKS = re.compile(f"[\\\\%&{_CHARACTERS}]")
"""What most texts have none of."""
_ODD = re.compile(
    r"(?<!\\)\\{1,8}+(?:u(?P<code>[0-9A-Fa-f]{4})|(?P<short>[nrt\"/]))"
    r"|%40|%2[Bb0]|&#64;|&nbsp;"
    f"|[{_CHARACTERS}]"
)


@dataclass(frozen=True, slots=True)
class Plain:
    """A text written plainly, and where its characters come from."""

    text: str
    _places: list[int] = field(default_factory=list)
    _origins: list[int] = field(default_factory=list)
    """From each of these places on, characters come from there on."""
    _ends: dict[int, int] = field(default_factory=dict)
    """Where what was written in several characters ends."""

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where ``text[start:end]`` stands in what it was made of; it is not empty."""
        last = end - 1
        return self._origin(start), self._ends.get(last) or self._origin(last) + 1

    def _origin(self, place: int) -> int:
        before = bisect_right(self._places, place) - 1
        return place if before < 0 else self._origins[before] + place - self._places[before]


def plainly(text: str) -> Plain:
    """``text`` written plainly. The time is linear in its length."""
    if not _MARKS.search(text):
        return Plain(text)
    parts: list[str] = []
    places: list[int] = []
    origins: list[int] = []
    ends: dict[int, int] = {}
    last = length = 0
    for match in _ODD.finditer(text):
        start, end = match.span()
        character = _meant(match)
        parts += (text[last:start], character)
        length += start - last + len(character)
        last = end
        if end - start != len(character):
            places.append(length)
            origins.append(end)
            if character:
                ends[length - 1] = end
    return Plain("".join((*parts, text[last:])), places, origins, ends)


def _meant(match: re.Match[str]) -> str:
    """The one character that is meant; none for what is not seen."""
    if code := match["code"]:
        character = chr(int(code, 16))
        return _PLAIN.get(character, "" if _ODD.fullmatch(character) else character)
    written = match["short"] or match[0]
    return written if written in ('"', "/") else _PLAIN.get(written, "")
