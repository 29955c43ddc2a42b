"""Five attempts at one question, over all lives of a run; what was answered is bought once."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import QuestionRefused
from llamaduo.evaluation.judge import judge
from llamaduo.evaluation.scores import score
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Judged, Judgements, Reply, TrainSplit
from llamaduo.service.calls import open_calls
from llamaduo.service.parsing import MalformedReply
from llamaduo.service.persistence import ask_until_read
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.replay import replaying
from llamaduo.service.setbacks import DOUBTFUL_REASON, MOST_IN_DOUBT, UNREADABLE_REASON
from llamaduo.service.settings import ServiceSettings
from llamaduo.synthesis.settings import SynthesisSettings
from llamaduo.synthesis.synthesize import synthesize
from llamaduo.tasks.settings import TaskSettings
from tests.canary import CANARY
from tests.evaluation.made import pair, response
from tests.service.loopback import Answer, Hang, Reset, Service, says
from tests.service.test_client import HTML, connected, question, rows
from tests.synthesis.made import seed

TASK = TaskSettings()
PAIRS = [pair(f"question {n}") for n in range(2)]
RESPONSES = [response(one, text="answer") for one in PAIRS]
TRUNCATED = Answer(body=says("four").body[:40])
EMPTY = Answer(body=b"")
TORN = Answer(
    body=gzip.compress(says("four").body)[:-12],
    headers=(("content-type", "application/json"), ("content-encoding", "gzip")),
)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)


def marks(precision: int = 80) -> Answer:
    one = {"reason": "why", "score": precision}
    return says(json.dumps({"similarity": one, "precision": one}))


def pairs(count: int = 2, *, cut: bool = False) -> Answer:
    made = [{"instruction": f"ask {n}", "response": "said"} for n in range(count)]
    text = json.dumps({"pairs": made})
    return says(text[:-6], finish="length") if cut else says(text)


async def judged(client: ServiceLLM, **settings: Any) -> Judgements:
    chosen = JudgingSettings.model_validate({"judgements_per_response": 2, **settings})
    return await judge(RESPONSES, PAIRS, [client], chosen, TASK)


def four(reply: Reply) -> str:
    if reply.text != "four":
        raise MalformedReply(f"{reply.text!r} is not four")
    return reply.key


async def until_four(client: ServiceLLM) -> str:
    return await ask_until_read(client, question(), four)


# --- one question -------------------------------------------------------------------------


async def test_every_attempt_is_a_call_of_its_own_with_another_seed(tmp_path: Path) -> None:
    script = [says("one"), says("two"), says("four")]
    async with connected(tmp_path, *script) as (client, ledger, service):
        key = await until_four(client)
        (row,) = ledger.spend()
    seeds = [body["seed"] for body in service.bodies]
    assert len(set(seeds)) == 3
    assert (row.answered, row.unused) == (3, 2)
    found = rows(tmp_path, "key, state, instead_of")
    assert [state for _, state, _ in found] == ["answered"] * 3
    assert [earlier for _, _, earlier in found] == [None, found[0][0], found[1][0]]
    assert found[2][0] == key


@pytest.mark.parametrize("spoiled", [HTML, TRUNCATED, EMPTY, TORN])
async def test_what_is_no_reply_and_what_is_of_no_use_count_together(
    tmp_path: Path, spoiled: Answer
) -> None:
    script = [spoiled, says("one"), spoiled, spoiled, says("two"), says("four")]
    async with connected(tmp_path, *script) as (client, _, service):
        with pytest.raises(QuestionRefused) as caught:
            await until_four(client)
        assert len(service.bodies) == 5
    assert caught.value.reason == "'two' is not four"
    assert caught.value.call == rows(tmp_path, "key")[-1][0]


async def test_attempts_are_counted_over_all_lives(tmp_path: Path) -> None:
    async with connected(tmp_path, HTML, HTML, HTML, Hang) as (client, _, service):
        await cut_off(client, service, calls=4)
    async with connected(tmp_path, Reset, HTML, HTML) as (client, _, service):
        with pytest.raises(QuestionRefused) as caught:
            await until_four(client)
        assert len(service.bodies) == 3
    assert caught.value.reason == UNREADABLE_REASON
    assert [state for (state,) in rows(tmp_path, "state")] == [
        "failed", "failed", "failed", "sent", "failed", "failed", "failed",
    ]  # fmt: skip


async def cut_off(client: ServiceLLM, service: Service, *, calls: int) -> None:
    """Ask, and be cancelled while the nth call of this life has no answer yet."""
    asking = asyncio.create_task(until_four(client))
    while len(service.bodies) < calls:
        service.asked.clear()
        await service.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_the_chain_is_walked_again_without_a_call(tmp_path: Path) -> None:
    script = [says("one"), HTML, says("two"), says("four")]
    async with connected(tmp_path, *script) as (client, _, _s):
        first = await until_four(client)
    async with connected(tmp_path) as (client, _, service):
        assert await until_four(client) == first
        assert service.bodies == []
    with open_calls(tmp_path / "ledger.sqlite") as calls:
        settings = ServiceSettings(model="openai-chat:gpt-test", base_url=service.base_url)
        async with replaying(settings, calls, lambda *_: None) as replay:
            assert await until_four(replay) == first


@pytest.mark.parametrize("last", [says("two"), HTML])
async def test_what_was_set_aside_is_set_aside_again_and_in_the_replay(
    tmp_path: Path, last: Answer
) -> None:
    reasons = []
    async with connected(tmp_path, *[says("one")] * 4, last) as (client, _, _s):
        with pytest.raises(QuestionRefused) as caught:
            await until_four(client)
        reasons.append(caught.value.reason)
    async with connected(tmp_path) as (client, _, service):
        with pytest.raises(QuestionRefused) as caught:
            await until_four(client)
        reasons.append(caught.value.reason)
        assert service.bodies == []
    with open_calls(tmp_path / "ledger.sqlite") as calls:
        settings = ServiceSettings(model="openai-chat:gpt-test", base_url=service.base_url)
        async with replaying(settings, calls, lambda *_: None) as replay:
            with pytest.raises(QuestionRefused) as caught:
                await until_four(replay)
            reasons.append(caught.value.reason)
    assert len(set(reasons)) == 1


async def test_a_reader_that_takes_more_buys_nothing(tmp_path: Path) -> None:
    async with connected(tmp_path, says("one"), says("four")) as (client, _, _s):
        await until_four(client)
    async with connected(tmp_path) as (client, _, service):
        first = await ask_until_read(client, question(), lambda reply: reply.text)
        assert first == "one"
        assert service.bodies == []


async def test_a_question_that_ends_the_process_each_time_is_set_aside(tmp_path: Path) -> None:
    async with connected(tmp_path, *[Hang] * MOST_IN_DOUBT) as (client, ledger, service):
        for call in range(MOST_IN_DOUBT):
            await cut_off(client, service, calls=call + 1)
        with pytest.raises(QuestionRefused) as caught:
            await until_four(client)
        assert len(service.bodies) == MOST_IN_DOUBT
        assert ledger.spend()[0].in_doubt == MOST_IN_DOUBT
    assert caught.value.reason == DOUBTFUL_REASON
    with open_calls(tmp_path / "ledger.sqlite") as calls:
        settings = ServiceSettings(model="openai-chat:gpt-test", base_url=service.base_url)
        async with replaying(settings, calls, lambda *_: None) as replay:
            with pytest.raises(QuestionRefused, match=DOUBTFUL_REASON):
                await until_four(replay)


# --- a stage that is run again ------------------------------------------------------------


async def test_a_changed_threshold_or_share_buys_nothing(tmp_path: Path) -> None:
    async with connected(tmp_path, *[marks(n) for n in (60, 70, 80, 90)]) as (client, _, _s):
        first = await judged(client, score_thresholds=[50])
    async with connected(tmp_path) as (client, _, service):
        again = await judged(client, score_thresholds=[75], max_unscored=0.5)
        assert again == first
        assert service.bodies == []
    settings = JudgingSettings(judgements_per_response=2, score_thresholds=(75,))
    assert score(Judged(tuple(RESPONSES), again), PAIRS, settings, TASK).judges


@pytest.mark.parametrize(
    ("changed", "bought"),
    [
        ({"judging": {"judgements_per_response": 3}}, 2),
        ({"judging": {"temperature": 0.5}}, 4),
        ({"service": {"model": "openai-chat:gpt-other"}}, 4),
        ({"service": {"options": {"top_p": 0.5}}}, 4),
        ({"service": {"max_output_tokens": 1000}}, 4),
        ({"service": {"concurrency": 3, "timeout_seconds": 7.0}}, 0),
    ],
)
async def test_a_change_buys_again_what_it_touches(
    tmp_path: Path, changed: dict[str, dict[str, Any]], bought: int
) -> None:
    async with connected(tmp_path, *[marks()] * 4) as (client, *_):
        await judged(client)
    fields = changed.get("service", {})
    async with connected(tmp_path, *[marks()] * bought, **fields) as (client, _, service):
        await judged(client, **changed.get("judging", {}))
        assert len(service.bodies) == bought
        await judged(client)  # as it was; with the model as it is now
        assert len(service.bodies) == bought


async def test_a_changed_prompt_buys_again_only_what_it_is_in(tmp_path: Path) -> None:
    async with connected(tmp_path, *[marks()] * 4) as (client, *_):
        await judged(client)
    other = response(PAIRS[1], text="another answer")
    async with connected(tmp_path, *[marks()] * 2) as (client, _, service):
        settings = JudgingSettings(judgements_per_response=2)
        await judge([RESPONSES[0], other], PAIRS, [client], settings, TASK)
        assert len(service.bodies) == 2
        assert all("another answer" in json.dumps(body) for body in service.bodies)


async def test_pairs_of_a_reply_that_was_cut_are_kept_and_one_without_is_asked_again(
    tmp_path: Path,
) -> None:
    script = [pairs(2, cut=True), says("", finish="length"), pairs(2)]
    settings = SynthesisSettings(pairs=4, pairs_per_request=2)
    train = TrainSplit((seed("one"), seed("two")))
    async with connected(tmp_path, *script, concurrency=1) as (client, _, service):
        first = await synthesize(train, client, settings, TASK, cycle=0)
        assert len(service.bodies) == 3
    assert (len(first.pairs), first.salvaged, dict(first.set_aside)) == (3, 1, {})
    async with connected(tmp_path) as (client, _, service):
        assert await synthesize(train, client, settings, TASK, cycle=0) == first
        assert service.bodies == []
    about = [json.loads(found) for (found,) in rows(tmp_path, "pairs")]
    assert {one for ids in about for one in ids} == {one.id for one in train.pairs}
