"""The models that the service says it has. One program is behind all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MODEL_ID: Final = "llamaduo-rehearsal-1"
MODEL: Final = f"{MODEL_ID} (a program, not a language model)"
"""The model name in every reply."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One model of the list. ``alias`` is a floating name of it; ``retires`` the day, as
    YYYY-MM-DD, from which it is no longer there."""

    id: str
    label: str
    alias: str = ""
    retires: str = ""


CATALOGUE: Final = (
    Listed(MODEL_ID, "llamaduo rehearsal 1", alias="llamaduo-rehearsal-latest"),
    Listed("llamaduo-rehearsal-0", "llamaduo rehearsal 0", retires="2099-12-31"),
)


def find(name: str) -> Listed | None:
    """The model of that id or alias."""
    return next((model for model in CATALOGUE if name in (model.id, model.alias)), None)
