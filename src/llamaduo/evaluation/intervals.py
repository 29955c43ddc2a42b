"""How far a figure can be trusted: intervals that are clustered by prompt.

Responses to one prompt resemble each other, and repeats of one judgement even more, so that a
prompt, not a score, is what was drawn at random. Everything here takes one entry per response and
the prompt that each belongs to, in points from 0 to 100. A share is a mean too, of values that are
all 0 or 100, and a mean of scores may well be nearly one: of right and wrong labels, say, of which
a small sample has only right ones. With one prompt nothing is known: the interval is the whole
range.

``benchmarks/judging/intervals.py`` measures how often these intervals have the truth in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamaduo.records import Interval

ROUNDING = 1 / 12
"""The variance of what rounding to whole points takes away: a score is known to ±0.5 point."""
_SAME = 1e-9
"""Points. Two figures that are nearer to each other differ by binary fractions only."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Clusters:
    """What is left of the responses: for each prompt their number and their sum."""

    ids: NDArray[np.int64]
    sizes: _Floats
    sums: _Floats

    @property
    def count(self) -> int:
        return len(self.sizes)

    @property
    def size(self) -> float:
        """Responses to a prompt, on average."""
        return float(self.sizes.mean())

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def means(self) -> _Floats:
        """Each prompt's."""
        return np.asarray(self.sums / self.sizes)

    def residuals(self, mean: float) -> _Floats:
        """What each prompt adds to the mean's error (the ratio of two sums, linearised)."""
        return (self.sums - mean * self.sizes) / self.size


def mean_of(
    values: ArrayLike, prompts: Sequence[int] | NDArray[np.int64], *, confidence: float = 0.95
) -> Interval:
    """The interval of the mean of ``values``, each from 0 to 100.

    Wilson's (1927) on an effective sample size, with t for the normal (Dean & Pagano 2015).
    Towards the nearer of 0 and 100, where Wilson's may fall short (Brown, Cai & DasGupta 2001),
    it reaches as far as the exact binomial limit does (Korn & Graubard 1998). Both are made for
    shares, whose values vary as much as values can; other means get the size of a sample of 0s and
    100s that would be as precise.
    """
    clusters, squares = _clustered(np.asarray(values, dtype=np.float64) / 100, prompts)
    if clusters.count < 2:
        return Interval(0.0, 100.0)
    share, size = clusters.mean, _effective(clusters, squares)
    low, high = _wilson(share, size, students_t(confidence, clusters.count))
    if share >= 0.5:
        high = max(high, 1 - _exact_low(1 - share, size, confidence))
    if share <= 0.5:
        low = min(low, _exact_low(share, size, confidence))
    return Interval(100 * low, 100 * high)


def _effective(clusters: _Clusters, squares: float) -> float:
    """The size of a simple random sample that would be as precise.

    It is taken with two prompts added, one whose responses all hit and one whose all miss
    (Agresti & Coull 1998 do so for a share): a few misses say little about how alike responses
    to one prompt are, and none say nothing: neither of misses that the sample just did not have.
    Responses to one prompt are never taken to be less
    alike than responses to different ones.
    """
    count, size = clusters.count, clusters.size
    share = (clusters.mean * count + 1) / (count + 2)
    added = share**2 + (1 - share) ** 2
    between = (float((clusters.residuals(share) ** 2).sum()) + added) / (count + 2)
    total = float(clusters.sums.sum())
    spread = squares - 2 * share * total + share**2 * count * size
    within = (spread / size + added) / (count + 2) / size
    return count * share * (1 - share) / max(between, within)


def _wilson(share: float, size: float, t: float) -> tuple[float, float]:
    """Wilson's interval, for a ``share`` from 0 to 1 of a sample of ``size``."""
    shrink = 1 + t**2 / size
    centre = (share + t**2 / (2 * size)) / shrink
    half = t / shrink * sqrt(share * (1 - share) / size + t**2 / (4 * size**2))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def _exact_low(share: float, size: float, confidence: float) -> float:
    """The lower binomial limit of Clopper & Pearson (1934)."""
    from scipy.special import betaincinv

    hits, misses = share * size, (1 - share) * size
    return float(betaincinv(hits, misses + 1, (1 - confidence) / 2)) if hits > _SAME else 0.0


def difference_of(
    left: ArrayLike,
    left_prompts: Sequence[int] | NDArray[np.int64],
    right: ArrayLike,
    right_prompts: Sequence[int] | NDArray[np.int64],
    *,
    confidence: float = 0.95,
) -> tuple[float, Interval, int]:
    """How much higher ``left`` is than ``right`` in points, its interval, and on how many prompts.

    The mean difference of prompt means over the prompts that both have. Without any the
    difference is 0, from 0 prompts, and the interval is the whole range. After Agresti & Min
    (2005): half a prompt is added for each of 100 and 100, 100 and 0, 0 and 100, 0 and 0, for the
    prompts that differ widely and that the sample just did not have.
    """
    differences = _differences(left, left_prompts, right, right_prompts)
    count = len(differences)
    value = float(differences.mean()) if count else 0.0
    if count < 2:
        return value, Interval(-100.0, 100.0), count
    centre = float(differences.sum()) / (count + 2)
    variance = (float((differences**2).sum()) + 100**2) / (count + 2) - centre**2
    half = students_t(confidence, count) * sqrt(variance / (count + 2))
    return value, _within(value, centre - half, centre + half), count


def students_difference_of(
    left: ArrayLike,
    left_prompts: Sequence[int] | NDArray[np.int64],
    right: ArrayLike,
    right_prompts: Sequence[int] | NDArray[np.int64],
) -> tuple[float, Interval, int]:
    """The same with Student's 95 % interval: sharper where differences are all of a kind, and
    blind to kinds that the sample did not have. To find out about judges, not for a verdict.
    """
    differences = _differences(left, left_prompts, right, right_prompts)
    count = len(differences)
    value = float(differences.mean()) if count else 0.0
    if count < 2:
        return value, Interval(-100.0, 100.0), count
    variance = max(float(differences.var(ddof=1)), 2 * ROUNDING)
    half = students_t(0.95, count) * sqrt(variance / count)
    return value, _within(value, value - half, value + half), count


def _within(value: float, low: float, high: float) -> Interval:
    """From −100 to 100, and around ``value`` in any case."""
    return Interval(min(value, max(-100.0, low)), max(value, min(100.0, high)))


def prompts_needed(interval: Interval, value: float, bound: float, prompts: int) -> int | None:
    """How many prompts it takes until the interval of ``value`` no longer has ``bound`` in it.

    Intervals narrow with the square root of the number of prompts; ``interval`` is what
    ``prompts`` of them gave. None where ``value`` is the bound: no number of prompts decides.
    """
    distance = abs(value - bound)
    if distance < _SAME:
        return None
    towards = value - interval.low if bound < value else interval.high - value
    half = max(towards, (interval.high - interval.low) / 2)
    return int(prompts * (half / distance) ** 2) + 1


def _clustered(
    values: ArrayLike, prompts: Sequence[int] | NDArray[np.int64]
) -> tuple[_Clusters, float]:
    """The values by prompt, and the sum of their squares.

    Sorted first: sums of binary fractions depend on the order, and figures must not.
    """
    flat, places = np.asarray(values, dtype=np.float64), np.asarray(prompts)
    order = np.lexsort((flat, places))
    flat = flat[order]
    ids, number = np.unique(places[order], return_inverse=True)
    sizes = np.bincount(number).astype(np.float64)
    sums = np.bincount(number, flat).astype(np.float64)
    return _Clusters(ids, sizes, sums), float((flat**2).sum())


def _differences(
    left: ArrayLike,
    left_prompts: Sequence[int] | NDArray[np.int64],
    right: ArrayLike,
    right_prompts: Sequence[int] | NDArray[np.int64],
) -> _Floats:
    """Left minus right prompt means, for the prompts that both have."""
    ours, _ = _clustered(left, left_prompts)
    theirs, _ = _clustered(right, right_prompts)
    _, here, there = np.intersect1d(ours.ids, theirs.ids, assume_unique=True, return_indices=True)
    return np.asarray(ours.means[here] - theirs.means[there], dtype=np.float64)


def students_t(confidence: float, prompts: int) -> float:
    """Student's t for a two-sided interval from so many prompts."""
    from scipy.special import stdtrit

    return float(stdtrit(prompts - 1, (1 + confidence) / 2))
