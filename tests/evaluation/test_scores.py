"""Eq. 3 to 6: worked examples, then what must hold for any judgements."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import StageFailed
from llamaduo.evaluation.scores import score
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import (
    METRICS,
    Judged,
    Judgement,
    Judgements,
    Pair,
    Response,
    Scores,
    Unscored,
)
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import judgement, pair, response, unscored

PAIRS = [pair(f"question {i}") for i in range(2)]
RESPONSES = [response(p, k) for p in PAIRS for k in range(2)]
TASK = TaskSettings()
SETTINGS = JudgingSettings(score_thresholds=(50, 70))


def scored(*judgements: Judgement | Unscored) -> Scores:
    found = Judgements(
        tuple(j for j in judgements if isinstance(j, Judgement)),
        tuple(j for j in judgements if isinstance(j, Unscored)),
    )
    return score(Judged(tuple(RESPONSES), found), PAIRS, SETTINGS, TASK)


def unjudged(responses: list[Response], pairs: list[Pair]) -> Scores:
    return score(Judged(tuple(responses), Judgements((), ())), pairs, SETTINGS, TASK)


def test_mean_score_is_the_mean_over_responses_of_the_mean_over_repeats() -> None:
    got = scored(
        judgement(RESPONSES[0], precision=90, similarity=10, index=0),
        judgement(RESPONSES[0], precision=70, similarity=30, index=1),
        judgement(RESPONSES[1], precision=40, similarity=50, index=0),
        unscored(RESPONSES[1], index=1),
    ).judges["one"]
    assert got["precision"].mean_score == 60.0  # (80 + 40) / 2, not (90 + 70 + 40) / 3
    assert got["similarity"].mean_score == 35.0
    assert got["precision"].coverage_percentage == {50: 50.0, 70: 50.0}
    assert (got["precision"].responses, got["precision"].scored) == (2, 3)


def test_unscored_leaves_the_denominator_is_counted_and_bounds_the_mean() -> None:
    got = scored(
        judgement(RESPONSES[0], precision=80, index=0),
        unscored(RESPONSES[0], index=1),
        unscored(RESPONSES[1], index=0),
        unscored(RESPONSES[1], index=1),
    ).judges["one"]["precision"]
    assert got.mean_score == 80.0
    assert (got.responses, got.scored, got.unscored) == (1, 1, 3)
    assert got.lowest == 20.0  # ((80 + 0) / 2 + 0) / 2
    assert got.highest == 95.0  # ((80 + 100) / 2 + 100) / 2


def test_the_panel_is_the_mean_over_the_judges_that_scored_a_response() -> None:
    got = scored(
        judgement(RESPONSES[0], 100, judge="a", index=0),
        judgement(RESPONSES[0], 100, judge="a", index=1),
        judgement(RESPONSES[0], 40, judge="b", index=0),
        unscored(RESPONSES[0], judge="b", index=1),
        unscored(RESPONSES[1], judge="a"),
        judgement(RESPONSES[1], 60, judge="b"),
    )
    assert list(got.judges) == ["a", "b"]
    panel = got.panel["precision"]
    assert panel.mean_score == 65.0  # ((100 + 40) / 2 + 60) / 2: one voice a judge
    assert panel.coverage_percentage == {50: 100.0, 70: 50.0}
    assert (panel.responses, panel.scored, panel.unscored) == (2, 4, 2)


def test_a_score_that_equals_the_threshold_reaches_it() -> None:
    thirds = [judgement(RESPONSES[0], s, index=m) for m, s in enumerate((69, 70, 71))]
    assert scored(*thirds).panel["precision"].coverage_percentage == {50: 100.0, 70: 100.0}
    below = [judgement(RESPONSES[0], s, index=m) for m, s in enumerate((69, 70, 70))]
    assert scored(*below).panel["precision"].coverage_percentage == {50: 100.0, 70: 0.0}


def test_nothing_scored_is_unknown_and_not_zero() -> None:
    got = scored(*(unscored(r) for r in RESPONSES))
    for metric in METRICS:
        for one in (got.panel[metric], got.judges["one"][metric]):
            assert one.mean_score is None
            assert one.coverage_percentage == {}
            assert (one.responses, one.scored, one.unscored) == (0, 0, 4)
            assert (one.lowest, one.highest) == (0.0, 100.0)


def test_nothing_judged_is_unknown_too() -> None:
    got = unjudged([], [])
    assert (got.prompts, got.responses, got.judges) == (0, 0, {})
    assert got.free["exact_match"].value is None
    assert got.panel["precision"].mean_score is None
    assert (got.panel["precision"].lowest, got.panel["precision"].highest) == (0.0, 100.0)


def test_exact_match_is_a_share_of_all_responses_judged_or_not() -> None:
    responses = [response(PAIRS[0], 0, " yes\n"), response(PAIRS[0], 1, "no"), RESPONSES[2]]
    got = unjudged(responses, PAIRS)
    assert got.free["exact_match"].value == pytest.approx(200 / 3)
    assert (got.prompts, got.responses) == (2, 3)


def test_prompts_without_a_response_are_counted() -> None:
    got = unjudged(RESPONSES[:2], PAIRS)
    assert (got.prompts, got.set_aside) == (1, 1)
    assert unjudged(RESPONSES, PAIRS).set_aside == 0


def test_judgements_of_other_responses_are_refused() -> None:
    stranger = response(pair("another question"))
    with pytest.raises(StageFailed, match="1 judged responses are not among the 4"):
        scored(judgement(stranger, 80))


# Two judges, four responses, M = 3: each judgement is a (similarity, precision) or unscored.
outcome = st.none() | st.tuples(st.integers(0, 100), st.integers(0, 100))
slots = list(product(("a", "b"), RESPONSES, range(3)))
everything = st.lists(outcome, min_size=len(slots), max_size=len(slots)).map(
    lambda outcomes: [
        unscored(r, judge=j, index=m) if o is None else judgement(r, o[1], o[0], judge=j, index=m)
        for (j, r, m), o in zip(slots, outcomes, strict=True)
    ]
)


@given(everything)
def test_all_scores_stay_in_their_bounds(judgements: list[Judgement | Unscored]) -> None:
    got = scored(*judgements)
    for by_metric in (*got.judges.values(), got.panel):
        for one in by_metric.values():
            assert 0 <= one.lowest <= one.highest <= 100
            assert one.scored + one.unscored in (12, 24)
            if one.mean_score is None:
                assert one.scored == 0
                continue
            assert one.lowest <= one.mean_score <= one.highest
            assert (one.lowest == one.highest) == (one.unscored == 0)
            assert 100 >= one.coverage_percentage[50] >= one.coverage_percentage[70] >= 0


@given(everything, st.randoms())
def test_the_order_of_judgements_never_matters(
    judgements: list[Judgement | Unscored], random: object
) -> None:
    shuffled = list(judgements)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert scored(*shuffled) == scored(*judgements)


@given(everything)
def test_what_unscored_could_have_been_lies_between_the_bounds(
    judgements: list[Judgement | Unscored],
) -> None:
    filled = [
        judgement(r, 37, 63, judge=j.judge, index=j.index) if isinstance(j, Unscored) else j
        for j in judgements
        for r in RESPONSES
        if r.id == j.response_id
    ]
    bounds, certain = scored(*judgements).panel, scored(*filled).panel
    for metric in METRICS:
        value = certain[metric].mean_score
        assert value is not None
        assert bounds[metric].lowest <= value <= bounds[metric].highest


@given(everything)
def test_one_judge_agrees_with_the_equations_written_out(
    judgements: list[Judgement | Unscored],
) -> None:
    of_a = [j for j in judgements if isinstance(j, Judgement) and j.judge == "a"]
    by_response = {
        i: [Fraction(j.marks["precision"].score) for j in of_a if j.response_id == i]
        for i in {j.response_id for j in of_a}
    }
    values = [mean(marks) for marks in by_response.values()]
    got = scored(*judgements).judges["a"]["precision"]
    assert got.mean_score == (float(mean(values)) if values else None)
    assert got.coverage_percentage == {
        z: 100 * sum(v >= z for v in values) / len(values) for z in (50, 70) if values
    }


@given(st.lists(st.integers(0, 100), min_size=4, max_size=4))
def test_one_judge_asked_once_is_the_panel_and_a_plain_mean(marks: list[int]) -> None:
    got = scored(*(judgement(r, s) for r, s in zip(RESPONSES, marks, strict=True)))
    assert got.panel == got.judges["one"]
    assert got.panel["precision"].mean_score == sum(marks) / 4
