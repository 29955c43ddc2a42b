"""How far judges agree, with each other and with a person.

Nothing here knows what a response is: arrays in, one figure out, None where there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats = NDArray[np.float64]

GRADE_POINTS = 20
"""Five grades: 0 to 19, 20 to 39, 40 to 59, 60 to 79, 80 to 100."""


def krippendorff_alpha(scores: ArrayLike) -> float | None:
    """Krippendorff's alpha at the interval level (Krippendorff 2011), at most 1.

    ``scores`` is responses × judges, NaN where a judge has none. A response with fewer than two
    scores says nothing about agreement and is left out. None where nothing is left, or where all
    scores are the same.
    """
    table = np.asarray(scores, dtype=np.float64)
    table = table[(~np.isnan(table)).sum(axis=1) >= 2] if table.ndim == 2 else table
    if table.size == 0 or np.nanmin(table) == np.nanmax(table):
        return None
    # The sum of (a − b)² over ordered pairs of m values is 2 m times their squares about the mean.
    raters = (~np.isnan(table)).sum(axis=1)
    values = int(raters.sum())
    within = raters / (raters - 1) * _squares(table, axis=1)
    observed = float(within.sum()) / values
    expected = float(_squares(table)) / (values - 1)
    return 1.0 - observed / expected


def spearman(left: ArrayLike, right: ArrayLike) -> float | None:
    """Spearman's rank correlation of two lists of one length; ties have their mean rank.
    None where either side has only one value."""
    a, b = (_centred(ranks(side)) for side in (left, right))
    if a.size == 0 or not a.any() or not b.any():
        return None
    r = float(a @ b / np.sqrt((a @ a) * (b @ b)))
    return max(-1.0, min(1.0, r))


def weighted_kappa(left: ArrayLike, right: ArrayLike) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968) over five grades of scores from 0 to 100.
    None where chance alone would agree always."""
    a, b = _grades(left), _grades(right)
    if a.size == 0:
        return None
    observed = float(((a - b) ** 2).mean())
    # Over all pairs of an a with a b: what independent marks of the same frequencies would give.
    expected = float(a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    return 1.0 - observed / expected if expected > 0 else None


def _squares(table: _Floats, axis: int | None = None) -> Any:
    return np.nansum((table - np.nanmean(table, axis=axis, keepdims=True)) ** 2, axis=axis)


def ranks(values: ArrayLike) -> _Floats:
    """The rank of each value, from 1; ties have their mean rank."""
    _, place, counts = np.unique(
        np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True
    )
    middle: _Floats = np.cumsum(counts) - (counts - 1) / 2
    return middle[place]


def _centred(values: _Floats) -> _Floats:
    return values - values.mean() if values.size else values


def _grades(values: ArrayLike) -> _Floats:
    highest = 100 // GRADE_POINTS - 1
    grades: _Floats = np.minimum(np.asarray(values, dtype=np.float64) // GRADE_POINTS, highest)
    return grades
