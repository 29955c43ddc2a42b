"""Control responses: right ones, wrong ones, and that they are asked about anew."""

from __future__ import annotations

import json

import pytest

from llamaduo.evaluation.controls import RIGHT, WRONG, controls, judge_controls
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Question
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import pair
from tests.scripted_service import ScriptedService

PAIRS = [pair(f"question {n}", f"answer {n} about topic {n % 7}") for n in range(40)]


def test_half_are_references_and_half_are_of_other_prompts() -> None:
    found = controls(PAIRS, 4)
    by_id = {one.id: one for one in PAIRS}
    assert [one.id.partition(":")[0] + ":" for one in found] == [RIGHT, WRONG] * 4
    for one in found:
        own = by_id[one.pair_id].response
        assert one.id.endswith(one.pair_id)
        assert (one.text == own) == one.id.startswith(RIGHT)
        assert one.text in {other.response for other in PAIRS}


def test_they_are_spread_over_the_split() -> None:
    places = [
        PAIRS.index(one) for one in PAIRS if one.id in {c.pair_id for c in controls(PAIRS, 4)}
    ]
    assert places == [0, 10, 20, 30]


@pytest.mark.parametrize("prompts", [1, 2, 3, 5])
def test_each_is_another_prompts_even_where_there_are_few(prompts: int) -> None:
    """The same one twice would be one question, recorded as two answers."""
    found = [one.id for one in controls(PAIRS[:prompts], 4)]
    assert len(set(found)) == len(found) == 2 * min(prompts, 4)


def test_the_wrong_one_is_the_least_like_the_reference() -> None:
    pairs = [
        pair("a", "the red house by the river"),
        pair("b", "the red house by the sea"),
        pair("c", "nothing of that"),
    ]
    wrong = [one.text for one in controls(pairs, 3) if one.id.startswith(WRONG)]
    assert wrong[:2] == ["nothing of that"] * 2


def test_white_space_makes_no_other_reference() -> None:
    pairs = [pair("a", "yes"), pair("b", " yes\n"), pair("c", "yes ")]
    assert [one.text for one in controls(pairs, 3) if one.id.startswith(WRONG)] == ["", "", ""]


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (4, 8), (100, 80)])
def test_there_are_no_more_than_prompts(count: int, expected: int) -> None:
    assert len(controls(PAIRS, count)) == expected
    assert controls([], count) == ()


async def asked(occasion: str) -> tuple[list[Question], int]:
    """What one judge is asked on ``occasion``, and how many of its marks count."""
    mark = {"reason": "", "score": 50}
    service = ScriptedService(lambda _: json.dumps({"similarity": mark, "precision": mark}))
    settings = JudgingSettings(judgements_per_response=3)
    found = await judge_controls(PAIRS, [service], settings, TaskSettings(), occasion=occasion)
    return service.asked, len(found.scored)


async def test_each_is_marked_once_whatever_m_is() -> None:
    questions, scored = await asked("base")
    assert len(questions) == scored == 8


async def test_another_occasion_asks_other_questions_and_the_same_one_the_same() -> None:
    """So a judge that has changed since is not read from the ledger."""
    samples = [{q.sample for q in (await asked(where))[0]} for where in ("base", "cycles/000")]
    again = {q.sample for q in (await asked("base"))[0]}
    assert samples[0] == again
    assert not samples[0] & samples[1]
    assert all(0 <= sample < 2**31 for some in samples for sample in some)
