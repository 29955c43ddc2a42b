"""What a judge gives, and its form on the wire."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

NOISE: Final = 3
"""Points by which a mark for a metric of the user's own may differ from that for precision."""

Better = Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Similarity and precision, whole numbers from 0 to 100, each with its reason."""

    similarity: int
    similarity_reason: str
    precision: int
    precision_reason: str

    def as_json(self, metrics: Sequence[str], chance: random.Random) -> str:
        """The reply of a judge who was asked for ``metrics``, in their order.

        Of what a metric of the user's own means the service knows nothing: it gets the mark for
        precision, give or take :data:`NOISE`.
        """
        known = {
            "similarity": {"reason": self.similarity_reason, "score": self.similarity},
            "precision": {"reason": self.precision_reason, "score": self.precision},
        }
        return json.dumps({name: known.get(name) or self._alike(chance) for name in metrics})

    def _alike(self, chance: random.Random) -> dict[str, str | int]:
        score = self.precision + chance.randint(-NOISE, NOISE)
        return {
            "reason": f"Rehearsal: taken from the precision. {self.precision_reason}",
            "score": min(100, max(0, score)),
        }


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two responses is the better, and why."""

    better: Better
    reason: str

    def as_json(self) -> str:
        """The reply of a judge who was asked for a comparison."""
        return json.dumps({"reason": self.reason, "better": self.better})
