"""The service misbehaves as it was told to, in the client's eyes and in its own record."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.rehearsal.__main__ import main
from llamaduo.rehearsal.connection import closed_port
from llamaduo.rehearsal.faults import FAULTS, Fault, Plan, Spread, parse_shares, spoiled
from llamaduo.rehearsal.limits import Limiter, read_limit
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.rehearsal.replies import Draft
from tests.rehearsal.requests import judge_body, ticket_pairs
from tests.rehearsal.served import served

PAIR = ticket_pairs(1)[0]
MOST = 0.95
"""The largest share there is. Whether a request is among the rest follows from the seed."""
PATHS = {"openai-chat": "/chat/completions", "openai": "/responses", "anthropic": "/messages"}


def record_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def body(sample: int = 0) -> dict[str, Any]:
    return judge_body(PAIR, "bug, low", sample)


@contextmanager
def misbehaving(
    folder: Path, plan: Plan | None = None, limiter: Limiter | None = None
) -> Iterator[tuple[httpx2.Client, Path]]:
    record = folder / "asked.jsonl"
    with (
        served(record, plan, limiter) as base_url,
        httpx2.Client(base_url=base_url, timeout=0.5, trust_env=False) as client,
    ):
        yield client, record


def outcome(client: httpx2.Client, asked: dict[str, Any]) -> str:
    """What a client sees of its request, in one word."""
    try:
        response = client.post("/chat/completions", json=asked)
    except httpx2.TransportError as error:
        return type(error).__name__
    if response.status_code != 200:
        wait = response.headers.get("retry-after")
        return f"{response.status_code} {wait}" if wait else f"{response.status_code}"
    if response.headers["content-type"].startswith("text/html"):
        return "html"
    assert int(response.headers["content-length"]) == len(response.content)
    try:
        choice = response.json()["choices"][0]
    except ValueError:
        return "truncated"
    return read(choice)


def read(choice: dict[str, Any]) -> str:
    text = choice["message"]["content"]
    if choice["finish_reason"] == "length":
        return "length"
    if not text:
        return "empty"
    value = json.loads(text)
    good = isinstance(value, dict) and [
        type(part.get("score")) for part in value.values() if isinstance(part, dict)
    ] == [int, int]
    return "good" if good else "invalid"


SEEN: dict[Fault, set[str]] = {
    "refused": {"ReadError", "WriteError", "RemoteProtocolError", "ConnectError"},
    "reset": {"ReadError"},
    "hang": {"ReadTimeout"},
    "429": {"429 0.5"},
    "429-bare": {"429"},
    "500": {"500"},
    "503": {"503"},
    "truncated": {"truncated"},
    "invalid": {"invalid"},
    "empty": {"empty"},
    "length": {"length"},
    "html": {"html"},
}
"""All but the drip, of which a client sees the head and single bytes: it is tested by itself."""


@pytest.mark.parametrize(("fault", "seen"), SEEN.items(), ids=SEEN)
def test_a_client_sees_the_fault_and_the_record_says_it(
    tmp_path: Path, fault: Fault, seen: set[str]
) -> None:
    plan = Plan(shares={fault: MOST}, retry_after=0.5)
    with misbehaving(tmp_path, plan) as (client, record):
        outcomes = Counter(outcome(client, body(sample)) for sample in range(6))
    assert set(outcomes) <= seen | {"good"}
    dealt = sum(outcomes[name] for name in seen)
    assert dealt >= 4

    lines = record_of(record)
    if fault == "refused":
        assert sum(line["event"] == "refused" for line in lines) == dealt
        return
    ends = [line for line in lines if line["event"] == "delivered"]
    assert len(ends) == 6
    of_it = [line for line in ends if line.get("fault") == fault]
    assert len(of_it) == dealt
    in_content = fault in {"truncated", "invalid", "empty", "length", "html"}
    assert {line["paid"] for line in of_it} == {in_content or fault == "reset"}
    assert {line["delivered"] for line in of_it} == {fault not in {"reset", "hang"}}


def test_a_drip_is_one_byte_at_a_time(tmp_path: Path) -> None:
    """A client that waits for the next byte only, as most do, would wait for minutes."""
    with (
        misbehaving(tmp_path, Plan(shares={"drip": MOST}, drip=0.01)) as (client, record),
        client.stream("POST", "/chat/completions", json=body()) as response,
    ):
        chunks = [chunk for chunk, _ in zip(response.iter_raw(), range(5), strict=False)]
    assert sum(map(len, chunks)) < 40
    end = record_of(record)[-1]
    assert (end["fault"], end["delivered"], end["paid"]) == ("drip", False, True)


def test_no_fault_is_dealt_without_a_share(tmp_path: Path) -> None:
    with misbehaving(tmp_path) as (client, record):
        assert {outcome(client, body(sample)) for sample in range(4)} == {"good"}
    assert not any("fault" in line for line in record_of(record))


def test_faults_follow_from_body_and_attempt_alone(tmp_path: Path) -> None:
    plan = Plan(shares={"503": 0.3, "empty": 0.3}, seed=7)
    seen = []
    for order in (range(6), reversed(range(6))):
        with misbehaving(tmp_path, plan) as (client, _):
            found = {s: [outcome(client, body(s)) for _ in range(3)] for s in order}
        seen.append(found)
    assert seen[0] == seen[1]
    assert len({tuple(outcomes) for outcomes in seen[0].values()}) > 1


def test_the_record_counts_the_requests_with_one_body(tmp_path: Path) -> None:
    with misbehaving(tmp_path) as (client, record):
        for sample in (0, 1, 0):
            outcome(client, body(sample))
    asked = [line["attempt"] for line in record_of(record) if line["event"] == "asked"]
    assert asked == [1, 1, 2]


@pytest.mark.parametrize("dialect", PATHS)
def test_overloaded_is_said_in_the_dialect(tmp_path: Path, dialect: str) -> None:
    asked = {"model": "m", "max_tokens": 100}
    messages = [{"role": "user", "content": "hello"}]
    asked |= {"input": messages} if dialect == "openai" else {"messages": messages}
    with misbehaving(tmp_path, Plan(shares={"503": MOST})) as (client, _):
        response = client.post(PATHS[dialect], json=asked)
    assert response.status_code == (529 if dialect == "anthropic" else 503)
    kind = {"anthropic": "overloaded_error"}.get(dialect, "server_error")
    assert response.json()["error"]["type"] == kind


def test_google_says_in_the_body_how_long_to_wait(tmp_path: Path) -> None:
    asked = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    with misbehaving(tmp_path, Plan(shares={"429": MOST}, retry_after=2)) as (client, _):
        url = client.base_url.join("/v1beta/models/m:generateContent")
        response = client.post(url, json=asked)
    assert response.status_code == 429
    assert "retry-after" not in response.headers
    assert [d.get("retryDelay") for d in response.json()["error"]["details"]] == ["2s"]


def test_latency_is_waited_for(tmp_path: Path) -> None:
    with misbehaving(tmp_path, Plan(latency=Spread(0.8, 0.8))) as (client, _):
        assert outcome(client, body()) == "ReadTimeout"


def test_limits_are_kept_and_said(tmp_path: Path) -> None:
    limiter = read_limit("openai:requests=2,tokens=1000000")
    with misbehaving(tmp_path, limiter=limiter) as (client, record):
        answers = [client.post("/chat/completions", json=body(sample)) for sample in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [a.headers["x-ratelimit-remaining-requests"] for a in answers] == ["1", "0", "0"]
    assert "retry-after" in answers[2].headers
    ends = [line for line in record_of(record) if line["event"] == "delivered"]
    assert [line.get("fault") for line in ends] == [None, None, "limited"]
    assert [line["paid"] for line in ends] == [True, True, False]


@pytest.mark.parametrize(
    "option",
    [
        ("--fault", "nonsense=0.3"),
        ("--fault", "reset"),
        ("--fault", "reset=x"),
        ("--fault", "reset=nan"),
        ("--fault", "reset=-0.1"),
        ("--fault", "reset=0.99"),
        ("--latency", "2:1"),
        ("--latency", "nan"),
        ("--latency", "slow"),
        ("--limit", "openai:requests=none"),
    ],
    ids="=".join,
)
def test_a_behaviour_that_has_no_meaning_is_said(
    option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*option])
    assert "error:" in capsys.readouterr().err


def test_the_command_line_says_how_the_process_behaves(tmp_path: Path) -> None:
    record = tmp_path / "asked.jsonl"
    options = ["--fault", f"503={MOST}", "--fault", "429=0", "--latency", "0:0.01", "--seed", "1"]
    with (
        running_rehearsal(record, options=[*options, "--limit", "gemini:requests=9"]) as base_url,
        httpx2.Client(base_url=base_url, trust_env=False) as client,
    ):
        seen = Counter(outcome(client, body(sample)) for sample in range(4))
    assert seen["503"] >= 2
    assert len(record_of(record)) == 8


def test_nobody_listens_at_a_closed_port() -> None:
    with (
        closed_port() as port,
        pytest.raises(ConnectionRefusedError),
        socket.create_connection(("127.0.0.1", port), timeout=5),
    ):
        pass


# --- arithmetic ---------------------------------------------------------------------------


ALL = dict.fromkeys(FAULTS, 0.3 / len(FAULTS))


@pytest.mark.parametrize(
    "shares", [{"reset": 0.3}, {"refused": 0.2, "503": 0.1, "html": 0.3}, ALL], ids=len
)
def test_each_fault_gets_its_share_of_all_requests(shares: dict[Fault, float]) -> None:
    plan, dealt, connections, count = Plan(shares=shares), Counter[str](), 0, 20_000
    for number in range(count):
        if plan.refuses(connections := connections + 1):
            dealt["refused"] += 1
        else:
            dealt[plan.deal(str(number), 1) or ""] += 1
    for fault, share in shares.items():
        assert dealt[fault] / count == pytest.approx(share, abs=0.012)
    assert dealt[""] / count == pytest.approx(1 - sum(shares.values()), abs=0.012)


@given(st.floats(0, 3600), st.floats(0, 3600), st.text(max_size=8), st.integers(1, 9))
def test_latency_stays_between_its_bounds(a: float, b: float, digest: str, attempt: int) -> None:
    spread = Spread(min(a, b), max(a, b))
    seconds = Plan(latency=spread).seconds(digest, attempt)
    assert spread.least <= seconds <= spread.most


def test_a_latency_is_a_number_or_a_range() -> None:
    assert Spread.parse("0.5") == Spread(0.5, 0.5)
    assert Spread.parse("0.02:0.2") == Spread(0.02, 0.2)


def test_shares_are_read_once_for_each_fault() -> None:
    assert parse_shares(["reset=0.1", "503=0.2"]) == {"reset": 0.1, "503": 0.2}
    with pytest.raises(ValueError, match="once"):
        parse_shares(["reset=0.1", "reset=0.2"])


@given(st.text(), st.text(min_size=1))
def test_content_of_no_use_is_told_from_its_request_alone(text: str, digest: str) -> None:
    draft = Draft(text)
    assert spoiled(draft, "empty", "judgement", digest) == Draft("")
    assert spoiled(draft, "length", "judgement", digest) == Draft(text[: len(text) // 2], "length")
    assert spoiled(draft, "invalid", None, digest) == draft
    invalid = spoiled(draft, "invalid", "judgement", digest)
    assert invalid == spoiled(draft, "invalid", "judgement", digest)
    json.loads(invalid.text)
