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
    r"(?:(?<![\w+])\+|(?<![\w.,+/#$€£-])(?<!\d )\(?(?:00|011[ -])(?! 0) ?)"
    r"([1-9](?:\)?[ ./-]{0,3}\(?[0-9]\)?){6,14}+)(?![0-9]|[ .-]?\d)"
)
_ABROAD = re.compile(r"\(?(?:\+|00|011[ -])")
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
    r"(?<![\w.,+/#$€£-])(?<!\d )\(?0[1-9](?:\d{1,4}\)?(?:[ /]{1,3}|-)\d{2,8}(?:[ .-]\d{1,5}){0,3}"
    r"|([ .-])\d\d(?:\1\d\d){3}|-(?:\d{4}-\d{4}|\d{8}))(?![\w/]|[ .,-]\d)"
    r"|(?<![\w.,+/#$€£-])8 ?\(\d{3}\) ?\d{3}[ -]\d\d[ -]\d\d(?!\d)",
    re.ASCII,
)
_ANNOUNCED = re.compile(
    r"\b(?:tele(?:ph|f)one?|telefono|telefon|teléfono|téléphone|portable|tele?|tel|phone|fax|"
    r"mobile|mobil|móvil|cell(?:phone)?|cellulare|handy|rufnummer|hotline|whatsapp|call|"
    r"ring|dial|sms|my number(?= is\b))(?![^\W_])"
    r"(?:[ .:_]{1,3}(?:me|us|him|her|them|back|number|no|nr|nummer|is|on|at|unter)\b){0,4}"
    r"[ .:#=\"'-]{1,4}([+(]?[0-9](?:[ ()./-]{0,2}[0-9]){6,14}+)(?![0-9]|[ .,-]\d)",
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
FICTION: Final = {
    "33": ("19900", "26191", "35301", "46571", "53649", "63998"),  # ARCEP
    "44": ("2079460", "1614960", "1134960", "1632960", "7700900"),  # Ofcom
    "49": ("3023125", "4066969", "6990009", "8999998", "2214710"),  # Bundesnetzagentur
    "61": ("25550", "35550", "75550", "85550", "27010", "37010", "77010", "87010"),  # ACMA
}
"""Numbers that regulators keep for films and books, by calling code: how the national number
(without its leading 0) begins. France, Great Britain and Australia give all their digits."""
NATIONAL_DIGITS: Final = {"33": 9, "44": 10, "49": 10, "61": 9}
"""How many digits such a number has after the calling code."""
_LONGEST_WORD = 30
_ENOUGH = re.compile(r"[0-9](?:[^0-9]{0,4}[0-9]){6}")
"""What every shape has: prose without it is not searched for them."""


def phones(text: str) -> Iterator[Span]:
    """Telephone numbers, but for those that are nobody's (see :func:`is_fiction`)."""
    if not _ENOUGH.search(text):
        return
    found = [
        *(m.span() for m in _INTERNATIONAL.finditer(text) if _is_dialled(m[0])),
        *(m.span() for m in _AMERICAN.finditer(text) if not (is_fiction(m[0]) or _is_other(m))),
        *(m.span() for m in _NATIONAL.finditer(text) if _is_long(m[0]) and not _is_other(m)),
        *(match.span(1) for match in _ANNOUNCED.finditer(text) if _is_announced(match[1])),
    ]
    last = 0
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if start >= last:
            yield start, end
            last = end


def is_fiction(number: str) -> bool:
    """Whether a number is kept for fiction: any that ends in 555-0100 to 555-0199, as North
    America keeps them and other countries' stand-ins have it, or one of :data:`FICTION`."""
    digits = _digits(number)
    if len(digits) >= 7 and digits[-7:-2] == "55501":
        return True
    if abroad := digits_abroad(number):
        return _is_reserved(abroad[:2], abroad[2:].removeprefix("0"))
    return digits.startswith("0") and any(_is_reserved(code, digits[1:]) for code in FICTION)


def _is_reserved(code: str, national: str) -> bool:
    return len(national) == NATIONAL_DIGITS.get(code) and national.startswith(FICTION[code])


def calling_code(digits: str) -> str:
    """The country's code that an international number begins with; empty if there is none."""
    found = _CALLING_CODES.match(digits)
    return found[0] if found else ""


def digits_abroad(number: str) -> str:
    """The digits of an international number, from the country's code on; empty for another."""
    found = _ABROAD.match(number)
    return _digits(number[found.end() :]) if found else ""


def _is_dialled(number: str) -> bool:
    """Whether an international number begins with a country's code and can have this length.
    One that begins with zeros alone is told from an order's number by its groups."""
    digits = digits_abroad(number)
    if is_fiction(number) or number.isdigit():
        return False
    if digits.startswith("1"):
        return len(digits) == 11 and digits[1] not in "01"
    return len(digits) >= 8 and calling_code(digits) != ""


def _is_announced(number: str) -> bool:
    if number.startswith("+"):
        return _is_dialled(number)
    return len(_digits(number)) <= 15 and not is_fiction(number) and not _DATE.match(number)


def _is_long(number: str) -> bool:
    long = 9 <= len(_digits(number)) <= 12
    return long and not is_fiction(number) and not _DATE.match(number)


def _is_other(match: re.Match[str]) -> bool:
    """Whether the words before it say that this is some other number."""
    before = match.string[max(0, match.start() - _LONGEST_WORD) : match.start()]
    return _OTHER.search(before) is not None


def _digits(number: str) -> str:
    return re.sub(r"[^0-9]", "", number)
