"""What each dialect reads, says and refuses, as bodies alone: no HTTP, no client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from llamaduo.records import Message
from llamaduo.rehearsal.asked import Asked, Refusal, Refused
from llamaduo.rehearsal.dialects import DIALECTS
from llamaduo.rehearsal.replies import Draft
from llamaduo.tasks.templates import (
    COMPARISON_SCHEMA,
    PAIRS_SCHEMA,
    compare_messages,
    judge_messages,
    judgement_schema,
    synthesis_messages,
)
from tests.rehearsal.requests import TASK, ticket_pairs

TICKETS = ticket_pairs(3)
IN_ADDRESS = {"google", "google-cloud", "anthropic-vertex", "anthropic-bedrock"}
CLOUD = {"anthropic-vertex", "anthropic-bedrock"}
EACH = pytest.mark.parametrize("dialect", DIALECTS)
SEEDLESS = pytest.mark.parametrize("dialect", ["openai", "anthropic"])


def body(dialect: str, text: str = "Why is the sky blue?", **more: Any) -> dict[str, Any]:
    """The smallest request of ``dialect`` that says ``text``."""
    turns = [{"role": "user", "content": text}]
    if dialect == "openai-chat":
        return {"model": "m", "messages": turns} | more
    if dialect == "openai":
        return {"model": "m", "input": text} | more
    if dialect.startswith("google"):
        return {"contents": [{"role": "user", "parts": [{"text": text}]}]} | more
    asked: dict[str, Any] = {"messages": turns, "max_tokens": 500}
    named = {"anthropic_version": "v"} if dialect in CLOUD else {"model": "m"}
    return asked | named | more


def with_schema(dialect: str, asked: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """``asked`` with a schema whose name, where one is needed, tells nothing."""
    if dialect.startswith("google"):
        json_of = {"responseMimeType": "application/json", "responseJsonSchema": schema}
        return asked | {"generationConfig": json_of}
    return asked | {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def parse(dialect: str, asked: Any, model: str = "m") -> Asked:
    return DIALECTS[dialect].parse(asked, model if dialect in IN_ADDRESS else None)


def text_of(reply: dict[str, Any]) -> str:
    """The text in a reply of any dialect."""
    if "choices" in reply:
        return str(reply["choices"][0]["message"]["content"])
    if "output" in reply:
        return str(reply["output"][0]["content"][0]["text"])
    if "candidates" in reply:
        return str(reply["candidates"][0]["content"]["parts"][0]["text"])
    return str(reply["content"][0]["text"])


# --- what is asked ----------------------------------------------------------------------------


@EACH
def test_a_request_is_the_same_in_every_dialect(dialect: str) -> None:
    asked = parse(dialect, body(dialect))
    assert (asked.model, asked.shape) == ("m", None)
    assert asked.messages == (Message("user", "Why is the sky blue?"),)


@EACH
def test_key_order_does_not_matter_and_all_else_does(dialect: str) -> None:
    asked = body(dialect)
    digest = parse(dialect, asked).digest
    assert parse(dialect, dict(reversed(asked.items()))).digest == digest
    assert parse(dialect, body(dialect, "Why is the sky red?")).digest != digest
    assert parse(dialect, asked | {"x": 1}).digest != digest


@pytest.mark.parametrize("dialect", sorted(IN_ADDRESS))
def test_the_model_in_the_address_is_part_of_what_is_asked(dialect: str) -> None:
    one, other = parse(dialect, body(dialect), "a"), parse(dialect, body(dialect), "b")
    assert (one.model, other.model) == ("a", "b")
    assert one.digest != other.digest


@SEEDLESS
def test_without_a_seed_what_means_nothing_still_gets_another_reply(dialect: str) -> None:
    text = " ".join(f"word{n}" for n in range(60))

    def answer(**more: Any) -> str:
        return text_of(DIALECTS[dialect].answer(body(dialect, text, **more))[0])

    assert answer() == answer()
    assert len({answer(metadata={"user_id": str(n)}) for n in range(5)}) == 5


SYSTEM = [
    ("openai-chat", {"messages": [{"role": "developer", "content": "Be brief."}]}),
    ("openai", {"instructions": "Be brief."}),
    ("openai", {"input": [{"role": "developer", "content": "Be brief."}]}),
    ("anthropic", {"system": "Be brief."}),
    (
        "anthropic",
        {"system": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
    ),
    ("google", {"systemInstruction": {"parts": [{"text": "Be brief."}]}}),
]


@pytest.mark.parametrize(("dialect", "more"), SYSTEM)
def test_the_system_prompt_comes_first(dialect: str, more: dict[str, Any]) -> None:
    assert parse(dialect, body(dialect, **more)).messages[0] == Message("system", "Be brief.")


LIMITS = [
    ("openai-chat", {"max_completion_tokens": 20}),
    ("openai", {"max_output_tokens": 20}),
    ("anthropic", {"max_tokens": 20}),
    ("google", {"generationConfig": {"maxOutputTokens": 20}}),
]


@pytest.mark.parametrize(("dialect", "more"), LIMITS)
def test_the_token_limit(dialect: str, more: dict[str, Any]) -> None:
    assert parse(dialect, body(dialect, **more)).token_limit == 20


@pytest.mark.parametrize("dialect", ["anthropic", "anthropic-bedrock", "google"])
def test_a_schema_without_a_name_is_known_by_its_fields(dialect: str) -> None:
    judging = judge_messages(TASK, TICKETS[0], "bug, low")[-1].content
    writing = synthesis_messages(TASK, TICKETS, 2)[-1].content
    comparing = compare_messages(TASK, TICKETS[0], "bug, low", "bug, high")[-1].content
    marks = parse(dialect, with_schema(dialect, body(dialect, judging), judgement_schema()))
    pairs = parse(dialect, with_schema(dialect, body(dialect, writing), PAIRS_SCHEMA))
    choice = parse(dialect, with_schema(dialect, body(dialect, comparing), COMPARISON_SCHEMA))
    other = parse(dialect, with_schema(dialect, body(dialect), {"type": "object"}))
    assert (marks.shape, pairs.shape, other.shape) == ("judgement", "pairs", None)
    assert choice.shape == "comparison"


@EACH
def test_judgements_and_comparisons_without_a_schema(dialect: str) -> None:
    rubrics = {"tone": "100 is friendly, 0 is rude."}
    judging = judge_messages(TASK, TICKETS[0], "bug, low", rubrics)[-1].content
    comparing = compare_messages(TASK, TICKETS[0], "bug, low", "bug, high")[-1].content
    marks, _ = DIALECTS[dialect].answer(body(dialect, judging), "m")
    choice, _ = DIALECTS[dialect].answer(body(dialect, comparing), "m")
    wanted = judgement_schema(("similarity", "precision", "tone"))
    Draft202012Validator(wanted).validate(json.loads(text_of(marks)))
    Draft202012Validator(COMPARISON_SCHEMA).validate(json.loads(text_of(choice)))


@EACH
def test_without_a_schema_the_data_in_the_prompt_tells(dialect: str) -> None:
    writing = synthesis_messages(TASK, TICKETS, 2)[-1].content
    reply, status = DIALECTS[dialect].answer(body(dialect, writing), "m")
    assert status == 200
    Draft202012Validator(PAIRS_SCHEMA).validate(json.loads(text_of(reply)))


# --- what is refused ----------------------------------------------------------------------------

WRONG = [
    ("openai", {"input": []}, "input"),
    ("openai", {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0]"),
    ("openai", {"input": [{"type": "function_call_output", "call_id": "1"}]}, "input[0]"),
    ("openai", {"max_output_tokens": 15}, "max_output_tokens"),
    ("openai", {"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format"),
    ("openai", {"metadata": {"a": 1}}, "metadata.a"),
    ("openai", {"stream": True}, "stream"),
    ("openai", {"previous_response_id": "resp_1"}, "previous_response_id"),
    ("openai", {"tools": [{"type": "web_search"}]}, "tools"),
    ("anthropic", {"max_tokens": None}, "max_tokens"),
    ("anthropic", {"max_tokens": 0}, "max_tokens"),
    ("anthropic", {"model": ""}, "model"),
    ("anthropic", {"temperature": 1.5}, "temperature"),
    ("anthropic", {"messages": [{"role": "system", "content": "x"}]}, "messages[0].role"),
    ("anthropic", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0]"),
    ("anthropic", {"output_config": {"format": {"type": "json_schema"}}}, "output_config.format"),
    ("anthropic", {"tools": [{"name": "t"}]}, "tools"),
    ("anthropic-vertex", {"anthropic_version": None}, "anthropic_version"),
    ("anthropic-bedrock", {"anthropic_version": None}, "anthropic_version"),
    ("google", {"contents": []}, "contents"),
    ("google", {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "contents[0].role"),
    ("google", {"contents": [{"parts": [{"inlineData": {}}]}]}, "contents[0].parts[0].text"),
    ("google", {"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
    ("google", {"generationConfig": {"responseSchema": {"type": "OBJECT"}}}, "generationConfig"),
    ("google", {"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
    ("google", {"tools": [{"googleSearch": {}}]}, "tools"),
]


@pytest.mark.parametrize(("dialect", "wrong", "field"), WRONG)
def test_a_wrong_request_is_refused_by_its_field(
    dialect: str, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as caught:
        parse(dialect, body(dialect) | wrong)
    assert caught.value.refusal.status == 400
    assert caught.value.refusal.field.startswith(field)


@EACH
@pytest.mark.parametrize("wrong", [None, [], "text", 1, {}])
def test_what_is_no_request_at_all_is_refused(dialect: str, wrong: object) -> None:
    reply, status = DIALECTS[dialect].answer(wrong, "m")
    assert status == 400
    assert "error" in reply or dialect == "anthropic-bedrock"


def error(dialect: str, status: int, **more: Any) -> dict[str, Any]:
    return DIALECTS[dialect].refuse(Refusal(status=status, message="No.", **more))


@pytest.mark.parametrize("dialect", ["openai-chat", "openai"])
def test_openai_s_errors(dialect: str) -> None:
    fields = {"message": "No.", "param": None, "code": None}
    assert error(dialect, 400) == {"error": fields | {"type": "invalid_request_error"}}
    assert error(dialect, 503) == {"error": fields | {"type": "server_error"}}
    spent = error(dialect, 429, code="insufficient_quota")["error"]
    assert (spent["type"], spent["code"]) == ("insufficient_quota", "insufficient_quota")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_anthropic_s_errors(status: int, kind: str) -> None:
    assert error("anthropic", status) == {
        "type": "error",
        "error": {"type": kind, "message": "No."},
        "request_id": "req_rehearsed",
    }


def test_google_s_errors_say_which_field_and_how_long_to_wait() -> None:
    assert error("google", 429, retry_seconds=12.5) == {
        "error": {
            "code": 429,
            "message": "No.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}
            ],
        }
    }
    (blamed,) = error("google", 400, field="contents")["error"]["details"]
    assert blamed["fieldViolations"] == [{"field": "contents", "description": "No."}]


def test_in_the_clouds_errors_are_the_clouds() -> None:
    assert error("anthropic-vertex", 429)["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert error("anthropic-vertex", 400)["error"]["type"] == "invalid_request_error"
    assert error("anthropic-bedrock", 429) == {"message": "No."}


# --- what is said -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "place", "whole", "cut", "refused"),
    [
        ("openai-chat", "choices.0.finish_reason", "stop", "length", "stop"),
        ("openai", "status", "completed", "incomplete", "completed"),
        ("anthropic", "stop_reason", "end_turn", "max_tokens", "refusal"),
        ("google", "candidates.0.finishReason", "STOP", "MAX_TOKENS", "SAFETY"),
    ],
)
def test_why_a_reply_ended(dialect: str, place: str, whole: str, cut: str, refused: str) -> None:
    asked = parse(dialect, body(dialect))

    def reason(draft: Draft) -> Any:
        value: Any = DIALECTS[dialect].render(asked, draft)
        for step in place.split("."):
            value = value[int(step)] if step.isdigit() else value[step]
        return value

    assert reason(Draft("Air.")) == whole
    assert reason(Draft("Ai", "length")) == cut
    assert reason(Draft("I will not.", "refusal")) == refused


def test_what_the_filter_stops_has_no_text_and_says_why() -> None:
    said = {
        name: dialect.render(parse(name, body(name)), Draft("", "blocked"))
        for name, dialect in DIALECTS.items()
    }
    assert said["openai-chat"]["choices"][0]["finish_reason"] == "content_filter"
    assert said["openai"]["incomplete_details"] == {"reason": "content_filter"}
    assert said["openai"]["output"] == []
    assert (said["anthropic"]["stop_reason"], said["anthropic"]["content"]) == ("refusal", [])
    assert said["google"]["promptFeedback"] == {"blockReason": "SAFETY"}
    assert "candidates" not in said["google"]


def test_a_refusal_has_its_own_place_in_every_reply() -> None:
    said = {
        name: dialect.render(parse(name, body(name)), Draft("I will not.", "refusal"))
        for name, dialect in DIALECTS.items()
    }
    chosen = said["openai-chat"]["choices"][0]["message"]
    assert (chosen["refusal"], chosen["content"]) == ("I will not.", None)
    part = said["openai"]["output"][0]["content"][0]
    assert part == {"type": "refusal", "refusal": "I will not."}
    assert said["anthropic"]["content"] == []
    assert said["anthropic"]["stop_details"]["explanation"] == "I will not."
    assert "content" not in said["google"]["candidates"][0]
    assert "candidatesTokenCount" not in said["google"]["usageMetadata"]


@EACH
def test_a_reply_can_be_sent_as_utf_8(dialect: str) -> None:
    reply, status = DIALECTS[dialect].answer(body(dialect, "one \ud800 two"), "m")
    assert status == 200
    assert json.dumps(reply, ensure_ascii=False).encode()
