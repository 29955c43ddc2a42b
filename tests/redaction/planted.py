"""Personal data to plant: made up here, of every kind that is looked for, each piece found."""

from __future__ import annotations

import base64
import json
import string
from random import Random

from llamaduo.redaction.identifiers import luhn

_LETTERS = string.ascii_letters + string.digits


def planted(count: int, seed: int = 4) -> list[str]:
    """``count`` different values, the kinds in turn."""
    random = Random(seed)
    makers = (_email, _phone, _american, _card, _iban, _address, _address6, _token, _key)
    found: dict[str, None] = {}
    while len(found) < count:
        found[makers[len(found) % len(makers)](random)] = None
    return list(found)


def _digits(random: Random, count: int) -> str:
    return "".join(random.choices(string.digits, k=count))


def _email(random: Random) -> str:
    name = "".join(random.choices(string.ascii_lowercase, k=7))
    return f"{name}.{_digits(random, 3)}@{random.choice(('acme', 'bluewin', 'mailbox'))}.org"


def _phone(random: Random) -> str:
    return f"+{random.choice(('49 30', '44 20', '48 22'))} {_digits(random, 8)}"


def _american(random: Random) -> str:
    return f"({random.randrange(201, 990)}) {random.randrange(200, 555)}-{_digits(random, 4)}"


def _card(random: Random) -> str:
    body = f"4539{_digits(random, 11)}"
    whole = body + next(check for check in string.digits if luhn(body + check))
    return " ".join(whole[place : place + 4] for place in range(0, 16, 4))


def _iban(random: Random) -> str:
    account = f"37040044{_digits(random, 10)}"
    return f"DE{98 - int(f'{account}131400') % 97:02d}{account}"


def _address(random: Random) -> str:
    return f"81.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}"


def _address6(random: Random) -> str:
    return f"2a02:{random.randrange(4096, 65536):x}:{random.randrange(4096, 65536):x}::17"


def _token(random: Random) -> str:
    claims = json.dumps({"sub": _digits(random, 6)}).encode()
    signature = "".join(random.choices(_LETTERS, k=24))
    middle = base64.urlsafe_b64encode(claims).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{middle}.{signature}"


def _key(random: Random) -> str:
    return f"sk-proj-{_digits(random, 2)}{''.join(random.choices(_LETTERS, k=22))}7a"
