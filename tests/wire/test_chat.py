"""Chat completions on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from llamaduo.wire.chat import ChatChunk, ChatRequest, ChunkChoice, request_error


def body(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Hello"}]} | more


def test_a_request_keeps_fields_that_are_not_named() -> None:
    request = ChatRequest.model_validate(body(user="u1", logit_bias={"1": 2}))
    assert request.model_dump(exclude_unset=True) == body(user="u1", logit_bias={"1": 2})


def test_content_may_come_in_parts() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    request = ChatRequest.model_validate(body(messages=[{"role": "user", "content": parts}]))
    assert request.messages[0].text == "Hello"


def test_the_shape_is_the_name_of_the_schema() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "pairs", "schema": {}, "strict": True}}
    assert ChatRequest.model_validate(body(response_format=wanted)).shape == "pairs"
    assert ChatRequest.model_validate(body(response_format={"type": "text"})).shape is None
    assert ChatRequest.model_validate(body()).shape is None


def test_the_newer_name_of_the_token_limit_wins() -> None:
    request = ChatRequest.model_validate(body(max_tokens=10, max_completion_tokens=7))
    assert request.token_limit == 7


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        (body(messages=[]), "messages"),
        (body(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), "messages[0]"),
        (body(temperature=3), "temperature"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, "model"),
        ([], None),
    ],
    ids=["no messages", "an image", "temperature", "no model", "not an object"],
)
def test_a_wrong_request_is_explained_by_its_field(wrong: Any, param: str | None) -> None:
    with pytest.raises(ValidationError) as caught:
        ChatRequest.model_validate(wrong)
    error = request_error(caught.value).error
    assert error.type == "invalid_request_error"
    assert error.param is None if param is None else (error.param or "").startswith(param)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        (body(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), "[0].type"),
        (body(messages=[{"role": "user", "content": 7}]), "messages[0].content"),
        (body(stop=["a", 7]), "stop[1]"),
        (body(stop=7), "stop"),
    ],
)
def test_of_several_types_the_one_that_is_nearest_is_explained(wrong: Any, param: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ChatRequest.model_validate(wrong)
    assert (request_error(caught.value).error.param or "").endswith(param)


def test_a_schema_comes_under_its_own_name() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
    asked = ChatRequest.model_validate(body(response_format=wanted))
    assert asked.response_format is not None
    assert asked.response_format.json_schema is not None
    assert asked.response_format.json_schema.definition == {"type": "object"}


def test_a_chunk_has_what_clients_read() -> None:
    chunk = ChatChunk(
        id="c", created=1, model="m", choices=[ChunkChoice(index=0, delta={"content": "a"})]
    )
    assert chunk.model_dump(exclude={"usage"}) == {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
    }
