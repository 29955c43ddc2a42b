"""The thirteen ways in which the rehearsal service misbehaves on demand, and to whom it does.

Which request gets which fault follows from a seed, the request's body and how often that body
came before. So two runs are dealt the same faults, in whatever order their requests arrive, and
a request that is repeated is dealt anew.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from llamaduo.rehearsal.replies import Draft

Fault = Literal[
    "refused",  # the connection is reset at accept, before a byte of the request is read
    "reset",  # the reply breaks off in the middle, with a connection reset
    "hang",  # nothing is answered until the client gives up
    "drip",  # the reply comes one byte at a time
    "429",  # too many requests, with Retry-After
    "429-bare",  # too many requests, without
    "500",
    "503",  # overloaded; 529 where the dialect is Anthropic's
    "truncated",  # 200, and half of the JSON body; the content-length is that of the half
    "invalid",  # 200, and content that is JSON of another shape than was asked for
    "empty",  # 200, and no content
    "length",  # 200, and half of the content, stopped at the token limit
    "html",  # 200, and a page instead of JSON
]

FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
OF_TRANSPORT: Final = frozenset[Fault]({"refused", "reset", "hang", "drip"})
OF_STATUS: Final[Mapping[Fault, int]] = {"429": 429, "429-bare": 429, "500": 500, "503": 503}
OF_CONTENT: Final = frozenset[Fault]({"truncated", "invalid", "empty", "length", "html"})
"""Delivered and paid for, and of no use."""
MOST_SHARE: Final = 0.95
"""Of faults together: a service that never answers is a closed port, which needs no program."""

PAGE: Final = (
    b"<!doctype html><html><head><title>Sign in</title></head>"
    b"<body><h1>Sign in to the network</h1></body></html>\n"
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds between two bounds, drawn evenly."""

    least: float = 0.0
    most: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Spread:
        """``0.2``, or ``0.02:0.2``.

        Raises:
            ValueError: not one or two numbers from 0 to an hour, the smaller one first.
        """
        least, _, most = text.partition(":")
        spread = cls(float(least), float(most or least))
        if not 0 <= spread.least <= spread.most <= 3600:
            raise ValueError("expected seconds, or two with a colon, the smaller one first")
        return spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the service behaves: the share of requests that get each fault, and how slow it is.

    ``retry_after`` is what a 429 asks for, ``drip`` the time between two bytes, both in seconds.
    """

    shares: Mapping[Fault, float] = field(default_factory=dict)
    seed: int = 0
    latency: Spread = Spread()
    retry_after: float = 1.0
    drip: float = 0.1

    def __post_init__(self) -> None:
        total = sum(self.shares.values())
        if any(share < 0 for share in self.shares.values()) or not total <= MOST_SHARE:
            raise ValueError(f"shares of faults are from 0, and at most {MOST_SHARE} together")

    def refuses(self, connection: int) -> bool:
        """Whether the nth connection is refused."""
        return self._draw("connection", connection) < self.shares.get("refused", 0.0)

    def deal(self, digest: str, attempt: int) -> Fault | None:
        """The fault for the nth request with the body ``digest``, or None.

        Shares are of all requests. Those that are refused never come this far, so the shares of
        the others are larger among those that do.
        """
        chance = self._draw(digest, attempt) * (1.0 - self.shares.get("refused", 0.0))
        for fault, share in sorted(self.shares.items()):
            if fault == "refused":
                continue
            if chance < share:
                return fault
            chance -= share
        return None

    def seconds(self, digest: str, attempt: int) -> float:
        """How long the nth request with the body ``digest`` takes."""
        least, most = self.latency.least, self.latency.most
        return least + (most - least) * self._draw("latency " + digest, attempt)

    def _draw(self, name: str, number: int) -> float:
        """An even draw from 0 up to 1 that depends on nothing but the seed and these two."""
        drawn = hashlib.sha256(f"{self.seed} {name} {number}".encode()).digest()
        return int.from_bytes(drawn[:7]) / 2**56


def parse_shares(texts: Iterable[str]) -> dict[Fault, float]:
    """``reset=0.3`` and the like; each fault at most once.

    Raises:
        ValueError: one is not of this form, or names no fault.
    """
    known = {str(fault): fault for fault in FAULTS}
    shares: dict[Fault, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        if name not in known or known[name] in shares:
            raise ValueError(f"{text!r}: expected FAULT=SHARE, each of {', '.join(FAULTS)} once")
        shares[known[name]] = float(share)
    return shares


# --- content of no use --------------------------------------------------------------------


def spoiled(draft: Draft, fault: Fault, shape: str | None, digest: str) -> Draft:
    """``draft`` with a fault of content; as it is, if ``fault`` is another one. An answer that
    was asked for in no shape has none that could be wrong."""
    if fault == "empty":
        return Draft("")
    if fault == "length":
        return Draft(draft.text[: len(draft.text) // 2], "length")
    if fault == "invalid" and shape is not None:
        return replace(draft, text=_of_another_shape(draft.text, digest))
    return draft


def _of_another_shape(text: str, digest: str) -> str:
    """JSON that no strict reader accepts for what was asked, in one of the forms in which models
    get it wrong."""
    forms: tuple[object, ...] = (
        {"answer": text},
        [text],
        text,
        {"similarity": "high", "precision": "high"},
        {"similarity": {"score": 142}, "precision": {"score": True}},
        {"pairs": {"instruction": text[:40], "response": None}},
        None,
    )
    return json.dumps(random.Random(digest).choice(forms))
