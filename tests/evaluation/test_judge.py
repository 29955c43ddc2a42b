"""Judging: totals, order, repair, unscored, errors."""

from __future__ import annotations

import json

import pytest

from llamaduo.errors import BudgetExceeded, QuestionRefused, StageFailed, UsageError
from llamaduo.evaluation.judge import check_unscored, judge
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Event, Question, Unscored
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import judge_messages, judgement_schema
from tests.evaluation.made import pair, response, unscored
from tests.scripted_service import ScriptedService, reply

TASK = TaskSettings()
PAIRS = [pair(f"question {i}") for i in range(3)]
RESPONSES = [response(p, k, f"answer {k}") for p in PAIRS for k in range(2)]


def marks(precision: int = 80, similarity: int = 70) -> str:
    return json.dumps(
        {
            "similarity": {"reason": "close", "score": similarity},
            "precision": {"reason": "right", "score": precision},
        }
    )


def settings(judgements_per_response: int = 2, **more: float) -> JudgingSettings:
    return JudgingSettings.model_validate(
        {"judgements_per_response": judgements_per_response, **more}
    )


@pytest.mark.parametrize("seed", range(5))
async def test_every_judge_scores_every_response_m_times_in_a_fixed_order(seed: int) -> None:
    judges = [
        ScriptedService(lambda q: marks(q.sample), name=name, concurrency=n, seed=seed)
        for name, n in [("a:x", 3), ("b:y", 5)]
    ]
    events: list[Event] = []
    got = await judge(RESPONSES, PAIRS, judges, settings(3), TASK, notify=events.append)
    assert [(j.judge, j.response_id, j.index) for j in got.scored] == [
        (name, r.id, m) for name in ("a:x", "b:y") for r in RESPONSES for m in range(3)
    ]
    assert [j.marks["precision"].score for j in got.scored] == [0, 1, 2] * 12
    assert got.unscored == ()
    assert [one.peak for one in judges] == [3, 5]
    assert [(e.done, e.total) for e in events] == [(n, 36) for n in range(1, 37)]


async def test_the_question_carries_stage_sample_shape_and_temperature() -> None:
    service = ScriptedService(lambda _: marks())
    await judge(RESPONSES[:1], PAIRS, [service], settings(2, temperature=0.3), TASK, stage="final")
    assert service.asked == [
        Question(
            stage="final",
            messages=judge_messages(TASK, PAIRS[0], "answer 0"),
            sample=sample,
            shape="judgement",
            schema=judgement_schema(),
            temperature=0.3,
            about=(PAIRS[0].id,),
        )
        for sample in range(2)
    ]


async def test_the_marks_reasons_snapshot_and_call_are_kept() -> None:
    service = ScriptedService(lambda _: reply(marks(81, 72), key="k1"))
    got = await judge(RESPONSES[:1], PAIRS, [service], settings(1), TASK)
    [one] = got.scored
    assert (one.marks["precision"].score, one.marks["precision"].reason) == (81, "right")
    assert (one.marks["similarity"].score, one.marks["similarity"].reason) == (72, "close")
    assert (one.pair_id, one.snapshot, one.call) == (PAIRS[0].id, "scripted-2026-01-01", "k1")


async def test_an_empty_response_is_judged_like_any_other() -> None:
    service = ScriptedService(lambda _: marks(0))
    got = await judge([response(PAIRS[0], text="")], PAIRS, [service], settings(1), TASK)
    assert [j.marks["precision"].score for j in got.scored] == [0]


async def test_a_malformed_reply_gets_one_repair_call_with_its_sample_kept() -> None:
    first = judge_messages(TASK, PAIRS[0], "answer 0")

    def rule(question: Question) -> str:
        return "80, I think" if question.messages == first else marks(64)

    service = ScriptedService(rule, concurrency=1)
    got = await judge(RESPONSES[:1], PAIRS, [service], settings(2), TASK)
    assert [j.marks["precision"].score for j in got.scored] == [64, 64]
    assert [q.sample for q in service.asked] == [0, 0, 1, 1]
    repair = service.asked[1]
    assert repair.messages[: len(first)] == first
    assert any("80, I think" in m.content for m in repair.messages[len(first) :])


async def test_the_third_attempt_asks_afresh_and_each_is_told_apart() -> None:
    service = ScriptedService(lambda q: marks(64) if q.again == 4 else "80, I think")
    got = await judge(RESPONSES[:1], PAIRS, [service], settings(1), TASK)
    assert [j.marks["precision"].score for j in got.scored] == [64]
    assert [q.again for q in service.asked] == [0, 1, 2, 3, 4]
    assert [len(q.messages) for q in service.asked] == [2, 4, 2, 2, 2]
    assert [q.instead_of for q in service.asked] == [None, "key-1", "key-2", "key-3", "key-4"]


async def test_a_reply_malformed_five_times_is_unscored_and_never_a_zero() -> None:
    def rule(question: Question) -> str:
        return marks(142 if any("answer 1" in m.content for m in question.messages) else 90)

    service = ScriptedService(rule)
    events: list[Event] = []
    responses = RESPONSES[:2]
    got = await judge(responses, PAIRS, [service], settings(1), TASK, notify=events.append)
    assert [(j.response_id, j.marks["precision"].score) for j in got.scored] == [
        (responses[0].id, 90)
    ]
    [missing] = got.unscored
    assert missing.response_id == responses[1].id
    assert missing.reason == "precision.score is not a whole number from 0 to 100"
    assert missing.call is not None
    assert len(service.asked) == 1 + 5
    assert events[-1].detail == "1 unscored"


async def test_a_cut_off_reply_does_not_count() -> None:
    service = ScriptedService(lambda _: reply(marks(), finish="length"))
    got = await judge(RESPONSES[:1], PAIRS, [service], settings(1), TASK)
    assert [u.reason for u in got.unscored] == ["the reply was cut off at its token limit"]


@pytest.mark.parametrize("when", ["at once", "at the repair"])
async def test_a_refused_question_is_unscored_and_the_others_go_on(when: str) -> None:
    refused = QuestionRefused("m at h refused.", reason="refused (HTTP 400: filtered)", call="k9")

    def rule(question: Question) -> str | Exception:
        if not any("answer 1" in m.content for m in question.messages):
            return marks(90)
        return refused if when == "at once" or len(question.messages) > 2 else "no JSON"

    got = await judge(RESPONSES[:2], PAIRS, [ScriptedService(rule)], settings(1), TASK)
    assert [j.response_id for j in got.scored] == [RESPONSES[0].id]
    [missing] = got.unscored
    assert (missing.response_id, missing.call) == (RESPONSES[1].id, "k9")
    assert missing.reason == "refused (HTTP 400: filtered)"


async def test_a_service_error_comes_out_by_itself_and_stops_the_asking() -> None:
    service = ScriptedService(
        lambda q: BudgetExceeded("the budget is used up") if q.sample else marks(), concurrency=2
    )
    with pytest.raises(BudgetExceeded, match="used up"):
        await judge(RESPONSES, PAIRS, [service], settings(2), TASK)
    assert len(service.asked) < 12
    assert service.finished == len(service.asked)


async def test_no_judge_and_two_judges_of_one_name_are_refused() -> None:
    twins = [ScriptedService(lambda _: marks(), name="a:x") for _ in range(2)]
    with pytest.raises(UsageError, match="a:x is listed 2 times"):
        await judge(RESPONSES, PAIRS, twins, settings(), TASK)
    with pytest.raises(UsageError, match="no judge"):
        await judge(RESPONSES, PAIRS, [], settings(), TASK)


async def test_a_response_to_an_unknown_prompt_is_refused() -> None:
    service = ScriptedService(lambda _: marks())
    with pytest.raises(StageFailed, match="not in the split"):
        await judge(RESPONSES, PAIRS[1:], [service], settings(), TASK)
    assert service.asked == []


def lost(missing: int) -> list[Unscored]:
    return [unscored(RESPONSES[0], index=m) for m in range(missing)]


@pytest.mark.parametrize(
    ("share", "scored", "missing"),
    [(0.02, 98, 2), (0.29, 71, 29), (0.0, 5, 0), (0.0, 0, 0), (1.0, 0, 7)],
)
def test_unscored_up_to_the_limit_is_accepted(share: float, scored: int, missing: int) -> None:
    check_unscored(scored, lost(missing), settings(max_unscored=share))


@pytest.mark.parametrize(
    ("share", "scored", "missing"), [(0.02, 97, 3), (0.29, 70, 30), (0.0, 5, 1)]
)
def test_unscored_above_the_limit_fails_the_stage_with_counts_and_reasons(
    share: float, scored: int, missing: int
) -> None:
    with pytest.raises(StageFailed) as caught:
        check_unscored(scored, lost(missing), settings(max_unscored=share))
    assert f"{missing} of {scored + missing} judgements" in caught.value.message
    assert f"{missing} × not JSON (one)" in caught.value.message
    assert "judging.max_unscored" in caught.value.hint
