"""Whatever a request gets wrong is a clear error in the API's shape, and nothing else suffers."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.serving.made import ENDLESS, LONG_WINDOW, PROMPT, Running, body, serving


def error_of(reply: httpx2.Response, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    found: dict[str, Any] = reply.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"model": NaN_}',
        json.dumps(body(model="\ud800")).encode(),
    ],
)
def test_a_body_that_is_not_json(server: Running, content: bytes) -> None:
    assert "not JSON" in error_of(server.post(content), 400)["message"]


def part(kind: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": kind} | fields]}]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": part("image_url", image_url={})}, "messages[0].content[1].type"),
        ({"messages": part("input_audio", input_audio={})}, "messages[0].content[1].type"),
        (
            {"messages": [*PROMPT, {"role": "assistant", "content": "", "tool_calls": [{}]}]},
            "messages[1].tool_calls",
        ),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"seed": 0.5}, "seed"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stop": [7]}, "stop[0]"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"functions": [{}]}, "functions"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -0.5}, "frequency_penalty"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"top_k": 5}, "top_k"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_what_has_the_wrong_shape_or_is_not_served_is_named(
    server: Running, fields: dict[str, Any], param: str
) -> None:
    error = error_of(server.post(body(**fields)), 400)
    assert error["param"] == param
    assert error["message"].startswith(param.split("[", maxsplit=1)[0]) or "schema" in param


def test_what_changes_nothing_is_served(server: Running) -> None:
    neutral: dict[str, Any] = {
        "tools": [],
        "tool_choice": "none",
        "logprobs": False,
        "logit_bias": {},
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "modalities": ["text"],
        "response_format": {"type": "text"},
        "functions": None,
    }
    assert server.post(body(**neutral)).status_code == 200


def test_an_unknown_model_is_told_which_ones_there_are(server: Running) -> None:
    error = error_of(server.post(body(model="gpt-4o")), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "'gpt-4o'" in error["message"]
    assert "there is tiny" in error["message"]


def test_a_prompt_that_fills_the_window(server: Running) -> None:
    error = error_of(server.post(body(messages=[{"role": "user", "content": "word " * 300}])), 400)
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
    assert "window of 256" in error["message"]
    tokens = int(error["message"].split()[3])
    assert tokens > 256


def test_a_megabyte_is_refused_while_others_are_served(endless: Path) -> None:
    with serving([endless], batch=2, window=LONG_WINDOW) as running:
        first = {"Content-Type": "application/json"}
        with httpx2.stream(
            "POST",
            f"{running.url}/chat/completions",
            json=body(stream=True, **ENDLESS),
            headers=first,
            timeout=30,
        ) as stream:
            pieces = stream.iter_lines()
            next(pieces)
            for _ in range(3):
                prompt = [{"role": "user", "content": "a b " * 250_000}]
                error = error_of(running.post(body(messages=prompt)), 400)
                assert error["code"] == "context_length_exceeded"
                assert f"window of {LONG_WINDOW}" in error["message"]
                next(pieces)
            assert running.post(body()).status_code == 200


def test_a_body_of_more_than_eight_megabytes(server: Running) -> None:
    error = error_of(server.post(b" " * (9 * 2**20)), 413)
    assert str(8 * 2**20) in error["message"]


def test_a_template_that_refuses_the_roles(tmp_path: Path) -> None:
    from tests.serving.made import WINDOW, merged_bundle
    from tests.tiny_llama import CHAT_TEMPLATE, build_tiny_llama

    base = build_tiny_llama(tmp_path / "base", window=WINDOW)
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    (base / "chat_template.jinja").write_text(strict + CHAT_TEMPLATE)
    with serving([merged_bundle(base, tmp_path / "bundle")]) as running:
        messages = [{"role": "system", "content": "a"}, *PROMPT]
        error = error_of(running.post(body(messages=messages)), 400)
        assert error["param"] == "messages"
        assert "no system" in error["message"]


def test_other_methods_and_paths(server: Running) -> None:
    reply = httpx2.get(f"{server.url}/chat/completions")
    assert "Method Not Allowed" in error_of(reply, 405)["message"]
    assert reply.headers["Allow"] == "POST"
    assert "/v1/chat/completions" in error_of(httpx2.post(f"{server.url}/nothing"), 404)["message"]


def test_half_a_request_is_nobody_s_request(server: Running) -> None:
    port = int(server.root.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
        client.sendall(b"Content-Length: 100\r\n\r\n{")
        time.sleep(0.05)
    assert server.post(body()).status_code == 200
    server.wait_for(running=0, queued=0)
