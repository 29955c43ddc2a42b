"""The providers' result lines as the replies that the ordinary APIs would have given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.batch.desk import custom_id, lines_of
from llamaduo.service.batch.outcomes import (
    Outcome,
    anthropic_line,
    google_line,
    openai_line,
    read_lines,
)

LINES: list[tuple[Any, Any, int | None, Any]] = [
    (
        openai_line,
        {"custom_id": "a", "response": {"status_code": 200, "body": {"id": "r"}}, "error": None},
        200,
        {"id": "r"},
    ),
    (
        openai_line,
        {"custom_id": "a", "response": {"status_code": 429, "body": {"error": {"code": "x"}}}},
        429,
        {"error": {"code": "x"}},
    ),
    (openai_line, {"custom_id": "a", "error": {"code": "batch_expired"}}, None, "expired"),
    (openai_line, {"custom_id": "a", "error": {"code": "batch_cancelled"}}, None, "cancelled"),
    (openai_line, {"custom_id": "a", "error": {"code": "odd"}}, 500, {"error": {"code": "odd"}}),
    (
        anthropic_line,
        {"custom_id": "a", "result": {"type": "succeeded", "message": {"id": "msg"}}},
        200,
        {"id": "msg"},
    ),
    (
        anthropic_line,
        {
            "custom_id": "a",
            "result": {
                "type": "errored",
                "error": {"type": "error", "error": {"type": "invalid_request_error"}},
            },
        },
        400,
        {"type": "error", "error": {"type": "invalid_request_error"}},
    ),
    (anthropic_line, {"custom_id": "a", "result": {"type": "expired"}}, None, "expired"),
    (anthropic_line, {"custom_id": "a", "result": {"type": "canceled"}}, None, "canceled"),
    (google_line, {"key": "a", "response": {"candidates": []}}, 200, {"candidates": []}),
    (
        google_line,
        {"key": "a", "error": {"code": 8, "message": "later"}},
        429,
        {"error": {"code": 429, "message": "later", "status": "RESOURCE_EXHAUSTED"}},
    ),
]


@pytest.mark.parametrize(("read", "line", "status", "body"), LINES)
def test_a_line_is_the_reply_or_says_that_there_was_none(
    read: Any, line: Any, status: int | None, body: Any
) -> None:
    outcome = read_lines([json.dumps(line).encode()], read)["a"]
    if status is None:
        assert outcome.raw is None
        assert body in outcome.unrun
    else:
        assert outcome.raw is not None
        assert (outcome.raw.status, json.loads(outcome.raw.body)) == (status, body)


@pytest.mark.parametrize("read", [openai_line, anthropic_line, google_line])
@pytest.mark.parametrize(
    "line", [b"<html>", b"{}", b"[1]", b"null", b'{"custom_id": 3, "key": 3}', b"[" * 100_000]
)
def test_what_is_no_result_line_is_passed_over(read: Any, line: bytes) -> None:
    good = {
        openai_line: {"custom_id": "a", "error": {"code": "batch_expired"}},
        anthropic_line: {"custom_id": "a", "result": {"type": "expired"}},
        google_line: {"key": "a", "response": {}},
    }
    found = read_lines([line, json.dumps(good[read]).encode()], read)
    assert list(found) == ["a"]


@given(st.text())
def test_only_a_line_feed_ends_a_line(text: str) -> None:
    line = json.dumps({"key": "a", "response": {"text": text}}, ensure_ascii=False)
    content = f"{line}\n{line}\n".encode("utf-8", "surrogatepass")
    assert len(lines_of(content)) == 2


@given(st.binary(min_size=32, max_size=32), st.integers(1, 10**9))
def test_an_id_in_a_batch_names_its_attempt_in_what_all_three_allow(
    digest: bytes, attempt: int
) -> None:
    found = custom_id(digest.hex(), attempt)
    assert len(found) <= 64
    assert found.replace("-", "").isalnum()
    assert found != custom_id(digest.hex(), attempt + 1)


def test_an_outcome_without_a_reply_says_why() -> None:
    assert Outcome("a", None, "expired in its batch").raw is None
