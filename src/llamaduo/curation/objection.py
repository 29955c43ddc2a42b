"""What every step of curation looks like to :func:`llamaduo.curation.curate.curate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from llamaduo.curation.reading import Reading


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a step does not let a pair through.

    ``reason`` begins with words that are the same for all such drops, so that they can be
    counted; what is particular to this one stands in brackets at its end.
    """

    reason: str
    lost_to: str | None = None


class Step(Protocol):
    """One of the five steps of ψ."""

    @property
    def name(self) -> str:
        """The step's name in :class:`~llamaduo.records.Dropped`."""

    def objection(self, reading: Reading) -> Objection | None:
        """The reason against keeping this pair, if there is one."""

    def admit(self, reading: Reading) -> None:
        """Remember a pair that is there to stay: later ones must differ from it."""
