"""The verdict: when a run has passed, when it goes on, and why it stops."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.settings import LimitSettings, MetricTarget, TargetSettings
from llamaduo.evaluation.standing import closeness
from llamaduo.evaluation.verdict import (
    best_cycle,
    confirm,
    reach_verdict,
    shortfalls,
    unconfirmed,
)
from llamaduo.records import Interval, Measure, Scores, Verdict
from tests.evaluation.made import scores

TARGET = TargetSettings(precision=MetricTarget(mean_score=85.0))
LIMITS = LimitSettings(cycles=10, patience=2, min_gain=1.0)


def reach(*means: float | None, limits: LimitSettings = LIMITS) -> Verdict:
    return reach_verdict(
        [scores(value) for value in means], TARGET, limits, reference_sources=("human",)
    )


# --- against the target ---------------------------------------------------------------------


def test_a_shortfall_names_the_metric_and_both_numbers() -> None:
    assert shortfalls(scores(71.34), TARGET) == ("precision mean score 71.3 is below 85",)


def test_a_value_that_equals_the_target_meets_it() -> None:
    assert shortfalls(scores(85.0), TARGET) == ()


@pytest.mark.parametrize(
    ("value", "shown"), [(84.96, "84.96"), (84.99996, "84.99996"), (84.9, "84.9"), (0.0, "0.0")]
)
def test_a_near_miss_never_rounds_to_the_target(value: float, shown: str) -> None:
    assert shortfalls(scores(value), TARGET) == (f"precision mean score {shown} is below 85",)


def test_every_configured_target_must_be_met() -> None:
    target = TargetSettings(
        precision=MetricTarget(mean_score=80.0, coverage_percentage={70: 90.0, 50: 95.0}),
        similarity=MetricTarget(mean_score=60.0),
    )
    assert shortfalls(scores(80.0, {50: 95.0, 70: 88.25}, similarity=55.0), target) == (
        "similarity mean score 55.0 is below 60",
        "precision coverage percentage (ζ = 70) 88.2 is below 90",
    )


def test_what_is_unknown_is_not_met() -> None:
    target = TargetSettings(precision=MetricTarget(mean_score=80.0, coverage_percentage={60: 9.0}))
    assert shortfalls(scores(None), target) == (
        "precision mean score is unknown: nothing was scored; 80 is asked for",
        "precision coverage percentage (ζ = 60) is unknown: nothing was scored; 9 is asked for",
    )
    [not_measured] = shortfalls(scores(90.0, {70: 90.0}), target)
    assert "60 is not among judging.score_thresholds" in not_measured


def test_standing_does_not_let_one_metric_make_up_for_another() -> None:
    target = TargetSettings(
        precision=MetricTarget(mean_score=80.0), similarity=MetricTarget(mean_score=60.0)
    )
    assert closeness(scores(100.0, similarity=40.0), target) == 60.0  # (80 + 40) / 2
    assert closeness(scores(80.0, similarity=60.0), target) == 70.0
    assert closeness(scores(None, similarity=60.0), target) == 30.0


# --- prompts that were set aside --------------------------------------------------------------


def set_aside(count: int, of: int, precision: float = 90.0) -> Scores:
    return replace(scores(precision), prompts=of - count, set_aside=count)


def test_a_pass_says_how_many_prompts_it_leaves_out() -> None:
    got = reach_verdict([set_aside(2, 100)], TARGET, LIMITS, reference_sources=("human",))
    assert (got.outcome, got.shortfalls) == ("passed", ())
    assert "2 of 100 prompts were set aside as too long and are not in the scores" in got.reason
    assert "set aside" not in reach(90.0).reason


@pytest.mark.parametrize(("count", "of"), [(3, 100), (1, 49), (1, 1)])
def test_too_many_prompts_set_aside_is_no_pass(count: int, of: int) -> None:
    got = reach_verdict([set_aside(count, of)], TARGET, LIMITS, reference_sources=("human",))
    assert got.shortfalls == (
        f"{count} of {of} test prompts do not fit the window (at most 2 % may)",
    )
    assert got.outcome == "stopped"
    assert "which no cycle changes" in got.reason


def test_a_target_missed_otherwise_too_goes_on() -> None:
    got = reach_verdict([set_aside(3, 100, 40.0)], TARGET, LIMITS, reference_sources=("human",))
    assert got.outcome == "continue"
    assert len(got.shortfalls) == 2


# --- the loop's rules -----------------------------------------------------------------------


def test_a_met_target_passes_whatever_the_limits_say() -> None:
    got = reach_verdict(
        [scores(40.0), scores(90.0)],
        TARGET,
        LimitSettings(cycles=2, patience=1, min_gain=100.0, budget_usd=1.0),
        reference_sources=("service", "human", "service"),
        spent_usd=1.0,
        budget_exhausted=True,
    )
    assert (got.outcome, got.cycle, got.best_cycle, got.shortfalls) == ("passed", 1, 1, ())
    assert got.reference_sources == ("human", "service")


def test_a_missed_target_goes_on() -> None:
    got = reach(40.0, 60.0)
    assert (got.outcome, got.cycle, got.best_cycle) == ("continue", 1, 1)
    assert got.shortfalls == ("precision mean score 60.0 is below 85",)


def test_the_loop_stops_after_its_last_cycle() -> None:
    limits = LimitSettings(cycles=2)
    assert reach(40.0, limits=limits).outcome == "continue"
    got = reach(60.0, 40.0, limits=limits)
    assert (got.outcome, got.best_cycle) == ("stopped", 0)
    assert "all 2 cycles have run (limits.cycles)" in got.reason


def test_the_loop_stops_on_a_plateau() -> None:
    assert reach(60.0, 60.5).outcome == "continue"  # patience is two cycles
    got = reach(60.0, 60.5, 60.9)
    assert got.outcome == "stopped"
    assert "gained 0.9 points in the last 2 cycles, less than 1 (limits.min_gain)" in got.reason


def test_a_gain_of_exactly_min_gain_is_a_gain() -> None:
    assert reach(60.1, 60.5, 61.1).outcome == "continue"


def test_a_fall_and_a_recovery_is_no_gain() -> None:
    assert reach(60.0, 40.0, 60.0).outcome == "stopped"


def test_the_loop_stops_when_the_budget_is_used_up() -> None:
    got = reach_verdict(
        [scores(40.0)],
        TARGET,
        LimitSettings(cycles=4, budget_usd=5.0),
        reference_sources=("human",),
        spent_usd=4.97,
        budget_exhausted=True,
    )
    assert got.outcome == "stopped"
    assert "the budget is used up, $4.97 of $5.00 spent (limits.budget_usd)" in got.reason


def test_every_cause_to_stop_is_named() -> None:
    got = reach(60.0, 60.0, 60.0, limits=LimitSettings(cycles=3, patience=2, min_gain=1.0))
    assert "limits.cycles" in got.reason
    assert "limits.min_gain" in got.reason


def test_the_best_cycle_is_the_earliest_of_equals() -> None:
    assert best_cycle([scores(50.0), scores(70.0), scores(70.0), scores(60.0)], TARGET) == 1
    assert best_cycle([scores(50.0), scores(90.0), scores(99.0)], TARGET) == 1


# --- for any history ------------------------------------------------------------------------

values = st.none() | st.floats(0, 100)
some_scores = st.builds(
    scores, values, st.dictionaries(st.sampled_from([50, 70]), st.floats(0, 100)), values
)
histories = st.lists(some_scores, min_size=1, max_size=6)
percentages = st.dictionaries(st.sampled_from([50, 60, 70]), st.floats(0, 100))
metric_targets = st.builds(MetricTarget, mean_score=values, coverage_percentage=percentages)
targets = st.builds(
    TargetSettings,
    precision=st.builds(
        MetricTarget, mean_score=st.floats(0, 100), coverage_percentage=percentages
    ),
    similarity=metric_targets,
)
all_limits = st.builds(
    LimitSettings,
    cycles=st.integers(1, 6),
    patience=st.integers(1, 4),
    min_gain=st.sampled_from([0.0, 0.5, 1.0, 5.0]),
)


@given(histories, targets, all_limits, st.booleans())
def test_there_is_always_one_coherent_verdict(
    history: list[Scores], target: TargetSettings, limits: LimitSettings, exhausted: bool
) -> None:
    got = reach_verdict(
        history, target, limits, reference_sources=("human",), budget_exhausted=exhausted
    )
    assert got.cycle == len(history) - 1
    assert got.shortfalls == shortfalls(history[got.best_cycle], target)
    assert (got.outcome == "passed") == (not got.shortfalls)
    assert (got.outcome == "passed") == any(not shortfalls(s, target) for s in history)
    if got.outcome == "continue":
        assert len(history) < limits.cycles
        assert not exhausted
    best = max(closeness(s, target) for s in history)
    assert closeness(history[got.best_cycle], target) == pytest.approx(best)


@given(some_scores, targets, st.floats(0, 100))
def test_better_scores_never_add_a_shortfall_or_lower_the_standing(
    before: Scores, target: TargetSettings, gain: float
) -> None:
    panel = {
        metric: replace(
            one,
            mean_score=None if one.mean_score is None else min(100.0, one.mean_score + gain),
            coverage_percentage={
                z: min(100.0, c + gain) for z, c in one.coverage_percentage.items()
            },
        )
        for metric, one in before.panel.items()
    }
    after = replace(before, panel=panel)
    assert closeness(after, target) >= closeness(before, target)
    assert len(shortfalls(after, target)) <= len(shortfalls(before, target))


@given(
    st.lists(st.integers(0, 84), min_size=1, max_size=7),
    st.integers(1, 4),
    st.integers(0, 4),
)
def test_a_plateau_is_what_it_says(means: list[int], patience: int, min_gain: int) -> None:
    """Brute force: no cycle of the last ``patience`` beats every earlier one by min_gain."""
    limits = LimitSettings(cycles=99, patience=patience, min_gain=float(min_gain))
    earlier, recent = means[:-patience], means[-patience:]
    flat = (
        bool(earlier)
        and min_gain > 0
        and not any(all(new >= old + min_gain for old in earlier) for new in recent)
    )
    got = reach(*(float(value) for value in means), limits=limits)
    assert got.outcome == ("stopped" if flat else "continue")


# --- evidence by the interval -----------------------------------------------------------------

BY_INTERVAL = TARGET.model_copy(update={"evidence": "interval"})


def within(mean: float, low: float, high: float, prompts: int = 40) -> Scores:
    found = scores(mean)
    precision = replace(found.panel["precision"], interval=Interval(low, high))
    panel = {**found.panel, "precision": precision}
    return replace(found, panel=panel, prompts=prompts, judged_prompts=prompts)


def by_interval(*history: Scores, cycles: int = 10) -> Verdict:
    limits = LimitSettings(cycles=cycles)
    return reach_verdict(history, BY_INTERVAL, limits, reference_sources=("human",))


def test_an_interval_that_clears_the_target_passes() -> None:
    assert by_interval(within(90.0, 85.0, 95.0)).outcome == "passed"


def test_a_figure_that_luck_may_have_lifted_does_not_pass_but_goes_on() -> None:
    got = by_interval(within(88.0, 82.0, 94.0))
    assert got.outcome == "continue"
    assert "may or may not meet the target" in got.reason
    assert got.shortfalls == (
        "precision mean score 88.0 may be below 85: its interval is 82.0 to 94.0",
    )


def test_at_the_limits_thin_evidence_is_undecided_and_says_how_many_prompts_it_takes() -> None:
    got = by_interval(within(88.0, 82.0, 94.0), cycles=1)
    assert got.outcome == "undecided"
    assert got.prompts_needed == 161  # half the width is 6, the distance 3: four times the prompts
    assert "about 161 test prompts; there are 40" in got.reason


def test_an_interval_below_the_target_is_a_miss_and_not_undecided() -> None:
    assert by_interval(within(70.0, 65.0, 75.0), cycles=1).outcome == "stopped"


# --- against the service LLM ------------------------------------------------------------------

MARGIN = TARGET.model_copy(update={"not_worse_than_service_by": 5.0})


def on_final(value: float | None, low: float = 0.0, high: float = 0.0) -> Scores:
    interval = None if value is None else Interval(low, high)
    return replace(scores(90.0), versus_service={"precision": Measure(value, interval, 50, 50)})


@pytest.mark.parametrize(
    ("final", "outcome", "standing"),
    [
        (on_final(-1.0, -4.9, 2.9), "passed", "met"),
        (on_final(-3.0, -8.0, 2.0), "undecided", "undecided"),
        (on_final(-9.0, -12.0, -6.0), "stopped", "missed"),
        (on_final(None), "undecided", "undecided"),
    ],
)
def test_a_pass_stands_only_if_the_final_split_shows_it_is_not_worse(
    final: Scores, outcome: str, standing: str
) -> None:
    passed = reach(90.0)
    got = confirm(passed, final, MARGIN)
    assert got.non_inferiority is not None
    assert (got.outcome, got.non_inferiority.standing) == (outcome, standing)
    assert (got.shortfalls == ()) == (outcome == "passed")
    assert confirm(passed, final, TARGET) == passed


def test_a_pass_does_not_stand_on_a_final_split_that_lacks_its_long_prompts() -> None:
    final = replace(on_final(-1.0, -4.9, 2.9), prompts=50, set_aside=10)
    got = confirm(reach(90.0), final, MARGIN)
    assert got.outcome == "stopped"
    assert "But 10 of 60 final prompts do not fit the window" in got.reason
    assert confirm(reach(90.0), final, TARGET).outcome == "passed"


def test_a_miss_stays_a_miss_whatever_the_final_split_shows() -> None:
    stopped = reach(50.0, limits=LimitSettings(cycles=1))
    got = confirm(stopped, on_final(3.0, 1.0, 5.0), MARGIN)
    assert (got.outcome, got.reason) == ("stopped", stopped.reason)


def test_a_pass_that_was_to_be_confirmed_and_was_not_is_undecided() -> None:
    assert unconfirmed(reach(90.0), MARGIN).outcome == "undecided"
    assert unconfirmed(reach(90.0), TARGET).outcome == "passed"
