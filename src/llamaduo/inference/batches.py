"""Which prompts are answered together, and with which random numbers. Pure.

Both depend on the whole list of prompts and the settings alone, so a resumed run makes the
batches, and draws the numbers, of the run that was cut off.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt to be answered: the id of its pair and its tokens."""

    pair_id: str
    tokens: tuple[int, ...]


def plan_batches(prompts: Sequence[Encoded], size: int) -> tuple[tuple[Encoded, ...], ...]:
    """Batches of at most ``size`` prompts of like length, longest first.

    Longest first, so that a batch too large for the memory fails at once and not at the end,
    and the estimate of the time left errs on the safe side.
    """
    ordered = sorted(prompts, key=lambda prompt: (-len(prompt.tokens), prompt.pair_id))
    return tuple(tuple(ordered[i : i + size]) for i in range(0, len(ordered), size))


def draws(seed: int, pair_id: str, index: int, count: int) -> tuple[float, ...]:
    """``count`` numbers in [0, 1) that belong to one response, whatever else is generated."""
    chance = random.Random(f"{seed}/{pair_id}/{index}")
    return tuple(chance.random() for _ in range(count))
