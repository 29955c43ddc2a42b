"""The service as a process: real HTTP over loopback, its record, its beginning and its end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llamaduo.errors import ServiceUnavailable
from llamaduo.rehearsal.app import rehearsal_app
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.rehearsal.record import Record
from tests.rehearsal.requests import body, judge_body, synthesis_body, ticket_pairs

TICKETS = ticket_pairs(3)


@pytest.fixture(scope="module")
def service() -> Iterator[httpx2.Client]:
    with running_rehearsal() as base_url, httpx2.Client(base_url=base_url) as client:
        yield client


def knock(url: str, times: int) -> None:
    for _ in range(times):
        httpx2.get(f"{url}/models", headers={"Connection": "close"})


def complete(service: httpx2.Client, asked: dict[str, Any]) -> dict[str, Any]:
    response = service.post("/chat/completions", json=asked)
    assert response.status_code == 200, response.text
    value: dict[str, Any] = response.json()
    return value


def test_a_completion_says_that_a_program_wrote_it(service: httpx2.Client) -> None:
    value = complete(service, body(TICKETS[0].messages))
    assert value["object"] == "chat.completion"
    assert value["model"] == "llamaduo-rehearsal-1 (a program, not a language model)"
    assert value["choices"][0]["finish_reason"] == "stop"
    assert value["choices"][0]["message"]["role"] == "assistant"


def test_usage_is_a_quarter_of_the_characters(service: httpx2.Client) -> None:
    value = complete(service, body(TICKETS[0].messages))
    read = sum(4 + -(-len(m.content) // 4) for m in TICKETS[0].messages)
    written = -(-len(value["choices"][0]["message"]["content"]) // 4)
    assert value["usage"] == {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


@pytest.mark.parametrize(
    "asked",
    [body(TICKETS[0].messages), judge_body(TICKETS[0], "bug, low"), synthesis_body(TICKETS, 5)],
    ids=["answer", "judge", "synthesize"],
)
def test_another_process_gives_the_same_reply(
    service: httpx2.Client, asked: dict[str, Any]
) -> None:
    first = complete(service, asked)
    complete(service, body(TICKETS[1].messages))  # what happened before does not matter
    with running_rehearsal() as base_url:
        second = httpx2.post(f"{base_url}/chat/completions", json=asked).json()
    assert first == second


def test_it_names_its_model_and_is_well(service: httpx2.Client) -> None:
    assert service.get("/models").json()["data"][0]["id"] == "llamaduo-rehearsal-1"
    assert service.get(str(service.base_url.join("/health"))).json()["status"] == "ok"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (body(TICKETS[0].messages, stream=True), "stream"),
        (body(TICKETS[0].messages, n=2), "n"),
        (body(TICKETS[0].messages, tools=[{"type": "function"}]), "tools"),
        (body(TICKETS[0].messages, "pairs"), "messages"),
        ({"model": "m"}, "messages"),
    ],
)
def test_what_it_does_not_serve_it_refuses_in_the_api_s_shape(
    service: httpx2.Client, asked: dict[str, Any], param: str
) -> None:
    response = service.post("/chat/completions", json=asked)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert error["message"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(service: httpx2.Client, content: bytes) -> None:
    response = service.post("/chat/completions", content=content)
    assert response.status_code == 400
    assert "not JSON" in response.json()["error"]["message"]


def test_unknown_paths_and_methods_have_the_api_s_error_shape(service: httpx2.Client) -> None:
    assert service.get("/nothing").json()["error"]["message"].startswith("Not Found")
    assert service.get("/chat/completions").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fmine/invoke",
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude%40a:rawPredict",
    ],
)
def test_a_model_s_name_in_an_address_may_hold_anything(service: httpx2.Client, path: str) -> None:
    asked = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    url = str(service.base_url.join(path))
    assert service.post(url, json=asked | {"anthropic_version": "v"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        ("/v1/messages/nothing", {"anthropic-version": "v"}, "request_id"),
        ("/model/m/converse", {}, "message"),
        ("/v1beta/models/m:streamGenerateContent", {}, "error"),
        ("/v1/nothing", {}, "error"),
    ],
)
def test_what_is_not_there_is_said_in_the_dialect_of_who_asks(
    service: httpx2.Client, path: str, headers: dict[str, str], field: str
) -> None:
    response = service.post(str(service.base_url.join(path)), json={}, headers=headers)
    assert response.status_code in {404, 405}
    assert field in response.json()
    assert "/v1/chat/completions" in response.text


def test_only_loopback_names_are_answered(service: httpx2.Client) -> None:
    response = service.get("/models", headers={"Host": "example.com"})
    assert response.status_code == 400


def test_the_record_has_each_request_before_and_after(tmp_path: Path) -> None:
    record = tmp_path / "asked.jsonl"
    with running_rehearsal(record) as base_url, httpx2.Client(base_url=base_url) as client:
        complete(client, judge_body(TICKETS[0], "bug, low"))
        client.post("/chat/completions", json=body(TICKETS[0].messages, "pairs"))
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    for shape, status in (("judgement", 200), ("pairs", 400)):
        asked, delivered = [line for line in lines if line["shape"] == shape]
        assert asked["event"] == "asked"
        outcome = {"status": status, "delivered": True, "paid": status == 200}
        assert delivered == asked | outcome | {"event": "delivered", "bytes": delivered["bytes"]}
    assert len(lines) == 4


def test_the_record_is_appended_to(tmp_path: Path) -> None:
    record = tmp_path / "asked.jsonl"
    for _ in range(2):
        with running_rehearsal(record) as base_url:
            httpx2.post(f"{base_url}/chat/completions", json=body(TICKETS[0].messages))
    assert len(record.read_text().splitlines()) == 4


async def test_a_reply_to_a_client_that_left_is_recorded_as_not_delivered(tmp_path: Path) -> None:
    request = json.dumps(body(TICKETS[0].messages)).encode()
    events: list[dict[str, Any]] = [
        {"type": "http.request", "body": request},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(_: Any) -> None:
        pass

    record = Record(tmp_path / "asked.jsonl")
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
    }
    await rehearsal_app(record)(scope, receive, send)
    record.close()
    lines = [json.loads(line) for line in (tmp_path / "asked.jsonl").read_text().splitlines()]
    assert lines[1]["event"] == "delivered"
    assert lines[1]["delivered"] is False


def test_it_ends_with_the_block() -> None:
    with running_rehearsal() as base_url:
        assert httpx2.get(f"{base_url}/models").status_code == 200
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{base_url}/models")


def test_it_ends_when_its_parent_is_killed() -> None:
    script = (
        "import os, signal\n"
        "from llamaduo.rehearsal.process import running_rehearsal\n"
        "with running_rehearsal() as url:\n"
        "    print(url, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", script]
    parent = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=30)
    url = parent.stdout.strip()
    assert url.startswith("http://127.0.0.1:")
    with pytest.raises(httpx2.TransportError):
        knock(url, times=500)


def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "such" / "folder" / "asked.jsonl"
    with (
        pytest.raises(ServiceUnavailable, match="No such file") as caught,
        running_rehearsal(missing),
    ):
        pass
    assert "python -m llamaduo.rehearsal" in caught.value.hint


def test_starting_it_imports_neither_torch_nor_a_provider_sdk() -> None:
    script = (
        "import sys, llamaduo.rehearsal.__main__\n"
        "heavy = {'torch', 'transformers', 'openai', 'pydantic_ai', 'numpy'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
