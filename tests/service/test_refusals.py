"""What an error reply is about, in the shapes that providers send."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.ledger import RawReply
from llamaduo.service.refusals import (
    complaint,
    is_about_money,
    is_about_the_question,
    what_to_do,
)
from llamaduo.service.retry import is_transient


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
    assert "request itself" in what_to_do(reply, "m", "the key in KEY")


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (openai(400, code="model_not_found"), "takes the settings"),
        (openai(400, code="unsupported_parameter", param="temperature"), "takes the settings"),
        (openai(400, code="unsupported_value", param="messages[0].role"), "takes the settings"),
        (openai(400, param="text.format.schema"), "service.structured"),
        (openai(400, param="response_format"), "service.structured"),
        (openai(400, "'response_format.type' must be 'json_object'"), "service.structured"),
        (raw(400, b'{"error": "json_schema is not supported"}'), "service.structured"),
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
    assert hint in what_to_do(reply, "m", "the key in KEY")


def anthropic(http: int, kind: str, message: str) -> RawReply:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return raw(http, json.dumps(body).encode())


def google(http: int, status: str, message: str, *details: dict[str, Any]) -> RawReply:
    error = {"code": http, "message": message, "status": status, "details": list(details)}
    return raw(http, json.dumps({"error": error}).encode())


def exhausted(quota: str, value: str = "15") -> RawReply:
    violation = {"quotaMetric": "g/requests", "quotaId": quota, "quotaValue": value}
    failure = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s"}
    message = "You exceeded your current quota, please check your plan and billing details."
    return google(429, "RESOURCE_EXHAUSTED", message, failure, delay)


@pytest.mark.parametrize(
    "reply",
    [
        openai(429, code="insufficient_quota", type="insufficient_quota"),
        openai(429, type="insufficient_quota"),
        anthropic(400, "invalid_request_error", "Your credit balance is too low to access the API"),
        anthropic(
            400, "invalid_request_error", "You have reached your specified API usage limits."
        ),
        anthropic(403, "billing_error", "Check your billing."),
        exhausted("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
        exhausted("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "0"),
        google(429, "RESOURCE_EXHAUSTED", "* Quota exceeded for metric: x, limit: 0, model: y"),
        google(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
        google(429, "RESOURCE_EXHAUSTED", "Your project has exceeded its monthly spending cap."),
    ],
)
def test_an_account_that_is_used_up_ends_the_run(reply: RawReply) -> None:
    assert is_about_money(reply)
    assert not is_transient(reply)
    assert not is_about_the_question(reply)
    assert "Add credit" in what_to_do(reply, "m", "KEY")


@pytest.mark.parametrize(
    "reply",
    [
        exhausted("GenerateRequestsPerMinutePerProjectPerModel"),
        google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        google(429, "RESOURCE_EXHAUSTED", "* Quota exceeded for metric: x, limit: 05, model: y"),
        google(503, "UNAVAILABLE", "The model is overloaded."),
        openai(429, code="rate_limit_exceeded", type="tokens"),
        anthropic(429, "rate_limit_error", "This would exceed your organization's rate limit"),
        anthropic(529, "overloaded_error", "Overloaded"),
        raw(408), raw(409), raw(425), raw(500), raw(502), raw(504),
    ],
)  # fmt: skip
def test_a_limit_that_passes_does_not(reply: RawReply) -> None:
    assert is_transient(reply)


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (anthropic(401, "authentication_error", "invalid x-api-key"), "Check KEY"),
        (google(401, "UNAUTHENTICATED", "Request had invalid credentials."), "Check KEY"),
        (google(403, "PERMISSION_DENIED", "No access."), "may use m"),
        (google(404, "NOT_FOUND", "models/x is not found"), "model name"),
        (
            anthropic(400, "invalid_request_error", "max_tokens: 9000 > 8192, the maximum"),
            "takes the settings",
        ),
        (
            anthropic(400, "invalid_request_error", "`temperature` may only be set to 1"),
            "takes the settings",
        ),
        (
            google(
                400, "INVALID_ARGUMENT", "Invalid value",
                {"fieldViolations": [{"field": "generation_config.response_schema.type"}]},
            ),
            "JSON schemas",
        ),
    ],
)  # fmt: skip
def test_what_other_providers_say_of_the_set_up_ends_the_run(reply: RawReply, hint: str) -> None:
    assert not is_transient(reply)
    assert not is_about_the_question(reply)
    assert hint in what_to_do(reply, "m", "KEY")


@pytest.mark.parametrize(
    "reply",
    [
        anthropic(413, "request_too_large", "Request exceeds the maximum size"),
        anthropic(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000"),
        anthropic(400, "invalid_request_error", "messages: text content must be non-empty"),
        google(400, "INVALID_ARGUMENT", "The input token count exceeds the maximum number"),
    ],
)
def test_what_other_providers_say_of_one_question_costs_that_one(reply: RawReply) -> None:
    assert not is_transient(reply)
    assert is_about_the_question(reply)


@given(
    st.binary()
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps(
            {"error": {"code": value, "details": value, "param": value}}
        ).encode()
    )
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps(
            {"error": {"details": [{"violations": value, "fieldViolations": [{"field": value}]}]}}
        ).encode()
    )
)
def test_any_body_can_be_looked_at(body: bytes) -> None:
    is_about_the_question(raw(400, body))
    what_to_do(raw(400, body), "m", "the key in KEY")
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
