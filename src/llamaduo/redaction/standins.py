"""Stand-ins: nobody's, yet of the same kind and shape as what they stand for.

Each is drawn by a generator that the caller seeds. All lie in ranges that the finder knows as
nobody's: domains and addresses for documentation, telephone numbers kept for fiction, test
cards, accounts at no bank, keys with "example" in them. ``tries`` counts how often one was
drawn before for the same value: when the ranges that keep the shape are used up, a longer or
rarer form is drawn.
"""

from __future__ import annotations

import base64
import json
import re
import string
from collections.abc import Callable
from random import Random
from unicodedata import category

from llamaduo.redaction.identifiers import account_at_no_bank, luhn, plain_account
from llamaduo.redaction.keys import JWT, MARK, PREFIX
from llamaduo.redaction.names import FIRST_NAMES, LAST_NAMES
from llamaduo.redaction.phones import FICTION, NATIONAL_DIGITS, calling_code, digits_abroad
from llamaduo.redaction.restoring import SHORTEST
from llamaduo.redaction.spelling import plainly

IN_SHAPE = 12
"""So many draws keep the exact shape; after that there is more room."""
IN_KIND = 60
"""And so many the kind; after that a word is drawn that no finder takes for anything."""

Maker = Callable[[str, Random, int], str]


def identity(kind: str, value: str) -> str:
    """What different spellings of one value have in common: they get the same draws."""
    value = plainly(value).text
    if kind == "email":
        return value.lower()
    if kind in ("card", "phone"):
        return re.sub(r"[^0-9+]", "", value)
    return plain_account(value) if kind == "iban" else value


def draw(
    kind: str, value: str, random: Random, tries: int, pattern: re.Pattern[str] | None = None
) -> str:
    """A stand-in for ``value``, perhaps one that is taken. ``pattern`` is the user's expression
    where ``kind`` is a kind of theirs."""
    if tries >= IN_KIND:
        return "example" + "".join(random.choices(string.ascii_lowercase, k=8 + tries // IN_KIND))
    if value.startswith("-----BEGIN "):
        return _private_key(value, random)
    if maker := _MAKERS.get(kind):
        plain = plainly(value).text
        if not re.search(r"[\n\r\t]", value):  # JSON has them as escapes: a bare one breaks it
            plain = re.sub(r"[\n\r\t]", " ", plain)
        drawn = maker(plain, random, tries)
        return _spaced(drawn, value) if len(drawn) == len(plain) == len(value) else drawn
    return _of_own_kind(value, random, tries, pattern)


# --- the kinds ----------------------------------------------------------------------------


def _email(value: str, random: Random, tries: int) -> str:
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    between = "." if "." in value.partition("@")[0] else random.choice(("", "_"))
    digits = random.randrange(10**3, 10**4 if tries < IN_SHAPE else 10**7)
    address = f"{first}{between}{last}{digits}@example.{random.choice(('com', 'net', 'org'))}"
    if value.isupper():
        return address.upper()
    return address.title() if value[0].isupper() else address


def _card(value: str, random: Random, _: int) -> str:
    length = sum(c.isdigit() for c in value)
    start = {14: "300000", 15: "370000", 17: "620000", 18: "620000"}.get(length, "400000")
    body = start + _digits(random, length - len(start) - 1)
    check = next(c for c in string.digits if luhn(body + c))
    return _in_shape(body + check, value)


def _iban(value: str, random: Random, _: int) -> str:
    plain = plain_account(value)
    drawn = _in_shape(account_at_no_bank(plain[:2], _shaped(plain[4:], random)), value)
    return drawn.lower() if value.islower() else drawn


def _address(value: str, random: Random, tries: int) -> str:
    if ":" in value:
        groups = [f"{random.randrange(1, 0x10000):x}" for _ in range(6)]
        packed = "::" in value
        return "2001:db8:" + (
            ":".join(groups[:2]) + f"::{groups[2]}" if packed else ":".join(groups)
        )
    if tries < IN_SHAPE:
        block = random.choice(("192.0.2", "198.51.100", "203.0.113"))
        return f"{block}.{random.randrange(20, 250)}"
    rest = f"{random.randrange(256)}.{random.randrange(20, 250)}"
    if tries < 2 * IN_SHAPE:
        return f"198.{random.choice((18, 19))}.{rest}"  # RFC 2544: for measuring networks
    return f"{random.randrange(240, 255)}.{random.randrange(256)}.{rest}"  # RFC 1112: reserved


def _phone(value: str, random: Random, tries: int) -> str:
    abroad = digits_abroad(value)
    code = calling_code(abroad)
    line = f"01{_digits(random, 2)}"
    if tries < IN_SHAPE and (found := _same_length(value, code, line, random)):
        return _in_shape(found, value)
    area = f"{random.randrange(201, 990)}"
    number = f"+{code} {area} 555 {line}" if abroad else f"({area}) 555-{line}"
    return number if tries < 2 * IN_SHAPE else f"{number} ext. {_digits(random, 4)}"


def _same_length(value: str, code: str, line: str, random: Random) -> str:
    """As many digits for as many: the country's code, or the 0 or 1 before an area, and then a
    number kept for fiction; empty where it does not fit."""
    digits = re.sub(r"[^0-9]", "", value)
    kept = re.match(r"0|1(?=\d{10}$)|", digits)[0]  # type: ignore[index]
    if code:
        abroad = digits_abroad(value)
        kept = digits.removesuffix(abroad) + code
        kept += "0" * abroad.startswith(f"{code}0")  # +49 (0)30 …
    left = len(digits) - len(kept)
    country = "33" if _IN_PAIRS.fullmatch(value) else code
    if left == NATIONAL_DIGITS.get(country):
        start = random.choice(FICTION[country])
        return kept + start + _digits(random, left - len(start))
    if left < 7 or (left == 7 and kept):
        return ""
    area = _digits(random, left - 7)
    return f"{kept}{random.choice('23456789')}{area[1:]}555{line}" if area else f"555{line}"


_IN_PAIRS = re.compile(r"0\d([ .-])\d\d(?:\1\d\d){3}")
"""A French number, as it is written in France."""


def _secret(value: str, random: Random, tries: int) -> str:
    if JWT.fullmatch(value):
        return _token(random)
    prefix = _prefix_of(value)
    body = value[len(prefix) :]
    mark = MARK if any(c.isupper() for c in body) else MARK.lower()
    if len(body) < 12 or tries >= IN_SHAPE:
        return f"{prefix}{mark}{_alphanumeric(random, 8 + tries // IN_SHAPE)}"
    return prefix + _shaped(body[: -len(mark)], random) + mark


def _prefix_of(value: str) -> str:
    """What says which service a key is for."""
    known = PREFIX.match(value)
    return known[0] if known else value[:4] if re.match("AKIA|ASIA", value) else ""


def _private_key(value: str, random: Random) -> str:
    head, dashes, rest = value.removeprefix("-----BEGIN ").partition("-----")
    body, end, tail = rest.partition("-----END ")
    drawn = re.sub(r"\\n|\w", lambda m: m[0] if m[0] == "\\n" else _like(m[0], random), body)
    return f"-----BEGIN {MARK} {head}{dashes}{drawn}" + (f"{end}{MARK} {tail}" if end else "")


def _token(random: Random) -> str:
    """A JSON Web Token of nobody's, signed by nothing."""
    claims = {"sub": _digits(random, 10), "name": "Example", "iat": 1_700_000_000}
    parts = [
        json.dumps(part, separators=(",", ":")) for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    ]
    encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, MARK + _alphanumeric(random, 36)))


def _of_own_kind(value: str, random: Random, tries: int, pattern: re.Pattern[str] | None) -> str:
    """Another text that the user's expression would find, or else one of the same shape."""
    if pattern and tries < IN_SHAPE and (found := _another_match(value, random, pattern)):
        return found
    shaped = _shaped(value, random)
    missing = SHORTEST - sum(c.isalnum() for c in value)
    return shaped if missing <= 0 else shaped + _digits(random, missing)


def _another_match(value: str, random: Random, pattern: re.Pattern[str]) -> str:
    """``value`` with every character drawn again that may be another one; empty where too little
    would change."""
    if not pattern.fullmatch(value):
        return ""  # it matched only where it stood
    drawn = value
    for place, character in enumerate(value):
        changed = drawn[:place] + _shaped(character, random) + drawn[place + 1 :]
        if pattern.fullmatch(changed):
            drawn = changed
    differing = sum(a != b for a, b in zip(drawn, value, strict=True))
    return drawn if differing >= 3 and len(drawn) >= SHORTEST else ""


_MAKERS: dict[str, Maker] = {
    "secret": _secret,
    "iban": _iban,
    "card": _card,
    "email": _email,
    "ip": _address,
    "phone": _phone,
}


# --- drawing ------------------------------------------------------------------------------


def _digits(random: Random, count: int) -> str:
    return "".join(random.choices(string.digits, k=count))


def _alphanumeric(random: Random, count: int) -> str:
    return "".join(random.choices(string.ascii_letters + string.digits, k=count))


def _shaped(value: str, random: Random) -> str:
    """Digits for digits, small letters for small ones, capitals for capitals; the rest stays."""
    return "".join(_like(character, random) for character in value)


def _like(character: str, random: Random) -> str:
    if character.isdecimal():
        return random.choice(string.digits)
    if character.isupper():
        return random.choice(string.ascii_uppercase)
    return random.choice(string.ascii_lowercase) if character.isalpha() else character


def _spaced(drawn: str, value: str) -> str:
    """``drawn`` with the spaces and dashes of ``value``, which is as long."""
    return "".join(
        there if there.isspace() or category(there) == "Pd" else new
        for new, there in zip(drawn, value, strict=True)
    )


def _in_shape(plain: str, value: str) -> str:
    """The characters of ``plain`` in the places where ``value`` has letters and digits."""
    drawn = iter(plain)
    return "".join(next(drawn) if character.isalnum() else character for character in value)
