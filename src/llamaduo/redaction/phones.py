"""Telephone numbers, in the shapes that tell them from orders, dates and prices.

Four shapes count: international (``+49 30 901820``); North American (``(415) 555-2671``);
national with a leading 0 and its groups set apart (``0171 9876543``); and any after a word that
announces one (``phone: 9018200``). A bare run of digits does not: it is far more often an order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from llamaduo.redaction.identifiers import Span

_INTERNATIONAL = re.compile(
    r"(?<![\w+])\+[1-9](?:[ \u00a0./-]?[( ]?[0-9]\)?){6,14}+(?![0-9]|[ .-]?\d)"
)
_CALLING_CODES: Final = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|2[1-689]\d|3[578]\d|42\d|5[09]\d|6[7-9]\d|8[0578]\d|9[679]\d"
)
_AMERICAN = re.compile(
    r"(?<![\w.+/#$€£-])(?<!\d )(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])([2-9]\d\d)[ .-](\d{4})"
    r"(?![\w/]|[ .,-]\d)",
    re.ASCII,
)
_NATIONAL = re.compile(
    r"(?<![\w.,+/#$€£-])(?<!\d )\(?0[1-9](?:\d{1,4}\)?(?:[ /]{1,3}|-)\d{2,8}(?:[ -]\d{1,5}){0,3}"
    r"|(?:([ .])\d\d)(?:\1\d\d){3})(?![\w/]|[ .,-]\d)",
    re.ASCII,
)
_ANNOUNCED = re.compile(
    r"\b(?:tele(?:ph|f)one?|telefono|telefon|teléfono|téléphone|portable|tele?|tel|phone|fax|"
    r"mobile|mobil|móvil|cell(?:phone)?|cellulare|handy|rufnummer|hotline|whatsapp|call|"
    r"ring|dial|sms)\b"
    r"(?:[ .:]{1,3}(?:me|us|him|her|them|back|number|no|nr|nummer|is|on|at|unter)\b){0,4}"
    r"[ .:#]{1,4}([+(]?[0-9](?:[ ()./-]{0,2}[0-9]){6,14}+)(?![0-9]|[ .,-]\d)",
    re.I,
)
_DATE = re.compile(
    r"(?:19|20)\d\d[ ./-]\d{1,2}[ ./-]\d{1,2}|\d{1,2}[ ./-]\d{1,2}[ ./-](?:19|20)\d\d(?!\d)"
)
_OTHER = re.compile(
    r"(?:order|invoice|ref|reference|ticket|case|tracking|parcel|serial|account|konto|item|article|"
    r"bestell\w*|rechnung\w*|kunden\w*|auftrag\w*|isbn|sku|id)"
    r"(?: ?(?:number|nummer|nr|no))?[ .:#]{0,3}$",
    re.I,
)
_LONGEST_WORD = 30
_ENOUGH = re.compile(r"[0-9](?:[^0-9]{0,4}[0-9]){6}")
"""What every shape has: prose without it is not searched for them."""


def phones(text: str) -> Iterator[Span]:
    """Telephone numbers, but for North American ones reserved for fiction (555-0100 to 0199)."""
    if not _ENOUGH.search(text):
        return
    found = [
        *(match.span() for match in _INTERNATIONAL.finditer(text) if _is_dialled(match[0])),
        *(m.span() for m in _AMERICAN.finditer(text) if not (_is_fiction(m) or _is_other(m))),
        *(m.span() for m in _NATIONAL.finditer(text) if _is_long(m[0]) and not _is_other(m)),
        *(match.span(1) for match in _ANNOUNCED.finditer(text) if _is_announced(match[1])),
    ]
    last = 0
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if start >= last:
            yield start, end
            last = end


def _is_dialled(number: str) -> bool:
    """Whether an international number begins with a country's code and can have this length."""
    digits = _digits(number)
    if digits.startswith("1"):
        fiction = digits[4:7] == "555" and digits[7:9] == "01"
        return len(digits) == 11 and digits[1] not in "01" and not fiction
    return len(digits) >= 8 and _CALLING_CODES.match(digits) is not None


def _is_announced(number: str) -> bool:
    if number.startswith("+"):
        return _is_dialled(number)
    digits = _digits(number)
    fiction = len(digits) >= 7 and digits[-7:-4] == "555" and digits[-4:-2] == "01"
    return len(digits) <= 15 and not fiction and not _DATE.match(number)


def _is_fiction(match: re.Match[str]) -> bool:
    return match[1] == "555" and match[2].startswith("01")


def _is_long(number: str) -> bool:
    return 9 <= len(_digits(number)) <= 12 and not _DATE.match(number)


def _is_other(match: re.Match[str]) -> bool:
    """Whether the words before it say that this is some other number."""
    before = match.string[max(0, match.start() - _LONGEST_WORD) : match.start()]
    return _OTHER.search(before) is not None


def _digits(number: str) -> str:
    return re.sub(r"[^0-9]", "", number)
