"""Synthesis: requests, provenance, order, salvage, errors."""

from __future__ import annotations

import json

import pytest

from llamaduo.errors import QuestionRefused, ServiceUnavailable, StageFailed
from llamaduo.records import Event, Message, Pair, Provenance, Question, RawBatch, TrainSplit
from llamaduo.synthesis.settings import SynthesisSettings
from llamaduo.synthesis.synthesize import synthesize
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import PAIRS_SCHEMA
from tests.scripted_service import ScriptedService, reply
from tests.synthesis.made import seed

TASK = TaskSettings(topic="tickets")
TRAIN = TrainSplit(tuple(seed(f"question {i}") for i in range(4)))


def written(question: Question, count: int = 5) -> str:
    """``count`` pairs that say which request they answer."""
    pairs = [
        {"instruction": f"ask {question.sample}.{i}", "response": "answer"} for i in range(count)
    ]
    return json.dumps({"pairs": pairs})


async def batch(service: ScriptedService, *, cycle: int = 0, **settings: float) -> RawBatch:
    return await synthesize(
        TRAIN, service, SynthesisSettings.model_validate(settings), TASK, cycle=cycle
    )


@pytest.mark.parametrize("shuffle", range(5))
async def test_pairs_come_in_the_order_of_requests_and_no_more_than_wanted(shuffle: int) -> None:
    service = ScriptedService(written, concurrency=3, seed=shuffle)
    events: list[Event] = []
    settings = SynthesisSettings(pairs=23)
    got = await synthesize(TRAIN, service, settings, TASK, cycle=0, notify=events.append)
    asked = [f"ask {n}.{i}" for n in range(5) for i in range(5)]
    assert [p.instruction for p in got.pairs] == asked[:23]
    assert (got.cycle, got.requests, got.salvaged, got.malformed) == (0, 5, 0, 0)
    assert service.peak == 3
    assert [(e.done, e.total) for e in events] == [(n, 5) for n in range(1, 6)]
    assert events[-1].detail == "25 pairs"


async def test_a_new_pair_takes_its_seeds_place_and_says_where_it_comes_from() -> None:
    schema = {"type": "object"}
    origin = seed("where?", system="Be brief.", json_schema=schema, category="qa", row="7")
    service = ScriptedService(
        lambda _: reply('{"pairs": [{"instruction": "when?", "response": "now"}]}', key="k7")
    )
    settings = SynthesisSettings(pairs=1)
    got = await synthesize(TrainSplit((origin,)), service, settings, TASK, cycle=0)
    [new] = got.pairs
    assert new == Pair(
        id=new.id,
        messages=(Message("system", "Be brief."), Message("user", "when?")),
        response="now",
        reference_source="service",
        provenance=Provenance(
            origin="synthetic",
            source="scripted-2026-01-01",
            cycle=0,
            seeds=(origin.id,),
            call="k7",
        ),
        json_schema=schema,
        metadata={"category": "qa"},
    )


async def test_a_category_that_the_seeds_do_not_share_is_not_passed_on() -> None:
    train = TrainSplit((seed("one", category="a"), seed("two", category="b")))
    settings = SynthesisSettings(pairs=5, seeds_per_request=2)
    got = await synthesize(train, ScriptedService(written), settings, TASK, cycle=0)
    assert len(got.pairs) == 5
    assert all(p.metadata == {} and len(p.provenance.seeds) == 2 for p in got.pairs)


async def test_the_same_seeds_are_never_asked_with_the_same_sample_again() -> None:
    service = ScriptedService(written)
    for cycle in range(3):
        await batch(service, cycle=cycle, pairs=20)
    assert sorted(q.sample for q in service.asked) == list(range(4 + 8 + 16))
    assert {(q.stage, q.shape) for q in service.asked} == {("synthesize", "pairs")}
    assert service.asked[0].schema == PAIRS_SCHEMA


async def test_cut_and_bad_replies_are_salvaged_and_counted() -> None:
    def rule(question: Question) -> object:
        whole = written(question)
        return [reply(whole[:-10], finish="length"), "Sorry.", whole][question.sample]

    service = ScriptedService(rule)  # type: ignore[arg-type]
    got = await batch(service, pairs=15, max_failed=0.5)
    assert [p.instruction for p in got.pairs] == [
        *(f"ask 0.{i}" for i in range(4)),
        *(f"ask 2.{i}" for i in range(5)),
    ]
    assert (got.requests, got.salvaged, got.malformed) == (3, 4, 2)
    assert list(got.set_aside.values()) == [1]
    assert [q.again for q in service.asked if q.sample == 1] == [0, 1, 2, 3, 4]
    assert len(service.asked) == 3 + 4  # what brought some pairs was not asked for again


async def test_a_reply_without_a_pair_is_asked_for_again() -> None:
    def rule(question: Question) -> str:
        return written(question) if question.again else '{"pairs": []}'

    service = ScriptedService(rule)
    got = await batch(service, pairs=10)
    assert len(got.pairs) == 10
    assert (got.malformed, got.set_aside) == (0, {})
    assert sorted((q.sample, q.again) for q in service.asked) == [(0, 0), (0, 1), (1, 0), (1, 1)]


async def test_more_requests_set_aside_than_may_be_fail_the_stage_with_the_reasons() -> None:
    def rule(question: Question) -> str | Exception:
        return QuestionRefused("filtered") if question.sample < 2 else written(question)

    with pytest.raises(StageFailed) as caught:
        await batch(ScriptedService(rule), pairs=200, max_failed=0.04)
    assert "2 of 40 requests (5.0%) were set aside" in caught.value.message
    assert "2 × filtered" in caught.value.message
    assert "synthesis.max_failed" in caught.value.hint
    got = await batch(ScriptedService(rule), pairs=200, max_failed=0.05)
    assert got.set_aside == {"filtered": 2}


async def test_not_one_pair_fails_the_stage_with_the_reason() -> None:
    service = ScriptedService(lambda _: reply('{"pairs": [{"instr', finish="length"))
    with pytest.raises(StageFailed) as caught:
        await batch(service, pairs=10)
    assert "2 requests to scripted:one brought not one pair" in caught.value.message
    assert "2 × the reply was cut off at its token limit" in caught.value.message
    assert "synthesis.pairs_per_request" in caught.value.hint


async def test_replies_with_an_empty_list_fail_the_stage_too() -> None:
    with pytest.raises(StageFailed, match="the reply holds no pairs"):
        await batch(ScriptedService(lambda _: '{"pairs": []}'), pairs=10)


async def test_a_refused_request_is_counted_and_the_others_go_on() -> None:
    def rule(question: Question) -> str | Exception:
        return QuestionRefused("filtered") if question.sample == 1 else written(question)

    got = await batch(ScriptedService(rule), pairs=15, max_failed=0.5)
    assert [p.instruction for p in got.pairs] == [f"ask {n}.{i}" for n in (0, 2) for i in range(5)]
    assert (got.requests, got.malformed) == (3, 1)
    with pytest.raises(StageFailed, match="2 × filtered"):
        await batch(ScriptedService(lambda _: QuestionRefused("filtered")), pairs=10)


async def test_a_service_error_comes_out_by_itself() -> None:
    service = ScriptedService(
        lambda q: ServiceUnavailable("no answer") if q.sample == 1 else written(q), concurrency=1
    )
    with pytest.raises(ServiceUnavailable, match="no answer"):
        await batch(service, pairs=50)
    assert len(service.asked) == 2
