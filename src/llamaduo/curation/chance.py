"""Whether two sides differ by more than chance.

The pairs of both sides are thrown together and divided at random into two sides of the same
sizes, many times. A difference counts if it is larger than in each of these divisions. Of two
samples from the same place that is so once in a thousand times, at most, whatever their sizes
and however their values are spread: nothing is assumed about either.

Random divisions of counted things need no shuffling: what falls to one side is drawn from the
multivariate hypergeometric distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
"""How many of each kind: kinds along the last axis, divisions along the first if there are any."""
Measure = Callable[[Counts, Counts], NDArray[Any]]
"""How far the second side is from the first, for each division."""

DIVISIONS = 999
_AT_ONCE = 111  # divisions drawn together: what they take of memory, and looked at in vain
_EQUAL = 1e-9  # sums of the same numbers in another order


def beyond_chance(
    train: Counts, synthetic: Counts, measure: Measure, random: np.random.Generator
) -> bool:
    """Whether ``measure`` is larger for these sides than for :data:`DIVISIONS` random ones."""
    both, size = train + synthetic, int(synthetic.sum())
    found = measure(train, synthetic)
    for _ in range(0, DIVISIONS, _AT_ONCE):
        drawn = random.multivariate_hypergeometric(both, size, size=_AT_ONCE, method="marginals")
        if (measure(both - drawn, drawn) + _EQUAL >= found).any():
            return False
    return True


def shares(counts: Counts) -> NDArray[np.float64]:
    """Each kind's share of its side, 0 to 1."""
    return np.asarray(counts / counts.sum(-1, keepdims=True))


def moved(train: Counts, synthetic: Counts) -> NDArray[Any]:
    """The share of one side's pairs that would have to be of another kind for the sides to have
    equal shares: the total variation distance."""
    return np.asarray(np.abs(shares(train) - shares(synthetic)).sum(-1) / 2)


def largest_lost(train: Counts, synthetic: Counts) -> NDArray[Any]:
    """The largest share of a kind that the second side does not have at all."""
    return np.asarray(np.where(synthetic == 0, shares(train), 0).max(-1))


def largest_rise(train: Counts, synthetic: Counts) -> NDArray[Any]:
    """By how much the share of one kind is larger on the second side, for the kind that rises
    most. The last kind is whatever is none of the others: it does not count."""
    return np.asarray((shares(synthetic) - shares(train))[..., :-1].max(-1, initial=-1.0))


def alike(counts: Counts) -> NDArray[Any]:
    """How often two pairs of a side are of the same kind, 0 to 1. Those of the last kind are of
    no kind. Unlike the share of the ten largest, it does not depend on how many pairs there are.
    """
    size, named = counts.sum(-1), counts[..., :-1]
    return np.asarray((named * (named - 1)).sum(-1) / np.maximum(size * (size - 1), 1))


def more_alike(train: Counts, synthetic: Counts) -> NDArray[Any]:
    return np.asarray(alike(synthetic) - alike(train))


def mean_apart(values: NDArray[np.int64]) -> Measure:
    """The distance of the means, where kind k has the value ``values[k]``."""

    def measure(train: Counts, synthetic: Counts) -> NDArray[Any]:
        return np.asarray(np.abs(shares(train) @ values - shares(synthetic) @ values))

    return measure
