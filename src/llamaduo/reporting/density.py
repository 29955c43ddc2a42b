"""How responses are spread over precision and similarity: a Gaussian kernel density (Figure 3).

The panel's scores are put on a grid of whole points, 0–100 in both directions, and the grid is
blurred in one direction after the other, so that a hundred thousand judgements cost as much as
ten. What a kernel would put below 0 or above 100 is given back to the same kernel: the density
sums to one over the scores that exist.

Bandwidth: Scott's rule in two dimensions, σ · n^(−1/6) for each metric, and never below
:data:`NARROWEST` points, or a set of equal scores would have no width at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, pstdev

POINTS = 101
"""Grid points in each direction: the scores from 0 to 100."""
NARROWEST = 2.5
"""The least bandwidth, in points of score."""
REACH = 5.0
"""Bandwidths after which a kernel is zero: what is cut off is less than a millionth."""
SHARES = (0.9, 0.5, 0.2)
"""An iso-line is drawn around the densest region that holds each of these shares."""

Grid = list[list[float]]
"""``grid[precision][similarity]``."""


@dataclass(frozen=True, slots=True)
class Density:
    """Where the responses of one set lie. ``levels`` are the densities of the iso-lines around
    :data:`SHARES` of them, bandwidths and means in points of score, similarity first."""

    grid: Grid
    levels: tuple[float, ...]
    responses: int
    bandwidths: tuple[float, float]
    means: tuple[float, float]


def density(scores: Sequence[tuple[float, float]]) -> Density | None:
    """The density of (similarity, precision) scores, 0–100; None if there are none."""
    if not scores:
        return None
    similarity, precision = zip(*scores, strict=True)
    across, up = bandwidth(similarity), bandwidth(precision)
    grid = blurred(histogram(scores), across, up)
    return Density(
        grid=grid,
        levels=tuple(level(grid, share) for share in SHARES),
        responses=len(scores),
        bandwidths=(across, up),
        means=(fmean(similarity), fmean(precision)),
    )


def bandwidth(scores: Sequence[float]) -> float:
    """Scott's rule for one of two dimensions, with a floor."""
    return max(NARROWEST, pstdev(scores) * math.pow(len(scores), -1 / 6))


def histogram(scores: Iterable[tuple[float, float]]) -> Grid:
    """Scores on the grid, each shared among the whole points around it; the shares sum to one."""
    grid = [[0.0] * POINTS for _ in range(POINTS)]
    whole = 0
    for similarity, precision in scores:
        whole += 1
        for row, up in _around(precision):
            for column, across in _around(similarity):
                grid[row][column] += up * across
    return [[cell / whole for cell in row] for row in grid]


def _around(score: float) -> tuple[tuple[int, float], ...]:
    """The whole points around a score, with how near it is to each."""
    below = math.floor(score)
    rest = score - below
    return ((below, 1 - rest), (below + 1, rest)) if rest else ((below, 1.0),)


def blurred(grid: Grid, across: float, up: float) -> Grid:
    """The grid after a Gaussian of these bandwidths in points; its sum stays as it was."""
    rows = [_spread(row, kernels(across)) for row in grid]
    columns = [_spread(column, kernels(up)) for column in _turned(rows)]
    return _turned(columns)


def _spread(cells: Sequence[float], kernel: Sequence[Sequence[float]]) -> list[float]:
    found = [0.0] * POINTS
    for cell, weights in zip(cells, kernel, strict=True):
        if cell:
            found = [old + cell * weight for old, weight in zip(found, weights, strict=True)]
    return found


def _turned(grid: Sequence[Sequence[float]]) -> Grid:
    return [list(cells) for cells in zip(*grid, strict=True)]


@cache
def kernels(width: float) -> tuple[tuple[float, ...], ...]:
    """For each score, where a Gaussian of ``width`` around it lies on the grid; each sums to 1."""
    return tuple(_kernel(centre, width) for centre in range(POINTS))


def _kernel(centre: int, width: float) -> tuple[float, ...]:
    distances = ((point - centre) / width for point in range(POINTS))
    heights = [math.exp(-d * d / 2) if abs(d) <= REACH else 0.0 for d in distances]
    whole = sum(heights)
    return tuple(height / whole for height in heights)


def level(grid: Grid, share: float) -> float:
    """The density at the rim of the smallest region that holds ``share`` of the whole."""
    cells = sorted((cell for row in grid for cell in row), reverse=True)
    held, wanted = 0.0, share * sum(cells)
    for cell in cells:
        held += cell
        if held >= wanted:
            return cell
    return cells[-1]
