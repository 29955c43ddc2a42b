"""Which of two responses the service prefers, by its own marks for each. It has no favourite place.

Marks that differ by no more than its own noise are a tie most of the time: of two that are equally
good it now and then prefers one all the same, as judges do, and no more often the first.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from llamaduo.rehearsal.marks import Better, Preference
from llamaduo.rehearsal.recombine import mark_alone
from llamaduo.rehearsal.tasks import task_of_prompt

NEAR: Final = 6
"""Points between two marks that are not told apart: the noise of each is 3 points at most."""
DECIDED_SHARE: Final = 0.15
"""Share of comparisons of equally good responses in which one is preferred all the same."""


def prefer(data: Mapping[str, Any], chance: random.Random) -> Preference:
    """The verdict on ``first`` and ``second`` as responses to ``instruction``."""
    first, second = (_mark(data["instruction"], data[name], chance) for name in ("first", "second"))
    if abs(first - second) > NEAR:
        return Preference("first" if first > second else "second", f"Marked {first} and {second}.")
    decided: Better = chance.choice(("first", "second"))
    better: Better = decided if chance.random() < DECIDED_SHARE else "tie"
    return Preference(better, f"Marked {first} and {second}, which is about the same.")


def _mark(instruction: str, response: str, chance: random.Random) -> int:
    task = task_of_prompt(instruction)
    grade = task.precision(instruction, response, chance) if task else None
    return mark_alone(instruction, response) if grade is None else grade.score
