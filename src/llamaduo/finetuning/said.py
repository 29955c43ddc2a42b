"""What a training in a process of its own tells its parent, a JSON line each."""

from __future__ import annotations

from dataclasses import dataclass

from llamaduo.records import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How far it is, or why it ends."""

    event: Event | None = None
    error: str = ""
    """The name of a class in :mod:`llamaduo.errors`, which ``message`` and ``hint`` are for; of
    what is not in that tree, ``message`` has it all."""
    message: str = ""
    hint: str = ""
    out_of_memory: bool = False
    stopped_after: int | None = None
    """The step of the checkpoint that it wrote when it was asked to stop."""
