"""Why a step of curation does not let a pair through."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a step does not let a pair through.

    ``reason`` begins with words that are the same for all such drops, so that they can be
    counted; what is particular to this one stands in brackets at its end.
    """

    reason: str
    lost_to: str | None = None
