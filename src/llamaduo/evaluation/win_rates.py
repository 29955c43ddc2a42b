"""Pairwise comparisons as win rates: both orders together, a disagreement is a tie."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from llamaduo.evaluation.intervals import mean_of
from llamaduo.records import PANEL, Comparison, Comparisons, Measure, WinRate

_POINTS = {"win": 100.0, "tie": 50.0, "loss": 0.0}
_Meeting = tuple[str, str, int]
"""Judge, response, repeat: what is seen in both orders."""


def win_rates(comparisons: Comparisons, confidence: float) -> dict[str, WinRate]:
    """By judge, and for all of them under :data:`PANEL`; empty where nothing was compared.

    A repeat counts where both of its orders were scored. A response's points are the mean over
    its repeats, for the panel over judges too; the rate is the mean over responses.
    """
    if not comparisons.scored and not comparisons.unscored:
        return {}
    outcomes = _outcomes(comparisons.scored)
    prompt_of = {one.response_id: one.pair_id for one in comparisons.scored}
    lost: Counter[str] = Counter(one.judge for one in comparisons.unscored)
    judges = sorted({one.judge for one in comparisons.scored} | set(lost))
    rates = {
        judge: _rate(
            {place: how for place, how in outcomes.items() if place[0] == judge},
            prompt_of,
            lost[judge],
            confidence,
        )
        for judge in judges
    }
    return {PANEL: _rate(outcomes, prompt_of, lost.total(), confidence)} | rates


def _outcomes(comparisons: Sequence[Comparison]) -> dict[_Meeting, str]:
    """What each meeting came to for the local LLM, where both orders were scored."""
    orders: dict[_Meeting, list[str]] = defaultdict(list)
    for one in comparisons:
        orders[one.judge, one.response_id, one.index].append(_for_local(one))
    return {
        place: seen[0] if seen[0] == seen[1] else "tie"
        for place, seen in orders.items()
        if len(seen) == 2
    }


def _for_local(one: Comparison) -> str:
    if one.better == "tie":
        return "tie"
    return "win" if (one.better == "first") == one.local_first else "loss"


def _rate(
    outcomes: Mapping[_Meeting, str],
    prompt_of: Mapping[str, str],
    unscored: int,
    confidence: float,
) -> WinRate:
    import numpy as np

    by_response: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (judge, response_id, _), how in outcomes.items():
        by_response[response_id][judge].append(_POINTS[how])
    points = {i: fmean(map(fmean, judges.values())) for i, judges in by_response.items()}
    numbers = {pair_id: n for n, pair_id in enumerate(dict.fromkeys(map(prompt_of.get, points)))}
    prompts = np.array([numbers[prompt_of[i]] for i in points], dtype=np.int64)
    counts = Counter(outcomes.values())
    interval = mean_of(np.array(list(points.values())), prompts, confidence=confidence)
    rate = Measure(
        value=fmean(points.values()) if points else None,
        interval=interval if points else None,
        prompts=len(numbers),
        responses=len(points),
    )
    return WinRate(
        wins=counts["win"],
        ties=counts["tie"],
        losses=counts["loss"],
        rate=rate,
        unscored=unscored,
    )
