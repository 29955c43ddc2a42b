"""The bucket: never more than the rate and one burst, and what is given back is given back once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.pacing.bucket import BURST_SECONDS, WINDOW_SECONDS, Bucket

AMOUNTS = st.floats(0.1, 200.0)
STEPS = st.lists(st.tuples(st.floats(0.0, 20.0), AMOUNTS), min_size=1, max_size=40)


def served(bucket: Bucket, steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """When each amount went, if each waits as long as it is told to."""
    now, found = 0.0, []
    for gap, amount in steps:
        now += gap
        for _ in range(100):  # a window may send one back more than once
            if not (wait := bucket.wait(amount, now)):
                break
            now += wait
        bucket.take(amount, now)
        found.append((now, amount))
    return found


@given(st.floats(6.0, 6000.0), STEPS)
def test_no_spell_sees_more_than_its_rate_and_a_burst(
    per_minute: float, steps: list[tuple[float, float]]
) -> None:
    bucket = Bucket(per_minute, 0.0)
    went = served(bucket, steps)
    burst = max(bucket.most, *(amount for _, amount in went))
    for first, last in itertools.combinations_with_replacement(range(len(went)), 2):
        spell = went[last][0] - went[first][0]
        taken = sum(amount for _, amount in went[first : last + 1])
        assert taken <= per_minute / 60.0 * spell + burst + 1e-6 * taken


@given(st.floats(60.0, 6000.0), STEPS)
def test_no_minute_sees_more_than_its_window(
    window: float, steps: list[tuple[float, float]]
) -> None:
    went = served(Bucket(window * 1.1, 0.0, window=window), steps)
    for first, (began, _) in enumerate(went):
        within = [amount for at, amount in went[first:] if at < began + 60.0]
        assert sum(within) <= window + 1e-6 or len(within) == 1


@given(st.floats(6.0, 6000.0), STEPS, st.data())
def test_the_level_is_never_above_what_it_holds(
    per_minute: float, steps: list[tuple[float, float]], data: st.DataObject
) -> None:
    bucket, now = Bucket(per_minute, 0.0), 0.0
    for gap, amount in steps:
        now += gap
        taken = bucket.take(amount, now)
        bucket.correct(taken, data.draw(st.floats(0.0, 300.0)), now)
        bucket.heard_remaining(data.draw(st.floats(0.0, 1e6)), taken, now)
        assert bucket.level(now) <= bucket.most + 1e-9


def test_a_call_larger_than_the_bucket_goes_when_it_is_full_and_is_paid_back_after() -> None:
    bucket = Bucket(60.0, 0.0)
    assert bucket.wait(30.0, 0.0) == 0.0
    bucket.take(30.0, 0.0)
    assert bucket.level(0.0) == BURST_SECONDS - 30.0
    assert bucket.wait(1.0, 10.0) == pytest.approx(20.0)


def test_what_was_not_used_comes_back_and_what_was_used_besides_is_charged() -> None:
    bucket = Bucket(6000.0, 0.0)
    taken = bucket.take(80.0, 0.0)
    bucket.correct(taken, 20.0, 0.0)
    assert bucket.level(0.0) == pytest.approx(80.0)
    bucket.correct(taken, 20.0, 0.0)
    assert bucket.level(0.0) == pytest.approx(80.0)
    bucket.correct(taken, 90.0, 0.0)
    assert bucket.level(0.0) == pytest.approx(10.0)


def test_a_window_forgets_what_was_given_back() -> None:
    bucket = Bucket(110.0, 0.0, window=100.0)
    taken = bucket.take(100.0, 0.0)
    assert bucket.wait(50.0, 59.0) == pytest.approx(WINDOW_SECONDS - 59.0)
    bucket.correct(taken, 40.0, 59.0)
    assert bucket.wait(50.0, 59.0) == 0.0


def test_what_remains_lowers_the_level_and_never_raises_it() -> None:
    bucket = Bucket(600.0, 0.0)
    taken = bucket.take(4.0, 0.0)
    bucket.heard_remaining(500.0, taken, 0.0)
    assert bucket.level(0.0) == pytest.approx(6.0)
    bucket.heard_remaining(2.0, taken, 0.0)
    assert bucket.level(0.0) == pytest.approx(2.0)


def test_an_old_figure_is_brought_up_to_date_before_it_counts() -> None:
    """Two remained after a call at 0 s. By 1 s ten were refilled and others have taken five."""
    bucket = Bucket(600.0, 0.0)
    taken = bucket.take(4.0, 0.0)
    bucket.take(5.0, 0.5)
    bucket.heard_remaining(2.0, taken, 1.0)
    assert bucket.level(1.0) == pytest.approx(7.0)


def test_a_lower_rate_takes_away_what_was_saved_and_keeps_what_is_owed() -> None:
    bucket = Bucket(600.0, 0.0)
    bucket.set_rate(60.0, 0.0)
    assert bucket.level(0.0) == 1.0
    bucket.take(11.0, 0.0)
    bucket.set_rate(600.0, 0.0)
    assert bucket.level(0.0) == -10.0


def test_calls_from_before_the_bucket_count_in_its_window() -> None:
    bucket = Bucket(110.0, 30.0, window=100.0)
    bucket.recall(100.0, 10.0)
    assert bucket.wait(1.0, 30.0) == pytest.approx(10.0 + WINDOW_SECONDS - 30.0)
