"""The two marks that a judgement consists of, and their form on the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Similarity and precision, whole numbers from 0 to 100, each with its reason."""

    similarity: int
    similarity_reason: str
    precision: int
    precision_reason: str

    def as_json(self) -> str:
        """The reply of a judge, in the shape that was asked for."""
        return json.dumps(
            {
                "similarity": {"reason": self.similarity_reason, "score": self.similarity},
                "precision": {"reason": self.precision_reason, "score": self.precision},
            }
        )
