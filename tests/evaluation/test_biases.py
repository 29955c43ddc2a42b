"""Length, position and family: planted ones come out, and what only looks like one does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.biases import (
    NOTHING,
    doublings,
    family_bias,
    length_slope,
    position_preference,
)
from llamaduo.records import Comparison, Measure, Response
from tests.evaluation.judged import Rng, response


def slope(scores: dict[str, float], responses: list[Response]) -> Measure:
    return length_slope(scores, doublings(responses), responses)


def share_that_contains(truth: float, measured: Callable[[Rng], Measure]) -> float:
    intervals = [measured(np.random.default_rng(seed)).interval for seed in range(200)]
    return float(np.mean([i is not None and i.low <= truth <= i.high for i in intervals]))


# --- length -------------------------------------------------------------------------------


def test_points_for_twice_the_words() -> None:
    responses = [response(f"p{i}", k, words=2**k) for i in range(5) for k in range(4)]
    scores = {one.id: 10.0 * int(one.pair_id[1]) + 3.0 * one.index for one in responses}
    found = slope(scores, responses)
    assert found.value == pytest.approx(3)
    assert (found.prompts, found.responses) == (5, 20)


def test_an_exact_slope_is_still_known_to_half_a_point_only() -> None:
    responses = [response(f"p{i}", k, words=2**k) for i in range(5) for k in range(2)]
    interval = slope(dict.fromkeys([one.id for one in responses], 100.0), responses).interval
    assert interval is not None
    assert interval.low < 0 < interval.high
    assert interval.high - interval.low < 2


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(1, 64), st.integers(0, 100)),
        min_size=2,
        max_size=30,
    )
)
def test_the_slope_is_least_squares_with_an_effect_for_each_prompt(
    rows: list[tuple[int, int, int]],
) -> None:
    responses = [response(f"p{p}", k, words=w) for k, (p, w, _) in enumerate(rows)]
    scores = {one.id: float(rows[one.index][2]) for one in responses}
    found = slope(scores, responses)
    if found.value is None:
        return
    prompts = sorted({p for p, _, _ in rows})
    design = [[np.log2(w), *(float(p == q) for q in prompts)] for p, w, _ in rows]
    expected = np.linalg.lstsq(np.array(design), np.array(list(scores.values())), rcond=None)[0][0]
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.interval is not None
    assert found.interval.low < found.value < found.interval.high


def test_a_hard_prompt_that_needs_long_answers_is_no_bias() -> None:
    def measured(rng: Rng) -> Measure:
        hardness = rng.normal(0, 20, 30)
        responses = [
            response(f"p{i}", k, words=max(1, round(32 * 2 ** (0.05 * h + rng.normal(0, 0.7)))))
            for i, h in enumerate(hardness)
            for k in range(3)
        ]
        scores = {r.id: 50 - hardness[int(r.pair_id[1:])] + rng.normal(0, 10) for r in responses}
        return slope(scores, responses)

    assert share_that_contains(0.0, measured) >= 0.9


def test_one_prompt_or_one_length_says_nothing_about_length() -> None:
    one_prompt = [response("p", k, words=k + 1) for k in range(9)]
    one_length = [response(f"p{i}", k) for i in range(9) for k in range(4)]
    for responses in (one_prompt, one_length, []):
        assert slope({one.id: 50.0 for one in responses}, responses) == NOTHING


def test_empty_and_unscored_responses_are_left_out() -> None:
    responses = [response(f"p{i}", k, words=k) for i in range(3) for k in range(4)]
    scored = {one.id: 50.0 + one.index for one in responses if one.id != "local-p0-1"}
    found = slope(scored, responses)
    assert (found.prompts, found.responses) == (3, 8)


# --- position -----------------------------------------------------------------------------


def comparison(pair: str, local_first: bool, better: str, index: int = 0) -> Comparison:
    return Comparison(
        response_id=f"local-{pair}",
        rival_id=f"service-{pair}",
        pair_id=pair,
        judge="j",
        index=index,
        local_first=local_first,
        better=better,  # type: ignore[arg-type]
        reason="",
        snapshot="j-1",
        call="key",
    )


def both_orders(pair: str, in_order: str, turned: str, index: int = 0) -> list[Comparison]:
    return [comparison(pair, True, in_order, index), comparison(pair, False, turned, index)]


def test_a_judge_that_prefers_the_better_one_prefers_no_place() -> None:
    local_wins = [one for i in range(40) for one in both_orders(f"p{i}", "first", "second")]
    found = position_preference(local_wins)
    assert found.value == 0
    assert found.interval is not None
    assert -10 < found.interval.low < 0 < found.interval.high < 10


def test_first_wins_less_second_wins_of_all_comparisons() -> None:
    mixed = [
        *both_orders("a", "first", "first"),
        *both_orders("b", "first", "tie"),
        *both_orders("c", "tie", "tie"),
        *both_orders("d", "first", "second"),
    ]
    assert position_preference(mixed).value == pytest.approx(100 * 3 / 8)
    assert position_preference(mixed).prompts == 4


def test_a_judge_that_always_takes_the_first_has_no_interval_of_zero_width() -> None:
    found = position_preference(
        [c for i in range(20) for c in both_orders(f"p{i}", "first", "first")]
    )
    assert found.value == 100
    assert found.interval is not None
    assert 70 < found.interval.low < 100


def test_what_was_seen_in_one_order_does_not_count() -> None:
    alone = [comparison(f"p{i}", True, "first") for i in range(20)]
    assert position_preference(alone) == NOTHING
    assert position_preference([]) == NOTHING
    both = both_orders("q", "tie", "tie")
    assert position_preference([*alone, *both]).value == 0


def test_a_planted_preference_is_in_the_interval() -> None:
    def measured(rng: Rng) -> Measure:
        found = []
        for i in range(30):
            looks = [("first", "second"), ("second", "first"), ("tie", "tie")][rng.integers(3)]
            one, other = ("first" if rng.random() < 0.3 else seen for seen in looks)
            found += both_orders(f"p{i}", one, other)
        return position_preference(found)

    assert share_that_contains(30.0, measured) >= 0.9


# --- family -------------------------------------------------------------------------------

AKIN = [response(f"p{i}", author="service") for i in range(20)]
STRANGE = [response(f"p{i}", k) for i in range(20) for k in range(2)]


def worth(rng: Rng) -> dict[str, float]:
    """The service's responses are better, by the same for all who look."""
    return {one.id: rng.normal(70 if one in AKIN else 40, 10) for one in (*AKIN, *STRANGE)}


def test_points_for_its_family_beyond_those_for_all() -> None:
    own = {one.id: 90.0 if one in AKIN else 60.0 for one in (*AKIN, *STRANGE)}
    other = {one.id: 80.0 if one in AKIN else 55.0 for one in (*AKIN, *STRANGE)}
    third = {one.id: 84.0 if one in AKIN else 59.0 for one in (*AKIN, *STRANGE)}
    found = family_bias(own, [other, third], AKIN, STRANGE)
    assert found.value == pytest.approx((90 - 82) - (60 - 57))
    assert (found.prompts, found.responses) == (20, 60)


def test_a_milder_judge_is_not_biased() -> None:
    def measured(rng: Rng) -> Measure:
        seen = worth(rng)
        milder = {i: v + 8 + rng.normal(0, 8) for i, v in seen.items()}
        other = {i: v + rng.normal(0, 8) for i, v in seen.items()}
        return family_bias(milder, [other], AKIN, STRANGE)

    assert share_that_contains(0.0, measured) >= 0.9


def test_a_planted_preference_for_the_family_is_in_the_interval() -> None:
    akin = {one.id for one in AKIN}

    def measured(rng: Rng) -> Measure:
        seen = worth(rng)
        own = {i: v + 5 + 6 * (i in akin) + rng.normal(0, 8) for i, v in seen.items()}
        other = {i: v + rng.normal(0, 8) for i, v in seen.items()}
        return family_bias(own, [other], AKIN, STRANGE)

    assert share_that_contains(6.0, measured) >= 0.9


def test_without_others_or_without_one_of_the_authors_there_is_nothing() -> None:
    scores = dict.fromkeys([one.id for one in (*AKIN, *STRANGE)], 50.0)
    assert family_bias(scores, [], AKIN, STRANGE) == NOTHING
    assert family_bias(scores, [{}], AKIN, STRANGE) == NOTHING
    assert family_bias(scores, [scores], [], STRANGE) == NOTHING
    assert family_bias(scores, [scores], AKIN, []) == NOTHING
    elsewhere = [response("another prompt")]
    both = scores | {elsewhere[0].id: 50.0}
    assert family_bias(both, [both], AKIN, elsewhere) == NOTHING
