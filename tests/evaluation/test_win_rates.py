"""Pairwise comparisons as win rates: both orders, ties as half, prompts as the sample."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.win_rates import win_rates
from llamaduo.records import PANEL, Comparison, Comparisons, Unscored, WinRate

ORDERS = {
    "win": ("first", "second"),
    "loss": ("second", "first"),
    "tie": ("tie", "tie"),
    "disagreement": ("first", "first"),
    "half a tie": ("first", "tie"),
}
"""What a judge says with the local response first, and then second."""


def order(
    better: str,
    *,
    local_first: bool,
    prompt: int = 0,
    response: int = 0,
    judge: str = "one",
    index: int = 0,
) -> Comparison:
    return Comparison(
        response_id=f"p{prompt}-{response}",
        rival_id=f"p{prompt}-service",
        pair_id=f"p{prompt}",
        judge=judge,
        index=index,
        local_first=local_first,
        better=better,  # type: ignore[arg-type]
        reason="",
        snapshot="one-1",
        call="key",
    )


def meeting(
    how: str, prompt: int = 0, response: int = 0, judge: str = "one", index: int = 0
) -> list[Comparison]:
    return [
        order(
            better,
            local_first=first,
            prompt=prompt,
            response=response,
            judge=judge,
            index=index,
        )
        for better, first in zip(ORDERS[how], (True, False), strict=True)
    ]


def rates(*meetings: list[Comparison], lost: tuple[Unscored, ...] = ()) -> dict[str, WinRate]:
    return win_rates(Comparisons(tuple(one for m in meetings for one in m), lost), 0.95)


def lost(judge: str) -> Unscored:
    return Unscored(
        response_id="p0-0", pair_id="p0", judge=judge, index=0, kind="refused", reason="no"
    )


@pytest.mark.parametrize(
    ("how", "counts", "rate"),
    [
        ("win", (1, 0, 0), 100.0),
        ("loss", (0, 0, 1), 0.0),
        ("tie", (0, 1, 0), 50.0),
        ("disagreement", (0, 1, 0), 50.0),
        ("half a tie", (0, 1, 0), 50.0),
    ],
)
def test_one_meeting(how: str, counts: tuple[int, int, int], rate: float) -> None:
    found = rates(meeting(how))[PANEL]
    assert (found.wins, found.ties, found.losses) == counts
    assert (found.rate.value, found.rate.prompts, found.rate.responses) == (rate, 1, 1)


def test_nothing_compared_is_no_rate() -> None:
    assert win_rates(Comparisons(), 0.95) == {}


def test_a_judge_that_lost_everything_has_counts_and_no_rate() -> None:
    found = rates(meeting("win"), lost=(lost("two"), lost("two")))
    assert (found["two"].unscored, found["two"].rate.value) == (2, None)
    assert found["two"].rate.interval is None
    assert (found["one"].unscored, found[PANEL].unscored) == (0, 2)
    assert found[PANEL].rate.value == 100.0


def test_half_a_meeting_is_none() -> None:
    found = rates(meeting("win"), [order("second", local_first=True, prompt=1)])[PANEL]
    assert (found.wins, found.losses, found.rate.prompts) == (1, 0, 1)


def test_judges_have_the_same_say_however_often_they_were_asked() -> None:
    often = [meeting("win", index=index) for index in range(3)]
    found = rates(*often, meeting("loss", judge="two"))
    assert (found["one"].rate.value, found["two"].rate.value) == (100.0, 0.0)
    assert found[PANEL].rate.value == 50.0
    assert (found[PANEL].wins, found[PANEL].losses) == (3, 1)


def test_the_interval_is_of_prompts_and_not_of_responses() -> None:
    """Ten responses to a prompt that all win are one win, not ten."""
    hows = ["win", "loss"] * 6
    once = rates(*(meeting(how, p) for p, how in enumerate(hows)))[PANEL].rate
    tenfold = [meeting(how, p, k) for p, how in enumerate(hows) for k in range(10)]
    often = rates(*tenfold)[PANEL].rate
    assert once.interval is not None
    assert often.interval is not None
    assert (often.prompts, often.responses) == (12, 120)
    width, wide = (one.interval.high - one.interval.low for one in (often, once) if one.interval)
    assert width > 0.8 * wide


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(ORDERS)),
            st.integers(0, 5),
            st.integers(0, 2),
            st.sampled_from(["one", "two"]),
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda one: one[1:],
    )
)
def test_every_rate_lies_in_its_interval_and_turns_round_with_the_sides(
    drawn: list[tuple[str, int, int, str]],
) -> None:
    turned = {"win": "loss", "loss": "win"}
    found = rates(*(meeting(*one) for one in drawn))
    other = rates(*(meeting(turned.get(how, how), p, k, j) for how, p, k, j in drawn))
    for name, one in found.items():
        assert one.wins + one.ties + one.losses == sum(
            n in (PANEL, d[3]) for d in drawn for n in [name]
        )
        assert one.rate.value is not None
        assert one.rate.interval is not None
        assert one.rate.interval.low <= one.rate.value <= one.rate.interval.high
        assert one.rate.interval.high > one.rate.interval.low
        assert other[name].rate.value == pytest.approx(100 - one.rate.value)
        assert (other[name].wins, other[name].losses) == (one.losses, one.wins)
