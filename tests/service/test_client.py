"""The client over real sockets: asked once, paid once, whatever the network does."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llamaduo.errors import (
    BudgetExceeded,
    ExtraMissing,
    KeyMissing,
    LlamaduoError,
    QuestionRefused,
    RunError,
    RunIncompatible,
    ServiceRefused,
    ServiceUnavailable,
    UsageError,
)
from llamaduo.records import Event, Message, Question, Reply
from llamaduo.service.address import key_variable
from llamaduo.service.client import check_key, check_usable, connect
from llamaduo.service.lanes import Lane, work_through
from llamaduo.service.ledger import Ledger
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.retry import Backoff
from llamaduo.service.secrets import Secret
from llamaduo.service.settings import Price, ServiceSettings
from llamaduo.service.transport import RecordingTransport
from llamaduo.service.wires import Wires
from tests.canary import CANARY
from tests.service.loopback import (
    SNAPSHOT,
    Answer,
    Cut,
    Drip,
    Hang,
    Reset,
    Service,
    error,
    says,
    serving,
)

AT_ONCE = Backoff(first=0.001, most=0.001)
HTML = Answer(body=b"<html>Bad gateway</html>", headers=(("content-type", "text/html"),))


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)


def question(text: str = "What is 2 + 2?", **fields: Any) -> Question:
    return Question(stage="judge", messages=(Message("user", text),), **fields)


def settings_for(service: Service, **fields: Any) -> ServiceSettings:
    chosen: dict[str, Any] = {"model": "openai-chat:gpt-test", "base_url": service.base_url}
    return ServiceSettings(**(chosen | fields))


@asynccontextmanager
async def connected(
    path: Path, *steps: Any, budget_usd: float | None = None, **fields: Any
) -> AsyncIterator[tuple[ServiceLLM, Ledger, Service]]:
    """A client, its ledger at ``path`` and the service that it speaks to."""
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(*steps))
        ledger = stack.enter_context(Ledger.open(path / "ledger.sqlite"))
        settings = settings_for(service, **fields)
        client = await stack.enter_async_context(
            connect(settings, ledger, budget_usd=budget_usd, backoff=AT_ONCE)
        )
        yield client, ledger, service


def rows(path: Path, columns: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path / "ledger.sqlite")) as connection:
        return connection.execute(
            f"SELECT {columns} FROM attempts ORDER BY rowid"  # noqa: S608
        ).fetchall()


def contents(folder: Path) -> list[str]:
    return [path.read_bytes().decode(errors="replace") for path in folder.iterdir()]


# --- one question -------------------------------------------------------------------------


async def test_a_reply_carries_text_tokens_snapshot_and_price(tmp_path: Path) -> None:
    price = Price(input=10.0, output=100.0)
    async with connected(tmp_path, says("four"), price=price) as (client, ledger, _):
        reply = await client.ask(question())

        assert (reply.text, reply.finish, reply.snapshot) == ("four", "stop", SNAPSHOT)
        assert (reply.input_tokens, reply.output_tokens) == (100, 20)
        assert reply.usd == pytest.approx(0.003)
        assert not reply.replayed
        assert ledger.loop_usd() == pytest.approx(0.003)
        assert ledger.snapshots() == {"openai-chat:gpt-test": (SNAPSHOT,)}


async def test_the_request_has_messages_seed_settings_and_a_strict_schema(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"score": {"type": "integer"}},
        "required": ["score"],
        "additionalProperties": False,
    }
    asked = Question(
        stage="judge",
        messages=(
            Message("system", "Be brief."),
            Message("user", "Hello"),
            Message("assistant", "Hi"),
            Message("user", "Score it"),
        ),
        sample=3,
        shape="judgement",
        schema=schema,
        max_tokens=50,
        temperature=0.5,
    )
    async with connected(tmp_path, says('{"score": 1}')) as (client, _, service):
        reply = await client.ask(asked)

    (body,) = service.bodies
    assert reply.text == '{"score": 1}'
    assert [(m["role"], m["content"]) for m in body["messages"]] == [
        ("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi"), ("user", "Score it"),
    ]  # fmt: skip
    assert (body["model"], body["seed"], body["temperature"]) == ("gpt-test", 3, 0.5)
    assert body["max_completion_tokens"] == 50
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["name"] == "judgement"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["response_format"]["json_schema"]["schema"] == schema


async def test_settings_that_are_not_set_are_not_sent(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, _, service):
        await client.ask(question())

    known = {"messages", "model", "seed", "stream", "max_completion_tokens"}
    assert set(service.bodies[0]) <= known


async def test_every_reply_is_limited_to_what_the_budget_holds_for_it(tmp_path: Path) -> None:
    price = Price(input=0.0, output=1e6)  # a dollar a token
    async with connected(tmp_path, price=price, max_output_tokens=64) as (client, _, service):
        by_default = await client.ask(question())
        by_name = await client.ask(question(max_tokens=64))
        await client.ask(question(max_tokens=32))

    assert [body["max_completion_tokens"] for body in service.bodies] == [64, 32]
    assert by_name.key == by_default.key
    requests = [json.loads(request) for (request,) in rows(tmp_path, "request")]
    assert [request["max_tokens"] for request in requests] == [64, 32]


async def test_text_that_no_tokenizer_knows_is_held_for_by_the_byte(tmp_path: Path) -> None:
    price = Price(input=1e6, output=0.0)  # a dollar a token
    text = "ᚠᛇᚻ" * 100  # three bytes of UTF-8 each, so at most 900 tokens
    async with connected(tmp_path, Hang, price=price, timeout_seconds=0.05) as (client, _, _s):
        await client.ask(question(text))
    assert rows(tmp_path, "state, held_usd > 900")[0] == ("failed", 1)


async def test_a_reply_cut_at_the_token_limit_says_so(tmp_path: Path) -> None:
    async with connected(tmp_path, says('{"pairs": [', finish="length")) as (client, _, _s):
        reply = await client.ask(question())

    assert (reply.text, reply.finish) == ('{"pairs": [', "length")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (says(""), ""),
        (says(None, refusal="I cannot help with that."), "I cannot help with that."),
        (says("  not json  "), "  not json  "),
    ],
)
async def test_empty_filtered_and_refused_texts_are_replies(
    tmp_path: Path, answer: Answer, text: str
) -> None:
    async with connected(tmp_path, answer) as (client, _, _s):
        reply = await client.ask(question())

    assert (reply.text, reply.finish) == (text, "stop")


async def test_openai_means_the_responses_api(tmp_path: Path) -> None:
    body = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": SNAPSHOT,
        "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
        "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
        "output": [{
            "type": "message", "id": "m", "role": "assistant", "status": "incomplete",
            "content": [{"type": "output_text", "text": "fou", "annotations": []}],
        }],
        "usage": {
            "input_tokens": 7, "output_tokens": 2, "total_tokens": 9,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }  # fmt: skip
    answer = Answer(body=json.dumps(body).encode())
    async with connected(tmp_path, answer, model="openai:gpt-test") as (client, _, service):
        reply = await client.ask(question())

    assert service.paths == ["/v1/responses"]
    assert (reply.text, reply.finish) == ("fou", "length")
    assert (reply.input_tokens, reply.output_tokens, reply.snapshot) == (7, 2, SNAPSHOT)
    assert "seed" not in service.bodies[0]


async def test_a_compressed_reply_is_kept_readable(tmp_path: Path) -> None:
    plain = says("four").body
    headers = (("content-type", "application/json"), ("content-encoding", "gzip"))
    packed = Answer(body=gzip.compress(plain), headers=headers)
    async with connected(tmp_path, packed) as (client, _, _s):
        assert (await client.ask(question())).text == "four"
        assert (await client.ask(question())).text == "four"

    assert rows(tmp_path, "reply") == [(plain,)]


# --- paid once ----------------------------------------------------------------------------


async def test_an_answered_question_is_replayed_and_never_sent_again(tmp_path: Path) -> None:
    async with connected(tmp_path, price=Price(input=1, output=1)) as (client, ledger, service):
        first = await client.ask(question())
        again = await client.ask(question())

        assert again.replayed
        assert (again.text, again.key, again.usd) == (first.text, first.key, first.usd)
        assert len(service.bodies) == 1
        assert ledger.spend()[0].answered == 1


async def test_a_reopened_ledger_answers_at_another_address(tmp_path: Path) -> None:
    async with connected(tmp_path, says("four")) as (client, _, _s):
        first = await client.ask(question())
    async with connected(tmp_path, says("five")) as (client, _, elsewhere):
        again = await client.ask(question())

    assert (again.text, again.key, again.replayed) == ("four", first.key, True)
    assert elsewhere.bodies == []


async def test_each_sample_and_each_setting_is_a_question_of_its_own(tmp_path: Path) -> None:
    asked = [
        question(),
        question(sample=1),
        question(temperature=0.1),
        question(max_tokens=9),
        question("Another?"),
        question(shape="s", schema={"type": "object", "properties": {}}),
    ]
    async with connected(tmp_path) as (client, _, service):
        replies = [await client.ask(q) for q in asked]

    assert len({reply.key for reply in replies}) == len(service.bodies) == len(asked)
    assert replies[1].text == "sample 1"


async def test_two_askers_of_one_question_pay_once(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, _, service):
        replies = await asyncio.gather(*(client.ask(question()) for _ in range(20)))

    assert len(service.bodies) == 1
    assert sum(not reply.replayed for reply in replies) == 1


async def test_the_intent_is_durable_before_the_request_arrives(tmp_path: Path) -> None:
    seen: list[list[tuple[Any, ...]]] = []

    class Looking(Service):
        def next_step(self, body: dict[str, Any]) -> Any:
            seen.append(rows(tmp_path, "state, attempt, reply"))
            return super().next_step(body)

    async with connected(tmp_path) as (client, _, service):
        service.__class__ = Looking
        await client.ask(question())

    assert seen == [[("sent", 1, None)]]
    assert rows(tmp_path, "state, attempt") == [("answered", 1)]


async def test_events_follow_the_durable_rows(tmp_path: Path) -> None:
    events: list[tuple[str, int, str]] = []

    def notify(event: Event) -> None:
        assert event.stage == "ledger"
        state = "sent" if event.unit == "intent" else "answered"
        assert (state,) in rows(tmp_path, "state")
        events.append((event.unit, event.done, event.detail))

    async with serving() as service:
        with Ledger.open(tmp_path / "ledger.sqlite", notify) as ledger:
            async with connect(settings_for(service), ledger) as client:
                for sample in range(2):
                    await client.ask(question(sample=sample))

    assert [e[:2] for e in events] == [("intent", 1), ("answer", 1), ("intent", 2), ("answer", 2)]


async def test_a_cancelled_call_is_in_doubt_and_asked_again(tmp_path: Path) -> None:
    async with connected(tmp_path, Hang) as (client, ledger, service):
        call = asyncio.create_task(client.ask(question()))
        await service.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert ledger.spend()[0].in_doubt == 1

        assert (await client.ask(question())).text == "sample 0"
        (row,) = ledger.spend()
        assert (row.answered, row.in_doubt, row.failed) == (1, 1, 0)


# --- retries ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        error(429, "slow down", "rate_limit_exceeded", retry_after="0"),
        error(500, "oops"),
        error(503, "overloaded"),
        error(529, "overloaded"),
        error(408, "timeout"),
        HTML,
        Answer(body=b""),
        Answer(body=b'{"id": "x"'),
        Answer(body=b"[]"),
        Answer(body=b"null"),
        Answer(body=b'{"choices": []}'),
        Answer(body=b'{"choices": [{"message": null}]}'),
        Answer(body=b'{"error": {"message": "upstream", "code": 502}}'),
        Reset,
    ],
)
async def test_what_may_pass_is_tried_again(tmp_path: Path, step: Any) -> None:
    async with connected(tmp_path, step) as (client, ledger, service):
        reply = await client.ask(question())

        assert (reply.text, reply.replayed) == ("sample 0", False)
        assert len(service.bodies) == 2
        (row,) = ledger.spend()
        assert (row.answered, row.in_doubt, row.failed) == (1, 0, 1)


async def test_a_200_with_html_lands_in_the_ledger(tmp_path: Path) -> None:
    async with connected(tmp_path, HTML) as (client, _, _s):
        await client.ask(question())

    failed, answered = rows(tmp_path, "state, status, reply, error, attempt")
    assert failed[:3] == ("failed", 200, HTML.body)
    assert "not a reply" in failed[3]
    assert (answered[0], answered[4]) == ("answered", 2)


async def test_a_failed_attempt_keeps_its_body(tmp_path: Path) -> None:
    broken = error(500, "the cluster is on fire")
    async with connected(tmp_path, broken) as (client, _, _s):
        await client.ask(question())

    assert rows(tmp_path, "status, reply")[0] == (500, broken.body)


async def test_a_server_that_hangs_times_out_and_is_asked_again(tmp_path: Path) -> None:
    async with connected(tmp_path, Hang, timeout_seconds=0.1) as (client, _, service):
        assert (await client.ask(question())).text == "sample 0"
        assert len(service.bodies) == 2


@pytest.mark.parametrize("step", [Cut, Drip])
async def test_a_reply_that_does_not_come_whole_is_asked_for_again(
    tmp_path: Path, step: Any
) -> None:
    async with connected(tmp_path, step, timeout_seconds=0.3) as (client, ledger, service):
        assert (await client.ask(question())).text == "sample 0"
        assert len(service.bodies) == 2
        (row,) = ledger.spend()
    assert (row.answered, row.failed, row.charged) == (1, 1, 1)  # it may be on the bill
    assert rows(tmp_path, "state, bytes_out > 0, host")[0] == (
        "failed", 1, service.base_url.split("/")[2],
    )  # fmt: skip


@pytest.mark.parametrize("status", [401, 402])
async def test_a_run_that_must_end_lets_what_is_in_flight_end_first(
    tmp_path: Path, status: int
) -> None:
    late = replace(says("late"), delay=0.05)
    script = [late, late, error(status, "no"), late]
    async with connected(tmp_path, *script, concurrency=4) as (client, ledger, service):
        lane = Lane([question(sample=n) for n in range(40)], client.concurrency)
        with pytest.raises(ServiceRefused, match=f"HTTP {status}"):
            await work_through([lane], client.ask)
        assert len(service.bodies) == 4
        (row,) = ledger.spend()
        assert (row.answered, row.failed, row.in_doubt) == (3, 1, 0)
    async with connected(tmp_path, concurrency=4) as (client, _, service):
        await work_through([lane], client.ask)
        assert len(service.bodies) == 37  # resumed: what was answered is not asked again


async def test_a_run_that_must_end_does_not_wait_for_turns_or_to_ask_again(tmp_path: Path) -> None:
    script = [error(503, "busy", retry_after="600"), error(402, "no money")]
    rates = {"requests": 60}
    async with connected(tmp_path, *script, concurrency=8, rates=rates) as (
        client,
        ledger,
        service,
    ):
        lane = Lane([question(sample=n) for n in range(8)], client.concurrency, client.leave)
        async with asyncio.timeout(30):
            with pytest.raises(ServiceRefused, match="HTTP 402"):
                await work_through([lane], client.ask)
        assert len(service.bodies) == 2
        (row,) = ledger.spend()
        assert (row.failed, row.in_doubt) == (2, 0)


async def test_after_the_deadline_the_service_is_unavailable(tmp_path: Path) -> None:
    down = [error(503, "down for maintenance")] * 500
    async with connected(tmp_path, *down, deadline_seconds=0.05) as (client, _, service):
        with pytest.raises(ServiceUnavailable) as caught:
            await client.ask(question())

    message = str(caught.value)
    assert "openai-chat:gpt-test" in message
    assert service.base_url.split("/")[2] in message
    assert "HTTP 503: down for maintenance" in message
    assert "resume" in caught.value.hint


async def test_a_longer_wait_than_the_deadline_is_not_waited_for(tmp_path: Path) -> None:
    busy = error(429, "later", retry_after="3600")
    async with connected(tmp_path, busy, deadline_seconds=5) as (client, _, service):
        with pytest.raises(ServiceUnavailable):
            await client.ask(question())
        assert len(service.bodies) == 1


async def test_a_refused_connection_is_unavailable_and_surely_not_charged(tmp_path: Path) -> None:
    async with serving() as gone:
        settings = settings_for(gone, deadline_seconds=0.05, price=Price(input=1e6, output=1e6))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        async with connect(settings, ledger, budget_usd=1e6, backoff=AT_ONCE) as client:
            with pytest.raises(ServiceUnavailable):
                await client.ask(question(max_tokens=1))
    assert {row[0] for row in rows(tmp_path, "held_usd")} == {0.0}


# --- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        (error(401, "Incorrect API key", "invalid_api_key"), "Incorrect", "OPENAI_API_KEY"),
        (error(402, "Payment required"), "Payment", "credit"),
        (error(403, "No access"), "No access", "OPENAI_API_KEY"),
        (error(404, "No such model", "model_not_found"), "No such model", "model name"),
        (error(429, "You ran out", "insufficient_quota"), "ran out", "credit"),
        (error(400, "Bad schema", None, "response_format"), "Bad schema", "llamaduo.yaml"),
        (error(400, "Unknown", "model_not_found"), "Unknown", "llamaduo.yaml"),
        (error(308, "Moved", location="http://127.0.0.1:1/"), "Moved", "base_url"),
        (Answer(404, b"<h1>Not\x1b[31m Found</h1>", HTML.headers), "Not [31m Found", "base_url"),
    ],
)
async def test_what_will_not_pass_ends_at_once(
    tmp_path: Path, answer: Answer, said: str, hint: str
) -> None:
    async with connected(tmp_path, answer) as (client, ledger, service):
        with pytest.raises(ServiceRefused) as caught:
            await client.ask(question())

        assert len(service.bodies) == 1
        assert not isinstance(caught.value, QuestionRefused)
        assert said in str(caught.value)
        assert f"HTTP {answer.status}" in str(caught.value)
        assert hint in caught.value.hint
        assert ledger.spend()[0].failed == 1


@pytest.mark.parametrize(
    "answer",
    [
        error(400, "Filtered", "content_filter"),
        error(400, "No reason given"),
        error(413, "Too large"),
        error(422, "Unprocessable"),
    ],
)
async def test_a_question_that_is_rejected_does_not_speak_for_the_next(
    tmp_path: Path, answer: Answer
) -> None:
    async with connected(tmp_path, answer) as (client, ledger, service):
        with pytest.raises(QuestionRefused) as caught:
            await client.ask(question())
        assert (await client.ask(question("Another"))).text == "sample 0"

        assert len(service.bodies) == 2
        assert caught.value.reason.startswith(f"refused (HTTP {answer.status}: ")
        assert caught.value.call == rows(tmp_path, "key")[0][0]
        assert "rejected" in caught.value.hint
        assert ledger.spend()[0].failed == 1


async def test_replies_that_cannot_be_read_are_not_bought_for_ever(tmp_path: Path) -> None:
    async with connected(tmp_path, *[HTML] * 5) as (client, ledger, service):
        for _ in range(2):  # asked again in the same life, it is refused at once
            with pytest.raises(QuestionRefused) as caught:
                await client.ask(question())
        assert caught.value.reason == "5 attempts; the last reply was no reply"
        assert len(service.bodies) == 5
        assert (await client.ask(question("Another"))).text == "sample 0"
        assert ledger.spend()[0].failed == 5
    async with connected(tmp_path) as (client, _, service):  # nor in the next life
        with pytest.raises(QuestionRefused):
            await client.ask(question())
        assert service.bodies == []


async def test_unreadable_replies_are_counted_through_other_setbacks(tmp_path: Path) -> None:
    script = [HTML, error(503, "busy"), HTML, Reset, HTML, HTML, error(500, "oops"), HTML]
    async with connected(tmp_path, *script) as (client, _, service):
        with pytest.raises(QuestionRefused):
            await client.ask(question())
        assert len(service.bodies) == len(script)


# --- the budget ---------------------------------------------------------------------------


async def test_a_call_that_could_pass_the_budget_is_not_sent(tmp_path: Path) -> None:
    price = Price(input=0.0, output=100.0)  # 20 tokens cost $0.002, at most 100 cost $0.01
    async with connected(tmp_path, price=price, budget_usd=0.0139) as (client, ledger, service):
        await client.ask(question(max_tokens=100))
        await client.ask(question(max_tokens=100, sample=1))
        with pytest.raises(BudgetExceeded) as caught:
            await client.ask(question(max_tokens=100, sample=2))

        assert len(service.bodies) == 2
        assert ledger.loop_usd() == pytest.approx(0.004)
        assert "budget of $0.01" in str(caught.value)
        assert (await client.ask(question(max_tokens=100))).replayed


async def test_calls_in_flight_count_against_the_budget(tmp_path: Path) -> None:
    price = Price(input=0.0, output=100.0)
    script = [says("four"), *[Hang] * 9]
    async with connected(tmp_path, *script, price=price, budget_usd=0.037) as (client, _, service):
        await client.ask(question(max_tokens=100))
        service.bodies.clear()
        asked = [
            asyncio.create_task(client.ask(question(max_tokens=100, sample=n))) for n in range(1, 9)
        ]
        while len(service.bodies) < 3:
            service.asked.clear()
            await service.asked.wait()
        for call in asked:
            call.cancel()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)

        assert len(service.bodies) == 3
        assert all(isinstance(o, asyncio.CancelledError) for o in outcomes)


@pytest.mark.parametrize("concurrency", [1, 7, 40])
async def test_where_the_budget_ends_a_run_does_not_depend_on_what_was_in_flight(
    tmp_path: Path, concurrency: int
) -> None:
    """A call holds $0.01 and costs $0.002: ten of them leave just enough for one more."""
    price = Price(input=0.0, output=100.0)
    late = [replace(says("four"), delay=0.001 * (n % 3)) for n in range(40)]
    async with connected(tmp_path, *late, price=price, budget_usd=0.0301) as (client, ledger, s):
        lanes = asyncio.Semaphore(concurrency)

        async def ask(n: int) -> Reply:
            async with lanes:
                return await client.ask(question(max_tokens=100, sample=n))

        outcomes = await asyncio.gather(*map(ask, range(40)), return_exceptions=True)

        assert len(s.bodies) == 11
        assert sum(isinstance(outcome, BudgetExceeded) for outcome in outcomes) == 29
        assert ledger.loop_usd() == pytest.approx(0.022)


async def test_waiting_for_the_budget_does_not_use_up_the_deadline(tmp_path: Path) -> None:
    price = Price(input=0.0, output=100.0)
    slow = replace(says("four"), delay=0.3)
    script = [slow, error(503, "busy")]
    settings: dict[str, Any] = {"price": price, "budget_usd": 0.0125, "deadline_seconds": 0.25}
    async with connected(tmp_path, *script, **settings) as (client, _, service):
        first = asyncio.create_task(client.ask(question(max_tokens=100)))
        await service.asked.wait()
        second = await client.ask(question(max_tokens=100, sample=1))
        assert (await first).text == "four"
        assert second.text == "sample 1"


async def test_a_call_in_doubt_counts_as_if_it_had_been_charged(tmp_path: Path) -> None:
    price = Price(input=0.0, output=100.0)
    async with connected(tmp_path, Reset, price=price, budget_usd=0.015) as (client, _, service):
        with pytest.raises(BudgetExceeded):
            await client.ask(question(max_tokens=100))
        assert len(service.bodies) == 1
    async with connected(tmp_path, price=price, budget_usd=0.015) as (client, _, service):
        with pytest.raises(BudgetExceeded):
            await client.ask(question(max_tokens=100))
        assert service.bodies == []


async def test_a_budget_needs_a_price(tmp_path: Path) -> None:
    settings = ServiceSettings(model="openai-chat:nobody-knows-it")
    check_usable(settings, None)
    with pytest.raises(UsageError, match="price of openai-chat:nobody-knows-it") as caught:
        check_usable(settings, 1.0)
    assert "service.price" in caught.value.hint
    with Ledger.open(tmp_path / "l.sqlite") as ledger, pytest.raises(UsageError, match="price of"):
        await connect(settings, ledger, budget_usd=1.0).__aenter__()


# --- the transport ------------------------------------------------------------------------


async def test_nothing_is_sent_outside_the_ledger(tmp_path: Path) -> None:
    async with serving() as service:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            wires = Wires(lambda limits: httpx2.AsyncClient(limits=limits), 1)
            recording = RecordingTransport(ledger, wires, seconds=1, secret=Secret(CANARY))
            async with httpx2.AsyncClient(transport=recording) as http:
                with pytest.raises(RuntimeError, match="the ledger does not know"):
                    await http.post(service.base_url, json={})
    assert service.bodies == []


async def test_a_full_disk_ends_the_run_before_anything_is_sent(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, ledger, service):
        await client.ask(question())
        ledger._journal.execute("PRAGMA max_page_count = 8").result()
        with pytest.raises(RunError, match="disk is full"):
            await client.ask(question("long " * 20_000))
        assert len(service.bodies) == 1


async def test_a_disk_that_fills_up_during_a_call_ends_the_run(tmp_path: Path) -> None:
    async with connected(tmp_path, says("x" * 200_000)) as (client, ledger, service):
        ledger._journal.execute("PRAGMA max_page_count = 20").result()
        with pytest.raises(RunError, match="disk is full"):
            await client.ask(question())
        assert len(service.bodies) == 1
        assert ledger.spend()[0].in_doubt == 1


async def test_an_answer_that_the_sdk_could_not_be_given_is_not_thrown_away(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path) as (client, ledger, _):
        await client.ask(question())
        client._reading._model = None  # type: ignore[attr-defined]  # stands for a bug before the reply
        with pytest.raises(TypeError):
            await client.ask(question())
        assert ledger.spend()[0].answered == 1


async def test_an_answer_that_was_read_once_is_never_bought_again(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, ledger, service):
        await client.ask(question())
        # Stands for another version of the SDK that no longer understands the stored reply.
        ledger._journal.execute("UPDATE attempts SET reply = ?", (HTML.body,)).result()
        with pytest.raises(RunIncompatible, match="can no longer be read"):
            await client.ask(question())
        assert (len(service.bodies), ledger.spend()[0].answered) == (1, 1)


async def test_a_short_key_may_be_a_word_of_the_reply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    async with connected(tmp_path, says("this is a test")) as (client, _, _s):
        assert (await client.ask(question())).text == "this is a test"


# --- before anything is sent --------------------------------------------------------------


def test_a_missing_key_is_said_with_the_variable_and_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "  ")
    with pytest.raises(KeyMissing, match=r"openai-chat:gpt-4o.*OPENAI_API_KEY") as caught:
        check_key(ServiceSettings())
    assert "export OPENAI_API_KEY=" in caught.value.hint
    assert "--rehearse" in caught.value.hint


def test_a_server_on_loopback_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    for url in ("http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:9/v1"):
        check_key(ServiceSettings(base_url=url))
    with pytest.raises(KeyMissing):
        check_key(ServiceSettings(base_url="http://127.0.0.1.example.com/v1"))


def test_another_provider_never_gets_the_openai_key() -> None:
    with pytest.raises(KeyMissing, match="ANTHROPIC_API_KEY"):
        check_key(ServiceSettings(model="anthropic:claude-test"))


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai-chat:m", "OPENAI_API_KEY"),
        ("anthropic:m", "ANTHROPIC_API_KEY"),
        ("google:m", "GEMINI_API_KEY"),
    ],
)
def test_the_variable_is_the_providers_unless_it_is_named(model: str, variable: str) -> None:
    assert key_variable(ServiceSettings(model=model)) == variable
    assert key_variable(ServiceSettings(model=model, api_key_env="OTHER_KEY")) == "OTHER_KEY"


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(UsageError, match="openai-chat, openai"):
        check_key(ServiceSettings(model="mistral:large", api_key_env="OPENAI_API_KEY"))


@pytest.mark.parametrize("package", ["openai", "pydantic_ai"])
async def test_a_missing_sdk_is_said_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissing) as early:
        check_usable(ServiceSettings(), None)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        client = connect(ServiceSettings(), ledger)
        with pytest.raises(ExtraMissing) as caught:
            await client.__aenter__()
    assert early.value.hint == caught.value.hint == "pip install 'llamaduo[openai]'"


def test_a_package_within_a_missing_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", CANARY)
    monkeypatch.setitem(sys.modules, "google", None)
    monkeypatch.delitem(sys.modules, "google.genai", raising=False)  # from another test
    with pytest.raises(ExtraMissing) as caught:
        check_usable(ServiceSettings(model="google:gemini-2.5-flash"), None)
    assert caught.value.hint == "pip install 'llamaduo[google]'"


def test_what_is_usable_is_found_without_importing_an_sdk() -> None:
    program = (
        "import sys; from llamaduo.service.client import check_usable;"
        "from llamaduo.service.settings import ServiceSettings;"
        "check_usable(ServiceSettings(), 1.0);"
        "sys.exit(bool({'openai', 'pydantic_ai'} & sys.modules.keys()))"
    )
    environment = os.environ | {"PYTHONPATH": "src"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


# --- the key ------------------------------------------------------------------------------


async def test_the_key_is_sent_and_appears_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = error(401, f"Incorrect API key provided: {CANARY}")
    caught: list[LlamaduoError] = []
    async with connected(tmp_path, says(f"you sent {CANARY}"), echo) as (client, ledger, service):
        reply = await client.ask(question())
        try:
            await client.ask(question(sample=1))
        except ServiceRefused as refused:
            caught.append(refused)
        texts = [repr(client), repr(ledger), repr(vars(client)), reply.text, caplog.text]

    assert service.headers[0]["authorization"] == f"Bearer {CANARY}"
    shown: BaseException | None = caught[0]
    while shown is not None:
        texts += [str(shown), repr(shown), repr(vars(shown))]
        shown = shown.__cause__ or shown.__context__
    texts += contents(tmp_path)
    texts += capfd.readouterr()
    assert not [text for text in texts if CANARY in text]
