"""What a service LLM is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llamaduo.records.coverage import Message
from llamaduo.records.local import FinishReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request to a service LLM. ``sample`` tells repeats of the same request apart.

    ``schema`` asks for a JSON object of that shape; ``shape`` is the shape's name. ``again``
    counts how often it was asked before, with a reply of no use each time; ``instead_of`` is the
    call that brought the last of those. ``about`` has the ids of the pairs whose text is in the
    messages, for the record of what left this machine. These two change nothing about the request.
    """

    stage: str
    messages: tuple[Message, ...]
    sample: int = 0
    shape: str | None = None
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    again: int = 0
    about: tuple[str, ...] = ()
    instead_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the service LLM answered. ``key`` finds the raw reply in the ledger."""

    key: str
    text: str
    finish: FinishReason
    snapshot: str
    """The model name that the reply carries, which may be a dated snapshot."""
    input_tokens: int
    output_tokens: int
    usd: float
    replayed: bool
    """True when it came from the ledger and cost nothing now."""
    spoiled: int = 0
    """How many replies to the same request came before it that were no replies at all."""
