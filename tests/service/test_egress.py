"""What leaves: only for hosts that are allowed, only with stand-ins, all of it recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llamaduo.errors import QuestionRefused, UsageError
from llamaduo.records import Message, Pair, Provenance, Question
from llamaduo.redaction.redactor import Redactor, open_redactor, read_redactor
from llamaduo.redaction.settings import Mode, RedactionSettings
from llamaduo.service.calls import open_calls
from llamaduo.service.client import check_usable, connect
from llamaduo.service.egress import Door, EgressRow, is_allowed, read_egress
from llamaduo.service.ledger import Ledger
from llamaduo.service.replay import replaying
from llamaduo.service.settings import ServiceSettings
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import judge_messages, read_data
from tests.canary import CANARY
from tests.service.loopback import Answer, says, serving

PERSONAL = "Write to ada@lovelace.org or +49 30 90182017."


def question(content: str = PERSONAL, **fields: Any) -> Question:
    return Question(stage="judge", messages=(Message("user", content),), about=("p1",), **fields)


def settings(url: str, **fields: Any) -> ServiceSettings:
    return ServiceSettings(model="openai-chat:gpt-test", base_url=url, **fields)


def redactor(tmp_path: Path, mode: Mode = "on") -> Redactor:
    return open_redactor(RedactionSettings(mode=mode), tmp_path / "redaction.jsonl")


# --- hosts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "port", "entry", "allowed"),
    [
        ("api.openai.com", 443, "api.openai.com", True),
        ("API.OpenAI.com", 443, "api.openai.com", True),
        ("api.openai.com.", 443, "API.openai.com", True),
        ("api.openai.com.evil.org", 443, "api.openai.com", False),
        ("evilapi.openai.com", 443, "api.openai.com", False),
        ("openai.com", 443, "api.openai.com", False),
        ("east.openai.azure.com", 443, "*.openai.azure.com", True),
        ("openai.azure.com", 443, "*.openai.azure.com", False),
        ("evilopenai.azure.com", 443, "*.openai.azure.com", False),
        ("llm.acme.org", 8443, "llm.acme.org:8443", True),
        ("llm.acme.org", 443, "llm.acme.org:8443", False),
        ("llm.acme.org", 8443, "llm.acme.org", True),
        ("2001:db8::7", 443, "[2001:db8::7]", True),
        ("2001:db8::7", 8443, "[2001:db8::7]:8443", True),
        ("2001:db8::8", 443, "[2001:db8::7]", False),
    ],
)
def test_hosts_that_are_allowed(host: str, port: int, entry: str, allowed: bool) -> None:
    assert is_allowed(host, port, (entry,)) is allowed


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "x.localhost"])
def test_this_machine_always_is(host: str) -> None:
    assert is_allowed(host, 1234, ())


@pytest.mark.parametrize("entry", ["https://api.openai.com", "api.openai.com/v1", "a b", "*", ""])
def test_what_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="leave http:// and paths out"):
        settings("http://localhost/v1", egress_hosts=(entry,))


def test_another_host_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    other = settings("https://llm.acme.org/v1", egress_hosts=("api.openai.com",))
    with pytest.raises(UsageError, match=r"llm\.acme\.org is not among the hosts") as caught:
        check_usable(other, None)
    assert "egress_hosts" in caught.value.hint
    check_usable(settings("https://llm.acme.org/v1", egress_hosts=("*.acme.org",)), None)


def test_every_request_is_looked_at_wherever_it_comes_from() -> None:
    door = Door(settings("http://localhost/v1", egress_hosts=("api.openai.com",)))
    door.check(httpx2.Request("POST", "https://api.openai.com/v1/batches"))
    with pytest.raises(UsageError, match=r"files\.evil\.org"):
        door.check(httpx2.Request("POST", "https://files.evil.org/v1"))


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    elsewhere = (("location", "http://192.0.2.7/v1"), ("content-type", "text/plain"))
    async with serving(Answer(status=307, body=b"", headers=elsewhere)) as service:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            one = settings(service.base_url, egress_hosts=())
            async with connect(one, ledger) as llm:
                with pytest.raises(Exception, match="307"):
                    await llm.ask(question("hello"))
    assert len(service.paths) == 1
    assert [row.host for row in read_egress(tmp_path / "ledger.sqlite")] == [
        service.base_url.split("/")[2]
    ]


# --- the record -----------------------------------------------------------------------------


async def test_host_bytes_and_pairs_are_recorded(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    async with serving(says("a"), says("b"), says("c")) as service:
        with Ledger.open(path) as ledger:
            async with connect(settings(service.base_url), ledger) as llm:
                await llm.ask(question("one"))
                await llm.ask(question("two"))
                await llm.ask(question("one", sample=1))
    sizes = sum(int(headers["content-length"]) for headers in service.headers)
    host = service.base_url.split("/")[2]
    assert read_egress(path) == (EgressRow(host, 3, 0, sizes, 1),)


def test_nothing_left_where_there_is_no_ledger(tmp_path: Path) -> None:
    assert read_egress(tmp_path / "ledger.sqlite") == ()


# --- redaction ------------------------------------------------------------------------------


async def test_a_question_is_redacted_before_its_key_is_made(tmp_path: Path) -> None:
    redacting = redactor(tmp_path)
    async with serving(says("done")) as service:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            async with connect(settings(service.base_url), ledger, redactor=redacting) as llm:
                reply = await llm.ask(question())
                again = await llm.ask(question())
    assert again.replayed
    assert len(service.bodies) == 1
    (content,) = [message["content"] for message in service.bodies[0]["messages"]]
    assert redacting.restore(content) == PERSONAL
    assert "lovelace" not in content
    raw = (tmp_path / "ledger.sqlite").read_bytes()
    assert b"lovelace" not in raw
    assert b"90182017" not in raw
    assert reply.key == again.key


@pytest.mark.parametrize("secret", ["+49 30 90182017", "ada.m\u00fcller@lovelace.org"])
@pytest.mark.parametrize("frame", ["Hello\n{}", '{{"contact": "Hi\\n{}"}}'])
async def test_what_is_escaped_in_a_judge_prompt_does_not_leave(
    tmp_path: Path, secret: str, frame: str
) -> None:
    """A line break before a number is a letter in JSON; the prompt stays one that can be read."""
    pair = Pair(
        id="p1",
        messages=(Message("user", "Who?"),),
        response="Ada",
        reference_source="human",
        provenance=Provenance(origin="coverage", source="pairs.jsonl:1"),
    )
    answer = frame.format(secret)
    asked = Question(
        stage="judge", messages=judge_messages(TaskSettings(), pair, answer), about=("p1",)
    )
    redacting = redactor(tmp_path)
    async with serving(says("done")) as service:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            async with connect(settings(service.base_url), ledger, redactor=redacting) as llm:
                await llm.ask(asked)
            strict = redactor(tmp_path, "strict")
            async with connect(settings(service.base_url), ledger, redactor=strict) as llm:
                with pytest.raises(QuestionRefused):
                    await llm.ask(asked)
    (body,) = service.bodies
    sent = [Message(one["role"], one["content"]) for one in body["messages"]]
    data = read_data(sent)
    assert data is not None
    assert secret not in data["response"]
    assert redacting.restore(data["response"]) == answer
    assert data["reference"] == "Ada"


async def test_a_replay_derives_the_same_key_from_the_table(tmp_path: Path) -> None:
    ledger_path, table = tmp_path / "ledger.sqlite", tmp_path / "redaction.jsonl"
    async with serving(says("done")) as service:
        one = settings(service.base_url)
        with Ledger.open(ledger_path) as ledger:
            async with connect(one, ledger, redactor=redactor(tmp_path)) as llm:
                reply = await llm.ask(question())
    before = table.read_bytes()
    looking = read_redactor(RedactionSettings(), table)
    with open_calls(ledger_path) as calls:
        async with replaying(one, calls, lambda *_: None, looking) as replay:
            assert (await replay.ask(question())).key == reply.key
    assert table.read_bytes() == before


async def test_strict_refuses_what_turns_up_on_its_way_out(tmp_path: Path) -> None:
    strict = redactor(tmp_path, "strict")
    known = strict.redact("grace@hopper.org")  # as the import did
    async with serving(says("done")) as service:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            async with connect(settings(service.base_url), ledger, redactor=strict) as llm:
                await llm.ask(question(f"Write to {known}."))
                with pytest.raises(QuestionRefused) as caught:
                    await llm.ask(question())
            assert ledger.spend()[0].answered == 1
    assert len(service.bodies) == 1
    assert caught.value.reason.endswith("(1 × email, 1 × phone)")
    assert "p1" in caught.value.message
    assert "lovelace" not in f"{caught.value.message} {caught.value.hint} {caught.value.reason}"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"input": [{"text": "a\nada@lovelace.org"}]}),
        r'{"text": "\u0061da\u0040lovelace.org"}',
        '{"custom_id": "1"}\n{"body": {"content": "ada@lovelace.org"}}\n',
        '--boundary\r\n\r\n{"body": "ada@lovelace.org"}\r\n--boundary--',
        "email=ada@lovelace.org",
    ],
)
def test_strict_looks_at_the_body_once_more(tmp_path: Path, body: str) -> None:
    request = httpx2.Request("POST", "http://localhost/v1", content=body.encode())
    with pytest.raises(QuestionRefused, match="1 × email"):
        Door(settings("http://localhost/v1"), redactor(tmp_path, "strict")).check(request)
    Door(settings("http://localhost/v1"), redactor(tmp_path, "on")).check(request)


async def test_a_request_with_personal_data_is_not_sent_in_strict(tmp_path: Path) -> None:
    """What an SDK adds of its own is seen by the transport alone."""
    strict = redactor(tmp_path, "strict")
    async with serving(says("done")) as service:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            one = settings(service.base_url, options={"openai_user": "ada@lovelace.org"})
            async with connect(one, ledger, redactor=strict) as llm:
                with pytest.raises(QuestionRefused, match="1 × email"):
                    await llm.ask(question("hello"))
            (row,) = ledger.spend()
            assert (row.answered, row.failed, row.in_doubt) == (0, 1, 0)
    assert service.bodies == []
    assert read_egress(tmp_path / "ledger.sqlite") == ()


async def test_off_sends_what_it_is_given(tmp_path: Path) -> None:
    async with serving(says("done")) as service:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            off = redactor(tmp_path, "off")
            async with connect(settings(service.base_url), ledger, redactor=off) as llm:
                await llm.ask(question())
    assert service.bodies[0]["messages"][0]["content"] == PERSONAL
