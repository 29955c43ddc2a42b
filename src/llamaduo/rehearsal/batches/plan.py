"""How the batch APIs behave: how long a batch takes, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

HOLDS: Final = ("", "before", "after")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """``seconds`` pass until a batch has ended. ``expired`` and ``errored`` are the shares of its
    requests that end like that. With ``hold`` the first creation of a batch is never answered:
    ``before`` it is done, or ``after``. ``crowded`` is the most requests that a batch of OpenAI's
    may have; 0 is any. The first ``stumbles`` looks at batches get a 503. ``absent`` is 1 for a
    service that has no batches at all."""

    seconds: float = 0.0
    expired: float = 0.0
    errored: float = 0.0
    hold: str = ""
    crowded: int = 0
    stumbles: int = 0
    absent: int = 0

    @classmethod
    def parse(cls, text: str) -> BatchPlan:
        """``seconds=0.2,expired=0.1,hold=after`` as a plan.

        Raises:
            ValueError: one of them has no meaning.
        """
        kinds = {field.name: type(getattr(cls(), field.name)) for field in fields(cls)}
        found = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name not in kinds:
                raise ValueError(f"{name}: batches have {', '.join(kinds)}")
            found[name] = kinds[name](value)
        if found.get("hold", "") not in HOLDS:
            raise ValueError("hold is before or after")
        return cls(**found)
