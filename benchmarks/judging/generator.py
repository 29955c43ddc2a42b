"""Simulated judges: scores and comparisons whose true figures are known.

A score is a whole number from 0 to 100: a level, plus what the prompt, the response and the
repeat add, rounded and kept within the scale. The standard deviations are assumed, not measured:
20 points between prompts, 10 between responses to one prompt, 8 between repeats of one judgement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROMPTS, RESPONSES, REPEATS = 20.0, 10.0, 8.0
SHARED = 0.5
"""How much of the variance between prompts two LLMs have in common."""
POSITION, TIE = 4.0, 5.0
"""Points that the first of two responses is favoured by; differences that are a tie."""
MANY = 1_000_000
"""Prompts, of one response each, from which true figures are taken."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Noise:
    """What prompts and responses (trials, prompts, K) and repeats (…, M) add to a level."""

    quality: Floats
    repeats: Floats

    def scores(self, level: float) -> Floats:
        """Every judgement: (trials, prompts, K, M)."""
        shifted = self.quality[..., None] + np.float32(level)
        return np.clip(np.rint(shifted + self.repeats), 0, 100)

    def points(self, level: float) -> Floats:
        """Comparisons with an LLM at level 0, both orders, one repeat: 0, 0.5 or 1."""
        ahead = self.quality + np.float32(level)
        first = _preference(ahead + self.repeats[..., 0] + POSITION)
        second = _preference(ahead + self.repeats[..., 1] - POSITION)
        return np.where(first == second, (first + 1) / 2, 0.5).astype(np.float32)


def _preference(ahead: Floats) -> Floats:
    return np.where(np.abs(ahead) < TIE, 0, np.sign(ahead))


def noise(rng: np.random.Generator, trials: int, prompts: int, k: int, m: int) -> Noise:
    return two(rng, trials, prompts, (k, 0), m)[0]


def two(
    rng: np.random.Generator, trials: int, prompts: int, k: tuple[int, int], m: int
) -> tuple[Noise, Noise]:
    """Two LLMs on the same prompts, with ``k`` responses each."""
    shared = np.sqrt(SHARED) * PROMPTS * _normal(rng, (trials, prompts, 1))
    own = np.sqrt(1 - SHARED) * PROMPTS

    def one(some: int) -> Noise:
        quality = shared + own * _normal(rng, (trials, prompts, 1))
        within = np.float32(RESPONSES) * _normal(rng, (trials, prompts, some))
        repeats = np.float32(REPEATS) * _normal(rng, (trials, prompts, some, m))
        return Noise(quality.astype(np.float32) + within, repeats)

    return one(k[0]), one(k[1])


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.standard_normal(shape, dtype=np.float32)


def level_for(wanted: float, measure: Callable[[Noise, float], float], m: int) -> float:
    """The level at which ``measure`` comes out near ``wanted``, on a tenth of MANY prompts."""
    some = noise(np.random.default_rng(1), 1, MANY // 10, 1, m)
    low, high = -100.0, 250.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if measure(some, middle) < wanted else (low, middle)
    return (low + high) / 2


def truth(level: float, measure: Callable[[Noise, float], float], m: int) -> float:
    """What ``measure`` comes to over MANY prompts."""
    return measure(noise(np.random.default_rng(2), 1, MANY, 1, m), level)
