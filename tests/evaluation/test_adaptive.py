"""Judging in rounds: what each adds, and when it stops."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llamaduo.evaluation.adaptive import judge_in_rounds, plan_looks
from llamaduo.evaluation.judge import Due
from llamaduo.evaluation.scores import score
from llamaduo.evaluation.settings import JudgingSettings, MetricTarget, TargetSettings
from llamaduo.records import Judged, Judgements, Scores
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import judgement, pair, response

PAIRS = [pair(f"question {n}") for n in range(120)]
RESPONSES = tuple(response(one, k) for one in PAIRS for k in range(2))
SETTINGS = JudgingSettings(judgements_per_response=3, stopping="adaptive")
TARGET = TargetSettings(precision=MetricTarget(mean_score=80.0))
LOOKS = plan_looks(RESPONSES, SETTINGS)


async def judged_as(level: int, spread: int) -> tuple[list[Sequence[Due]], Judgements, int]:
    """Judge responses that get ``level`` ± ``spread``, by turns; what each round asked for."""
    asked: list[Sequence[Due]] = []

    async def ask(due: Sequence[Due]) -> Judgements:
        asked.append(due)
        marks = [level + spread * (-1) ** int(one.pair_id, 16) for one, _ in due]
        found = [judgement(one, m, index=i) for (one, i), m in zip(due, marks, strict=True)]
        return Judgements(tuple(found), ())

    def look(found: Judgements, number: int) -> Scores:
        judged = Judged(RESPONSES, found)
        confidence = LOOKS.confidence(number)
        return score(judged, PAIRS, SETTINGS, TaskSettings(), confidence=confidence)

    return asked, *await judge_in_rounds(LOOKS, ask, look, TARGET)


def test_rounds_widen_prompts_before_responses_and_responses_before_judgements() -> None:
    assert LOOKS.rounds[0] == (25, 1, 1)
    for (n, k, m), (wider, more, again) in zip(LOOKS.rounds, LOOKS.rounds[1:], strict=False):
        assert wider > n or (n == 120 and (more > k or (k == 2 and again > m)))
    assert LOOKS.rounds[-1] == (120, 2, 3)


def test_the_rounds_together_are_every_judgement_once() -> None:
    places = [
        (one.id, index) for number in range(len(LOOKS.rounds)) for one, index in LOOKS.due(number)
    ]
    assert len(places) == len(set(places)) == 120 * 2 * 3


def test_fixed_judging_is_one_round_of_everything() -> None:
    fixed = plan_looks(RESPONSES, JudgingSettings(judgements_per_response=3))
    assert fixed.rounds == ((120, 2, 3),)
    assert fixed.confidence(0) == pytest.approx(0.95)


async def test_a_clear_miss_stops_after_the_first_round() -> None:
    asked, found, rounds = await judged_as(60, 2)
    assert rounds == 1
    assert len(found.scored) == len(asked[0]) == 25


async def test_a_clear_pass_stops_after_the_second() -> None:
    """Of 25 prompts with good answers nobody can tell that one in ten has not a bad one."""
    _, found, rounds = await judged_as(95, 2)
    assert rounds == 2
    assert len(found.scored) == 50


async def test_what_more_judgements_cannot_tell_is_not_bought() -> None:
    _, found, rounds = await judged_as(80, 19)  # the same whenever it is asked
    assert rounds < len(LOOKS.rounds)
    assert len(found.scored) < 120 * 2 * 3


async def test_a_round_goes_on_from_the_one_before() -> None:
    asked, found, _ = await judged_as(79, 19)
    places = [(one.id, index) for due in asked for one, index in due]
    assert len(places) == len(set(places)) == len(found.scored)
