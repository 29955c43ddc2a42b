"""What the settings of this room refuse."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from llamaduo.evaluation.settings import JudgingSettings, LimitSettings, MetricTarget


@pytest.mark.parametrize("thresholds", [(-1,), (101,), (50, 70, 50)])
def test_a_threshold_is_a_score_and_listed_once(thresholds: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        JudgingSettings(score_thresholds=thresholds)
    assert JudgingSettings(score_thresholds=(0, 100)).score_thresholds == (0, 100)


@pytest.mark.parametrize("percentages", [{-1: 50.0}, {101: 50.0}, {70: -0.1}, {70: 100.1}])
def test_a_coverage_percentage_is_of_a_score_and_a_percentage(
    percentages: dict[int, float],
) -> None:
    with pytest.raises(ValidationError):
        MetricTarget(coverage_percentage=percentages)
    assert MetricTarget(coverage_percentage={0: 0.0, 100: 100.0}).coverage_percentage


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_number_is_finite(odd: float) -> None:
    for make in (
        lambda: MetricTarget(mean_score=odd),
        lambda: MetricTarget(coverage_percentage={70: odd}),
        lambda: LimitSettings(min_gain=odd),
        lambda: LimitSettings(budget_usd=odd),
    ):
        with pytest.raises(ValidationError):
            make()
