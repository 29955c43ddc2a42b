"""Email addresses, card numbers, bank accounts and internet addresses.

Each candidate is checked by what its kind provides: a check digit, a country's length, the
registry of address blocks. Every expression here is bounded or possessive, so that no text
makes it slow.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

Span = tuple[int, int]

# --- email --------------------------------------------------------------------------------

_EMAIL = re.compile(
    r"(?<![\w%+-])(?<![\w%+-]\.)[\w%+-](?:[\w%+'-]|\.(?!\.)){0,63}+"
    r"(?:@|\s?[\[({]\s?(?:at|@)\s?[\])}]\s?)"
    r"((?:[\w-]{1,63}(?:\.|\s?[\[({]\s?(?:dot|\.)\s?[\])}]\s?)){1,8}"
    r"(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24}))(?![^\W_]|-\w)",
    re.I,
)
_RESERVED = ("example", "invalid", "test", "localhost", "example.com", "example.net", "example.org")
"""RFC 2606: nobody can receive mail there."""


_AT = re.compile(r"[\[({]\s?at\s?[\])}]", re.I)
_DOT = re.compile(r"\s?[\[({]\s?(?:dot|\.)\s?[\])}]\s?", re.I)
_LOGIN = re.compile(r"://[^\s/:@]{0,64}+:[^\s/@]{0,128}+\Z")
"""Before an address that is none: the password and host of ``scheme://user:password@host``."""


def emails(text: str) -> Iterator[Span]:
    """Email addresses, but for those in domains that are reserved for examples."""
    if "@" not in text and not _AT.search(text):
        return
    for match in _EMAIL.finditer(text):
        domain = _DOT.sub(".", match[1]).lower()
        reserved = any(domain == name or domain.endswith(f".{name}") for name in _RESERVED)
        if not reserved and not _LOGIN.search(text, max(0, match.start() - 200), match.start()):
            yield match.span()


# --- payment cards ------------------------------------------------------------------------

_CARD = re.compile(
    r"(?<![\w.,/+-])(?<!\d{4} )(?:[0-9]{13,19}"
    r"|[0-9]{4}([ ._-]{1,2}|\s)[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}"
    r"|[0-9]{4}([ ._-]{1,2})[0-9]{6}\2[0-9]{4,5})(?!\w|[.,-]\d| \d{4} ?\d{3})"
)
"""Month and year, or the number on the back, may stand beside it; more groups of four may not."""
_GROUPS = re.compile(r"[0-9]{4}[ ._\s-]{0,2}[0-9]{4}")
_ISSUERS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[68]\d)\d{11}"  # Diners Club
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}"  # Discover, UnionPay
    r"|(?:50(?:18|20|38)|5893|6304|6759|676[1-3])\d{9,15}"  # Maestro
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
)


TEST_CARDS: Final = ("400000", "370000", "300000", "620000")
"""How the numbers begin that payment services give out for tests: no bank issues them."""


def cards(text: str) -> Iterator[Span]:
    """Card numbers: an issuer's prefix and length, and Luhn's check digit; no test numbers."""
    if not _GROUPS.search(text):
        return
    for match in _CARD.finditer(text):
        digits = re.sub(r"[^0-9]", "", match[0])
        known = _ISSUERS.fullmatch(digits) and luhn(digits)
        if known and not digits.startswith(TEST_CARDS):
            yield match.span()


def luhn(digits: str) -> bool:
    """Whether the last digit is right (ISO/IEC 7812)."""
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(n - 9 * (n > 9) for n in doubled)) % 10 == 0


# --- bank accounts ------------------------------------------------------------------------

_COUNTRIES: Final = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18
    DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23
    IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31
    MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24
    SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
"""Country and the characters of an account number there (SWIFT's IBAN registry)."""
_LENGTHS: Final = {entry[:2]: int(entry[2:]) for entry in _COUNTRIES.split()}
_IBAN = re.compile(  # the check digits first: letters are everywhere
    r"[0-9]{2}(?:(?<=(?<!\w)[A-Z]{2}..)|(?<=(?<!\w)[A-Z]{2}[ -]..)|(?<=\bIBAN[A-Z]{2}..))"
    r"(?=((?:[ .\n-]{0,2}[A-Z0-9]){11,30}+))",
    re.I | re.ASCII,
)
_FEWEST_DIGITS = 10
"""Of any account number; two letters and digits before a sentence have fewer."""

_NO_BANK = re.compile(r"[A-Z]{2}[0-9]{2}[0X]{4}")
"""An account number's bank code, written as zeros and the letter X: no bank has it."""
_NO_BANK_OF_BELGIUM = re.compile(r"BE[0-9]{2}9999")  # where 000 is a bank's


def ibans(text: str) -> Iterator[Span]:
    """International bank account numbers: the country's length, and the remainder by 97. Those
    of no bank are stand-ins, see :func:`account_at_no_bank`."""
    last = 0
    for match in _IBAN.finditer(text):
        start = match.start() - (2 if text[match.start() - 1].isalpha() else 3)
        end = _nth_character(match, _LENGTHS.get(text[start : start + 2].upper(), 0) - 4)
        if start < last or not end or text[end : end + 1].isalnum():
            continue
        account = plain_account(text[start:end])
        many = sum(map(str.isdigit, account)) >= _FEWEST_DIGITS
        if many and _remainder(account) == 1 and not is_at_no_bank(account):
            yield start, end
            last = end


def plain_account(account: str) -> str:
    """An account number as banks compare it: capitals and digits alone."""
    return re.sub(r"[^A-Z0-9]", "", account.upper())


def is_at_no_bank(account: str) -> bool:
    """Whether an account number, without spaces, has a bank code that no bank has."""
    belgian = account.startswith("BE")
    return (_NO_BANK_OF_BELGIUM if belgian else _NO_BANK).match(account) is not None


def account_at_no_bank(country: str, account: str) -> str:
    """The account number (ISO 13616) of a bank that does not exist, with the right check
    digits. ``account`` is what follows them; its first four characters become the bank's."""
    mark = "9" if country == "BE" else "0"
    bank = "".join(mark if c.isdigit() else "X" for c in account[:4])
    rest = bank + account[4:]
    return f"{country}{98 - _remainder(f'{country}00{rest}'):02d}{rest}"


def _nth_character(match: re.Match[str], wanted: int) -> int:
    """Where the ``wanted``\\ th letter or digit of its group ends; 0 when it has fewer."""
    seen = 0
    for place, character in enumerate(match[1], start=match.start(1) + 1):
        seen += character.isalnum()
        if seen == wanted:
            return place
    return 0


def _remainder(account: str) -> int:
    """ISO 7064: the account's letters as numbers, its first four characters last."""
    return int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97


# --- internet addresses -------------------------------------------------------------------

_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|-[A-Za-z]|\.\w)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{3,35}+(?![\w:])")
_NUMBERS = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]")
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_VERSION = re.compile(r"(?:version|release|build|firmware|driver|section|chapter)s?\W{1,3}$", re.I)
_GLOBAL6 = ipaddress.ip_network("2000::/3")


def addresses(text: str) -> Iterator[Span]:
    """IP addresses that can be someone's: global ones, outside the blocks for documentation.

    Four numbers of one digit each (``3.2.1.4``), or after a word such as "version", are a
    version or a section's number, not an address.
    """
    found: list[Span] = []
    if _NUMBERS.search(text):
        found += (match.span() for match in _IPV4.finditer(text) if _is_address(text, match))
    if _COLONS.search(text):
        found += (match.span() for match in _IPV6.finditer(text) if _is_address6(match[0]))
    return iter(sorted(found))


def _is_address(text: str, match: re.Match[str]) -> bool:
    before = text[max(0, match.start() - 12) : match.start()]
    return len(match[0]) > 7 and not _VERSION.search(before) and _is_global(match[0])


def _is_address6(word: str) -> bool:
    return word.count(":") >= 2 and _is_global(word) and ipaddress.ip_address(word) in _GLOBAL6


def _is_global(word: str) -> bool:
    try:
        return ipaddress.ip_address(word).is_global
    except ValueError:
        return False
