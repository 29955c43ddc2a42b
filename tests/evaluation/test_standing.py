"""Where scores stand to the target: each aim met, missed, undecided or unknown, and in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.settings import JudgingSettings, MetricTarget, TargetSettings
from llamaduo.evaluation.standing import Aim, aims, closeness, in_words, shown_below
from llamaduo.records import PANEL, Interval, Measure, Scores, Standing, WinRate
from tests.evaluation.made import metric_scores, scores

EVERYTHING = TargetSettings(
    precision=MetricTarget(mean_score=80.0, coverage_percentage={70: 90.0, 50: 95.0}),
    metrics={"tone": MetricTarget(mean_score=75.0)},
    free={"rouge_l": 40.0, "exact_match": 60.0},
    win_rate=50.0,
    not_worse_than_service_by=5.0,
    evidence="interval",
)
NAMES = (
    "precision mean score",
    "precision coverage percentage (ζ = 50)",
    "precision coverage percentage (ζ = 70)",
    "tone mean score",
    "exact_match",
    "rouge_l",
    "win rate",
)


def measured(value: float | None, half: float = 3.0, prompts: int = 30) -> Measure:
    interval = None if value is None else Interval(value - half, value + half)
    return Measure(value, interval, prompts, 2 * prompts)


def rich() -> Scores:
    """Everything that there can be a target for, over 40 prompts."""
    plain = scores(85.0, {50: 96.0, 70: 91.0})
    precision = replace(
        plain.panel["precision"],
        interval=Interval(82.0, 88.0),
        intervals={50: Interval(93.0, 98.0), 70: Interval(86.0, 95.0)},
    )
    rate = WinRate(wins=20, ties=4, losses=16, rate=measured(55.0, 9.0, prompts=40), unscored=0)
    return replace(
        plain,
        panel={**plain.panel, "precision": precision, "tone": metric_scores(70.0)},
        free={"exact_match": measured(50.0), "rouge_l": measured(45.0)},
        win_rates={PANEL: rate, "one": replace(rate, rate=measured(10.0))},
        prompts=40,
        judged_prompts=40,
    )


def named(found: Scores, target: TargetSettings = EVERYTHING) -> dict[str, Aim]:
    return {aim.name: aim for aim in aims(found, target)}


# --- what is aimed at ---------------------------------------------------------------------


def test_every_configured_target_is_an_aim_with_what_came_out() -> None:
    found = named(rich())
    assert tuple(found) == NAMES
    assert [one.value for one in found.values()] == [85.0, 96.0, 91.0, 70.0, 50.0, 45.0, 55.0]
    assert [one.bound for one in found.values()] == [80.0, 95.0, 90.0, 75.0, 60.0, 40.0, 50.0]
    assert [one.prompts for one in found.values()] == [40, 40, 40, 40, 30, 30, 40]
    assert [name for name, one in found.items() if one.judged] == list(NAMES[:4])


def test_the_win_rate_is_the_panels() -> None:
    assert named(rich())["win rate"].value == 55.0


def test_a_judge_that_never_prefers_either_meets_no_win_rate() -> None:
    """Always "tie", or always "first" in both orders, comes to exactly half."""
    ties = WinRate(wins=0, ties=40, losses=0, rate=measured(50.0, 0.5, prompts=40), unscored=0)
    aim = named(replace(rich(), win_rates={PANEL: ties}))["win rate"]
    assert (aim.value, aim.by_point, aim.by_interval) == (None, "missed", "missed")
    assert aim.words == "win rate is unknown: every comparison is a tie; 50 is asked for"


def test_each_stands_where_its_interval_leaves_it() -> None:
    standings = {name: one.by_interval for name, one in named(rich()).items()}
    assert standings == {
        "precision mean score": "met",
        "precision coverage percentage (ζ = 50)": "undecided",
        "precision coverage percentage (ζ = 70)": "undecided",
        "tone mean score": "missed",  # without an interval nothing is shown
        "exact_match": "missed",
        "rouge_l": "met",
        "win rate": "undecided",
    }


def test_evidence_says_which_of_the_two_counts() -> None:
    aim = named(rich())["win rate"]
    assert aim.standing(EVERYTHING) == "undecided"
    assert aim.standing(EVERYTHING.model_copy(update={"evidence": "point"})) == "met"


@pytest.mark.parametrize(
    ("low", "high", "standing"),
    [
        (80.0, 90.0, "met"),
        (79.999, 90.0, "undecided"),
        (70.0, 80.0, "undecided"),
        (70.0, 79.999, "missed"),
    ],
)
def test_the_whole_interval_must_reach_the_bound(low: float, high: float, standing: str) -> None:
    aim = Aim("x", (low + high) / 2, Interval(low, high), 40, 80.0)
    assert aim.by_interval == standing


# --- what is unknown ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("precision mean score", "nothing was scored"),
        ("tone mean score", "nothing was scored"),
        ("exact_match", "no response has this metric"),
        ("win rate", "nothing was compared"),
    ],
)
def test_what_is_unknown_is_missed_and_says_why(name: str, why: str) -> None:
    aim = named(scores(None))[name]
    assert (aim.value, aim.by_point, aim.by_interval) == (None, "missed", "missed")
    assert f"{name} is unknown: {why}" in aim.words
    assert aim.prompts_needed is None


def test_a_threshold_that_was_not_measured_is_named() -> None:
    aim = named(scores(85.0, {50: 96.0}))["precision coverage percentage (ζ = 70)"]
    assert "70 is not among judging.score_thresholds" in aim.words


# --- in words -----------------------------------------------------------------------------


def test_a_target_in_words_has_every_number_that_was_asked_for() -> None:
    assert in_words(EVERYTHING, JudgingSettings()) == (
        "precision mean score 80",
        "precision coverage percentage (ζ = 50) 95",
        "precision coverage percentage (ζ = 70) 90",
        "tone mean score 75",
        "exact_match 60",
        "rouge_l 40",
        "win rate against the service LLM 50",
        "on the final split not worse than the service LLM by 5",
        "each by its whole interval (95 %)",
    )


def test_the_confidence_that_is_meant_is_said() -> None:
    said = in_words(EVERYTHING, JudgingSettings(stopping="adaptive"))
    assert said[-1] == "each by its whole interval (95 % for all looks together)"
    by_point = EVERYTHING.model_copy(update={"evidence": "point"})
    assert not any("interval" in words for words in in_words(by_point, JudgingSettings()))


@given(st.floats(0, 100), st.floats(0, 100))
def test_what_is_below_never_looks_as_if_it_were_not(value: float, bound: float) -> None:
    if value < bound:
        assert float(shown_below(value, bound)) < bound


def test_no_more_digits_are_shown_than_it_takes() -> None:
    assert [shown_below(value, 85.0) for value in (84.9, 84.96, 84.9996, 0.0)] == [
        "84.9",
        "84.96",
        "84.9996",
        "0.0",
    ]


def test_what_is_wrong_is_said_with_its_numbers() -> None:
    found = named(rich())
    assert found["exact_match"].words == "exact_match 50.0 is below 60"
    assert found["win rate"].words == (
        "win rate 55.0 may be below 50: its interval is 46.0 to 64.0"
    )
    met_by_point = Aim("x", 85.0, None, 40, 80.0)
    assert met_by_point.words == "x 85.0 has no interval, and 80 is asked for"


# --- how far it is ------------------------------------------------------------------------


def test_a_decision_takes_as_many_prompts_as_narrow_the_interval_to_the_distance() -> None:
    # Half the interval is 9 points, the distance 5: (9 / 5)² times the 40 prompts, and one more.
    assert named(rich())["win rate"].prompts_needed == 130


def test_closeness_does_not_let_one_target_make_up_for_another() -> None:
    target = TargetSettings(
        precision=MetricTarget(mean_score=80.0), similarity=MetricTarget(mean_score=60.0)
    )
    assert closeness(scores(100.0, similarity=0.0), target) == 40.0
    assert closeness(scores(80.0, similarity=60.0), target) == 70.0
    assert closeness(scores(None, similarity=60.0), target) == 30.0


@given(
    st.floats(0, 100),
    st.floats(0, 50),
    st.floats(0, 50),
    st.floats(0, 100),
)
def test_an_interval_and_its_point_never_contradict_each_other(
    value: float, below: float, above: float, bound: float
) -> None:
    aim = Aim("x", value, Interval(value - below, value + above), 40, bound)
    opposite: dict[Standing, Standing] = {"met": "missed", "missed": "met"}
    assert aim.by_point != opposite.get(aim.by_interval)
