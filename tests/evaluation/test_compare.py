"""Pairwise comparison: both orders, ties, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from llamaduo.errors import QuestionRefused, StageFailed
from llamaduo.evaluation.compare import compare
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.evaluation.win_rates import win_rates
from llamaduo.records import PANEL, Comparisons, Question, Response
from llamaduo.tasks.data_block import read_data
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import pair, response
from tests.scripted_service import ScriptedService

PAIRS = [pair(f"question {n}") for n in range(4)]
OURS = [response(one, k, f"ours {k}") for one in PAIRS for k in range(2)]
THEIRS = [replace(response(one, 0, "theirs"), id=f"{one.id}-service-0") for one in PAIRS]
SETTINGS = JudgingSettings(judgements_per_response=2, pairwise=True)
Prefer = Callable[[str, str], str]


def judge(prefer: Prefer) -> ScriptedService:
    def rule(question: Question) -> str:
        data = read_data(question.messages)
        assert data is not None
        return json.dumps({"reason": "", "better": prefer(data["first"], data["second"])})

    return ScriptedService(rule)


async def compared(prefer: Prefer, rivals: list[Response] = THEIRS) -> Comparisons:
    return await compare(OURS, rivals, PAIRS, [judge(prefer)], SETTINGS, TaskSettings())


async def test_every_two_meet_in_both_orders_m_times() -> None:
    found = await compared(lambda *_: "tie")
    assert len(found.scored) == len(OURS) * 2 * 2
    places = {(one.response_id, one.index, one.local_first) for one in found.scored}
    assert len(places) == len(found.scored)


@pytest.mark.parametrize(
    ("prefer", "rate", "ties"),
    [
        (lambda first, _: "first" if first.startswith("ours") else "second", 100.0, 0),
        (lambda first, _: "first" if first == "theirs" else "second", 0.0, 0),
        (lambda *_: "first", 50.0, 16),  # whoever stands first: a disagreement
        (lambda *_: "tie", 50.0, 16),
    ],
)
async def test_the_rate_counts_a_disagreement_as_a_tie(
    prefer: Prefer, rate: float, ties: int
) -> None:
    found = win_rates(await compared(prefer), 0.95)
    for name in (PANEL, "openai-chat:judge"):
        if name in found:
            assert (found[name].rate.value, found[name].ties) == (rate, ties)
    interval = found[PANEL].rate.interval
    assert interval is not None
    assert interval.low <= rate <= interval.high
    assert interval.high > interval.low


async def test_a_meeting_counts_only_with_both_orders() -> None:
    def rule(question: Question) -> str | Exception:
        data = read_data(question.messages)
        if data and data["first"] == "ours 0":
            return QuestionRefused("no", reason="refused")
        return json.dumps({"reason": "", "better": "second"})

    found = await compare(OURS, THEIRS, PAIRS, [ScriptedService(rule)], SETTINGS, TaskSettings())
    rate = win_rates(found, 0.95)[PANEL]
    assert rate.unscored == 8
    assert rate.wins + rate.ties + rate.losses == 8
    assert rate.rate.responses == 4


async def test_a_prompt_without_a_rival_is_left_out() -> None:
    found = await compared(lambda *_: "tie", THEIRS[:1])
    assert {one.pair_id for one in found.scored} == {PAIRS[0].id}


async def test_no_rival_at_all_says_what_to_set() -> None:
    with pytest.raises(StageFailed, match="answered none") as caught:
        await compared(lambda *_: "tie", [])
    assert "judging.service_responses" in caught.value.hint
