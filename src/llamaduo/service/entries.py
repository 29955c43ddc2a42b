"""What is written into the ledger and read from it, but for its sums."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RawReply:
    """An HTTP reply as it came, decompressed; ``body`` never holds the API key."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the ledger. ``held_usd`` is what it counts against the budget so far, which is
    ``factor`` times the most that it should cost: see :mod:`llamaduo.service.budget`."""

    key: str
    number: int
    held_usd: float
    model: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What left this machine: to which host, and how many bytes of request body."""

    host: str
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A stored answer. ``settled`` is False when the process died before it was read;
    ``batched`` when it came in a batch, at the price of one."""

    attempt: Attempt
    raw: RawReply
    settled: bool
    batched: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger has on one key, over all lives of the run.

    ``spoiled`` counts replies that were no replies; each may have been paid for. ``in_doubt``
    counts attempts of which nothing more is known than that they were about to be sent.
    """

    answered: Answered | None
    spoiled: int
    in_doubt: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer says it used. ``usd`` is None when no price is known; ``cached_tokens``
    is the part of ``input_tokens`` that was billed as cached. One that does not say what it
    used is not ``measured``: what was held for it stays held."""

    snapshot: str
    input_tokens: int
    output_tokens: int
    usd: float | None
    cached_tokens: int = 0
    measured: bool = True
