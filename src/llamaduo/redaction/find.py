"""Find personal data and secrets: addresses, numbers and keys that have a shape of their own.

What has no shape (names, postal addresses, dates of birth) is not looked for, and whoever
prints a count must say so. What cannot be anybody's is not counted: domains, telephone numbers
and addresses that are reserved for examples, so that a realistic stand-in is no finding.

A finding says where and what kind, never what: it can be printed and logged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from llamaduo.redaction import identifiers, keys, phones
from llamaduo.redaction.spelling import plainly

Kind = Literal["secret", "iban", "card", "email", "ip", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Where two findings overlap, the kind that comes first here is kept."""
PERSONAL: Mapping[str, str] = {
    "secret": "keys and other secrets",
    "iban": "bank account numbers (IBAN)",
    "card": "payment card numbers",
    "email": "email addresses",
    "ip": "IP addresses",
    "phone": "telephone numbers",
}
"""What each kind is called."""
NOT_LOOKED_FOR = "Names and postal addresses are not looked for."
"""To be said beside every count."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """``text[start:end]`` is personal data or a secret of this kind. It does not hold the text."""

    start: int
    end: int
    kind: Kind


_FINDERS = {
    "secret": keys.secrets,
    "iban": identifiers.ibans,
    "card": identifiers.cards,
    "email": identifiers.emails,
    "ip": identifiers.addresses,
    "phone": phones.phones,
}


def find(text: str) -> tuple[Finding, ...]:
    """Every finding in ``text``, in order, none overlapping another, however it is spelled (see
    :mod:`llamaduo.redaction.spelling`).

    Time is linear in the length of the text.
    """
    plain = plainly(text)
    kept: list[Finding] = []
    for kind in KINDS:
        found = (Finding(start, end, kind) for start, end in _FINDERS[kind](plain.text))
        kept = list(_beside(kept, found))
    if plain.text is text:
        return tuple(kept)
    return tuple(Finding(*plain.origin(one.start, one.end), one.kind) for one in kept)


def _beside(kept: list[Finding], found: Iterable[Finding]) -> Iterator[Finding]:
    """``kept``, and of ``found`` what overlaps none of them; both are in order."""
    last = 0
    waiting = iter(kept)
    following = next(waiting, None)
    for one in found:
        while following is not None and following.start < one.start:
            yield following
            last, following = following.end, next(waiting, None)
        if one.start >= last and (following is None or one.end <= following.start):
            yield one
            last = one.end
    if following is not None:
        yield following
        yield from waiting


def count(texts: Iterable[str]) -> dict[Kind, int]:
    """How many findings of each kind are in ``texts``; kinds that are not there are left out."""
    totals = Counter(finding.kind for text in texts for finding in find(text))
    return {kind: totals[kind] for kind in KINDS if totals[kind]}
