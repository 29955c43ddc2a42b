"""From judgements to each response's score: exact, by mean or by median."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.scores import panel_values, score
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.evaluation.tallies import aggregate_of, mean
from llamaduo.records import Judged, Judgement, Judgements
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import judgement, pair, response, unscored

PAIRS = [pair(f"question {n}") for n in range(2)]
RESPONSES = tuple(response(one) for one in PAIRS)
MEDIAN = JudgingSettings(aggregate="median", score_thresholds=(70,))


def marked(*marks: int, judge: str = "one", of: int = 0) -> list[Judgement]:
    return [
        judgement(RESPONSES[of], precision, judge=judge, index=index)
        for index, precision in enumerate(marks)
    ]


@given(st.lists(st.integers(0, 100) | st.fractions(0, 100, max_denominator=60), min_size=1))
def test_the_mean_is_exact(values: list[int | Fraction]) -> None:
    assert mean(values) == sum(values, Fraction()) / len(values)


@pytest.mark.parametrize(
    ("values", "middle"),
    [([7], 7), ([0, 100, 90], 90), ([60, 70, 81, 0], 65), ([60, 61], Fraction(121, 2))],
)
def test_the_median_is_the_middle_one_or_between_the_middle_two(
    values: list[int], middle: Fraction
) -> None:
    found = aggregate_of("median")(values)
    assert (found, type(found)) == (middle, Fraction)


def test_the_median_is_of_repeats_and_then_of_judges() -> None:
    found = Judgements(
        (
            *marked(0, 90, 100),  # one outlier of three repeats: 90
            *marked(80, 84, judge="two"),  # 82
            *marked(10, judge="three"),  # an outlier among judges
        ),
        (),
    )
    assert panel_values(found, MEDIAN)[RESPONSES[0].id]["precision"] == 82.0
    by_mean = panel_values(found, JudgingSettings())[RESPONSES[0].id]["precision"]
    assert by_mean == pytest.approx((190 / 3 + 82 + 10) / 3)


def test_scores_by_median_are_means_over_responses_of_it() -> None:
    judged = Judged(RESPONSES, Judgements((*marked(0, 90, 100), *marked(60, of=1)), ()))
    found = score(judged, PAIRS, MEDIAN, TaskSettings())
    for scores in (found.panel["precision"], found.judges["one"]["precision"]):
        assert scores.mean_score == 75.0
        assert scores.coverage_percentage == {70: 50.0}


def test_what_is_missing_is_assumed_within_the_median() -> None:
    missing = (unscored(RESPONSES[0], index=1), unscored(RESPONSES[0], index=2))
    judged = Judged(RESPONSES[:1], Judgements(tuple(marked(80)), missing))
    found = score(judged, PAIRS[:1], MEDIAN, TaskSettings()).panel["precision"]
    assert (found.lowest, found.mean_score, found.highest) == (0.0, 80.0, 100.0)
