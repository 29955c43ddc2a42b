"""What passes the parity gate, and what the arithmetic behind it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.deployment.parity import Candidate, Gains, compare, differing, gains
from llamaduo.records import (
    METRICS,
    Message,
    Metric,
    MetricScores,
    Pair,
    ParityCheck,
    Provenance,
)


def pair(number: int) -> Pair:
    return Pair(
        id=f"p{number}",
        messages=(Message("user", f"Ticket {number}"),),
        response="billing, high",
        reference_source="human",
        provenance=Provenance(origin="coverage", source="made:1"),
    )


PAIRS = tuple(pair(number) for number in range(100))
EXPECTED = {one.id: "billing, high" for one in PAIRS}


def check(
    form: str, wrong: int, scored: Gains | None = None, *, note: str = "", required: float = 0.99
) -> ParityCheck:
    """The check of a form whose first ``wrong`` answers differ."""
    answers = EXPECTED | {f"p{number}": "billing, low" for number in range(wrong)}
    return compare(
        PAIRS, EXPECTED, Candidate(form, answers, note), required=required, scored=scored
    )


@pytest.mark.parametrize("form", ["merged", "adapter", "gguf F16"])
@pytest.mark.parametrize(("wrong", "passes"), [(0, True), (1, True), (2, False)])
def test_an_exact_form_is_held_to_its_answers(form: str, wrong: int, passes: bool) -> None:
    found = check(form, wrong, {"precision": 5.0, "similarity": 5.0})
    assert found.passed is passes
    assert found.identical == 100 - wrong


@pytest.mark.parametrize("form", ["gguf Q8_0", "server http://127.0.0.1:8000/v1"])
@pytest.mark.parametrize(
    ("precision", "similarity", "passes"),
    [(0.0, 0.0, True), (-1.0, 3.0, True), (-1.01, 3.0, False), (3.0, -1.5, False)],
)
def test_another_form_is_held_to_its_scores(
    form: str, precision: float, similarity: float, passes: bool
) -> None:
    found = check(form, 30, {"precision": precision, "similarity": similarity})
    assert found.passed is passes
    assert found.score_difference == {"precision": precision, "similarity": similarity}


def test_a_difference_that_nobody_scored_is_not_let_through() -> None:
    assert not check("gguf Q8_0", 1).passed
    half: Gains = {"precision": 1.0, "similarity": None}
    found = check("gguf Q8_0", 1, half)
    assert not found.passed
    assert found.score_difference == {"precision": 1.0}
    assert check("gguf Q8_0", 0).passed


@pytest.mark.parametrize("form", ["merged", "gguf Q8_0"])
def test_another_chat_template_is_refused_whatever_the_answers(form: str) -> None:
    found = check(form, 0, note="3 of 100 prompts become other tokens")
    assert not found.passed
    assert not found.templates_equal
    assert "3 of 100" in found.reason


def test_the_first_divergence_is_shown_with_both_answers() -> None:
    first = check("merged", 3).first_divergence
    assert first is not None
    assert (first.pair_id, first.expected, first.found) == ("p0", "billing, high", "billing, low")
    assert first.at == len("billing, ")
    assert check("merged", 0).first_divergence is None


def test_a_longer_answer_parts_where_the_shorter_one_ends() -> None:
    answers = EXPECTED | {"p5": "billing, high priority"}
    found = compare(PAIRS, EXPECTED, Candidate("merged", answers), required=1.0)
    assert found.first_divergence is not None
    assert found.first_divergence.at == len("billing, high")


def test_exact_match_counts_what_the_references_say() -> None:
    assert check("merged", 4).exact_match_difference == -4.0


def scores(mean: float | None) -> dict[Metric, MetricScores]:
    one = MetricScores(
        mean_score=mean,
        coverage_percentage={},
        responses=1,
        scored=1,
        unscored=0,
        lowest=0,
        highest=100,
    )
    return dict.fromkeys(METRICS, one)


def test_a_gain_counts_by_the_share_of_answers_that_differ() -> None:
    found = gains(scores(90.0), scores(70.0), differing=5, prompts=100)
    assert found == {"similarity": -1.0, "precision": -1.0}
    assert gains(scores(None), scores(70.0), differing=5, prompts=100)["precision"] is None


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), min_size=1, max_size=30))
def test_identical_and_differing_are_all_there_are(texts: list[tuple[str, str]]) -> None:
    expected = {f"p{i}": one for i, (one, _) in enumerate(texts)}
    found = {f"p{i}": other for i, (_, other) in enumerate(texts)}
    apart = differing(expected, found)
    assert all(expected[i] != found[i] for i in apart)
    result = compare(
        [pair(i) for i in range(len(texts))], expected, Candidate("merged", found), required=1.0
    )
    assert result.identical + len(apart) == result.prompts
    assert result.passed is (not apart)
