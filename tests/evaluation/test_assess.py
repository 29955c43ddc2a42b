"""A set of responses from the first question to the scores, with judges good and bad."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from llamaduo.errors import LlamaduoError, QuestionRefused, StageFailed
from llamaduo.evaluation.assess import Conclusions, Material, Rules, assess
from llamaduo.evaluation.settings import JudgingSettings, MetricTarget, TargetSettings
from llamaduo.records import PanelReport, Question
from llamaduo.tasks.data_block import read_data
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import pair, response
from tests.scripted_service import ScriptedService

PAIRS = [pair(f"question {n}", f"answer number {n}") for n in range(40)]
RESPONSES = [response(one, 0, one.response) for one in PAIRS]
JUDGE = "openai-chat:judge"
Rule = Callable[[Question], str | LlamaduoError]


def marks(score: int) -> str:
    mark = {"reason": "", "score": score}
    return json.dumps({"similarity": mark, "precision": mark})


def sound(question: Question) -> str:
    """Right is 95, anything else 10."""
    data = read_data(question.messages)
    assert data is not None
    return marks(95 if data["response"] == data["reference"] else 10)


async def assessed(
    rule: Rule, kept: list[PanelReport] | None = None
) -> tuple[Material, Conclusions]:
    """``kept`` gets what is kept of the judge, also where the stage fails."""
    keep = [] if kept is None else kept
    rules = Rules(
        judging=JudgingSettings(judgements_per_response=1),
        target=TargetSettings(precision=MetricTarget(mean_score=80.0)),
        task=TaskSettings(),
        measured=TaskSettings(),
        generator="anthropic:claude",
        models={JUDGE: JUDGE},
        script_of=lambda _: "Latin",
    )
    service = ScriptedService(rule, name=JUDGE, concurrency=1)
    return await assess(RESPONSES, PAIRS, [service], rules, where="cycles/000", keep=keep.append)


async def test_a_sound_judge_of_a_perfect_model_is_believed() -> None:
    kept: list[PanelReport] = []
    material, found = await assessed(sound, kept)
    assert kept == [found.report]
    assert found.scores.panel["precision"].mean_score == 95.0
    assert len(material.controls.scored) == 8
    assert not any(one.unfit for judge in found.report.judges for one in judge.findings)


def always_full(question: Question) -> str:
    return marks(100)


def refuses(question: Question) -> QuestionRefused:
    return QuestionRefused("I would rather not.", reason="refused")


def prose(question: Question) -> str:
    return "I find this quite good."


def another_scale_after(count: int) -> Rule:
    asked = 0

    def rule(question: Question) -> str:
        nonlocal asked
        asked += 1
        score = json.loads(sound(question))["precision"]["score"]
        return marks(score if asked <= count else score // 10)

    return rule


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (always_full, "gives every response 100"),
        (refuses, "refused"),
        (prose, "never kept to the form"),
        (another_scale_after(28), "changed its scale"),
    ],
)
async def test_a_judge_whose_scores_are_no_evidence_fails_the_stage_by_name(
    rule: Rule, told: str
) -> None:
    kept: list[PanelReport] = []
    with pytest.raises(StageFailed, match=told) as caught:
        await assessed(rule, kept)
    assert JUDGE in caught.value.message
    assert "judging.judges" in caught.value.hint
    (report,) = kept  # before the stage failed
    assert [told in one.words for one in report.unfit] == [True]


async def test_what_is_said_by_controls_alone_is_of_controls_alone() -> None:
    kept: list[PanelReport] = []
    with pytest.raises(StageFailed):
        await assessed(always_full, kept)
    (judge,) = kept[0].judges
    assert kept[0].of_controls
    assert (judge.scored, judge.refused, judge.malformed) == (8, 0, 0)
    assert kept[0].alpha == {}


async def test_too_much_that_is_unscored_fails_the_stage_after_the_report() -> None:
    """One judgement in ten: too many for a verdict, too few to call the judge unfit."""
    asked = 0

    def now_and_then(question: Question) -> str | LlamaduoError:
        nonlocal asked
        asked += 1
        return refuses(question) if asked > 8 and asked % 10 == 0 else sound(question)

    kept: list[PanelReport] = []
    with pytest.raises(StageFailed, match="4 of 40 judgements"):
        await assessed(now_and_then, kept)
    assert kept[0].unfit == ()
    assert kept[0].judges[0].refused == 4
