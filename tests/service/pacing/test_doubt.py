"""Whether refusals depend on the pace: when a trial begins, ends, and what it proves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.pacing.doubt import Doubt


def hear(doubt: Doubt, passed: int, refused: int = 0) -> None:
    for _ in range(passed):
        doubt.answered(refused=False)
    for _ in range(refused):
        doubt.answered(refused=True)


def on_trial(refused: int = 0, allowed: float = 100.0) -> Doubt:
    """Begun at 31 s, after 100 answers of which so many were refusals."""
    doubt = Doubt()
    doubt.concluded(0.0, allowed)
    hear(doubt, 100 - refused, refused)
    assert doubt.on_trial(31.0)
    return doubt


def test_few_refusals_and_few_answers_are_weak_evidence() -> None:
    doubt = Doubt()
    hear(doubt, 0, 5)
    assert doubt.is_weak
    hear(doubt, 0, 1)
    assert not doubt.is_weak
    hear(doubt, 100)
    assert doubt.is_weak


def test_a_trial_begins_after_some_time_and_some_calls() -> None:
    doubt = Doubt()
    hear(doubt, 1000)
    assert not doubt.on_trial(1000.0)  # nothing was concluded yet
    doubt.concluded(1000.0, 100.0)
    hear(doubt, 18)
    assert not doubt.on_trial(1030.0)
    hear(doubt, 1)
    assert not doubt.on_trial(1029.0)
    assert doubt.on_trial(1030.0)


def test_refusals_that_become_frequent_end_it_and_the_next_is_later() -> None:
    doubt = on_trial(refused=1)
    hear(doubt, 10, 2)
    assert not doubt.found_out()
    hear(doubt, 0, 1)
    assert doubt.found_out()
    doubt.concluded(35.0, 100.0)
    hear(doubt, 1000)
    assert not doubt.on_trial(94.0)
    assert doubt.on_trial(95.0)


def test_refusals_as_frequent_as_before_prove_nothing() -> None:
    doubt = on_trial(refused=30)
    hear(doubt, 30, 20)
    assert not doubt.found_out()
    assert doubt.on_trial(330.0)
    assert not doubt.on_trial(332.0)


def test_a_trial_in_which_refusals_are_isolated_goes_on() -> None:
    doubt = on_trial(refused=2)
    hear(doubt, 95, 5)
    assert doubt.on_trial(332.0)
    assert doubt.on_trial(631.0)


def test_a_pace_that_has_fallen_far_is_tried_out_soon_and_regained() -> None:
    doubt = Doubt()
    doubt.concluded(0.0, 1000.0)
    doubt.concluded(1.0, 20.0)
    assert doubt.on_trial(31.0)
    assert doubt.least(found_out=True) == 600.0


@given(st.lists(st.booleans(), max_size=300))
def test_isolated_refusals_never_take_the_pace_below_half(refusals: list[bool]) -> None:
    doubt = Doubt()
    doubt.concluded(0.0, 100.0)
    for refused in refusals:
        doubt.answered(refused=refused)
    lately = refusals[-100:]
    isolated = len(lately) >= 50 and sum(lately) <= 0.1 * len(lately)
    assert doubt.least(found_out=False) == (50.0 if isolated else 0.0)
