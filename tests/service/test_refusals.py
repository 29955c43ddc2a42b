"""What an error reply is about, in the shapes that providers send."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.ledger import RawReply
from llamaduo.service.refusals import complaint, is_about_the_question, what_to_do


def raw(status: int, body: bytes = b"") -> RawReply:
    return RawReply(status, "application/json", body)


def openai(http: int, message: str = "m", **fields: Any) -> RawReply:
    return raw(http, json.dumps({"error": {"message": message, **fields}}).encode())


GOOGLE_KEY = {
    "code": 400,
    "message": "API key not valid.",
    "status": "INVALID_ARGUMENT",
    "details": [{"reason": "API_KEY_INVALID"}],
}
VLLM = {"object": "error", "message": "maximum context length", "param": None, "code": 400}
TOO_LONG = {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}


@pytest.mark.parametrize(
    "reply",
    [
        openai(400, code="context_length_exceeded", param="messages"),
        openai(400, code="content_filter", param="prompt"),
        openai(400, code="invalid_prompt"),
        openai(400, code="string_above_max_length", param="messages[0].content"),
        openai(400, code="context_length_exceeded", param="max_tokens"),
        openai(400, "max_tokens is too large for the context length", param="max_tokens"),
        openai(400, code="x", innererror={"code": "ResponsibleAIPolicyViolation"}),
        raw(400, json.dumps(VLLM).encode()),
        raw(400, json.dumps(TOO_LONG).encode()),
        raw(413, b"<h1>413 Request Entity Too Large</h1>"),
        raw(422, b'{"detail": "unprocessable"}'),
        raw(400),
    ],
)
def test_these_cost_one_question(reply: RawReply) -> None:
    assert is_about_the_question(reply)
    assert "request itself" in what_to_do(reply, "m", "KEY")


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (openai(400, code="model_not_found"), "takes the settings"),
        (openai(400, code="unsupported_parameter", param="temperature"), "takes the settings"),
        (openai(400, code="unsupported_value", param="messages[0].role"), "takes the settings"),
        (openai(400, param="text.format.schema"), "takes the settings"),
        (openai(400, param="response_format"), "takes the settings"),
        (openai(400, code="invalid_value", param="max_tokens"), "takes the settings"),
        (openai(400, code="invalid_api_key"), "key in KEY"),
        (raw(400, json.dumps({"error": GOOGLE_KEY}).encode()), "key in KEY"),
        (raw(400, json.dumps([{"error": GOOGLE_KEY}]).encode()), "key in KEY"),
        (openai(400, status="FAILED_PRECONDITION"), "takes the settings"),
        (openai(400, "Your credit balance is too low."), "Add credit"),
        (openai(400, code="billing_hard_limit_reached"), "Add credit"),
        (openai(401), "key in KEY"),
        (openai(403), "may use m"),
        (openai(404), "model name"),
    ],
)
def test_these_would_meet_every_question(reply: RawReply, hint: str) -> None:
    assert not is_about_the_question(reply)
    assert hint in what_to_do(reply, "m", "KEY")


@given(
    st.binary()
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps(
            {"error": {"code": value, "details": value, "param": value}}
        ).encode()
    )
)
def test_any_body_can_be_looked_at(body: bytes) -> None:
    is_about_the_question(raw(400, body))
    what_to_do(raw(400, body), "m", "KEY")
    said = complaint(raw(500, body))
    assert len(said) <= 300
    assert not said or said.isprintable()


def test_a_long_body_is_looked_at_in_linear_time() -> None:
    began = perf_counter()
    complaint(raw(500, b"<" * 1_000_000))
    assert perf_counter() - began < 5


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "no such model", "code": "x"}}', "no such model"),
        (b'{"error": "plain"}', "plain"),
        (b'{"message": "top"}', "top"),
        (b'{"detail": "FastAPI"}', '{"detail": "FastAPI"}'),
        (b"<h1>502</h1>\n<p>Bad\x1b[31m Gateway</p>", "502 Bad [31m Gateway"),
        (b"[1]", "[1]"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 100_000, "[" * 299 + "…"),
        (b"", ""),
    ],
)
def test_what_a_server_says_is_found_and_made_printable(body: bytes, message: str) -> None:
    assert complaint(raw(500, body)) == message
