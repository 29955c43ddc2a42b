"""How far a stage is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """``done`` of ``total`` units of work of one stage. ``unit`` names them.

    A "stage" begins and ends with ``done``; a "warning" and a "notice" are said once, as their
    ``detail``, as is a "recipe": a line, and a table with tabs between its columns.
    """

    stage: str
    done: int
    total: int | None
    unit: str
    detail: str = ""


Notify = Callable[[Event], None]


def silent(event: Event) -> None:
    """A :data:`Notify` that shows nothing."""
