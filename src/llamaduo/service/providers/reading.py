"""What a reply of `pydantic-ai` says: its text, why it ended, whether it is a refusal."""

from __future__ import annotations

from typing import Any

from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.usage import RequestUsage

from llamaduo.records import FinishReason, Question
from llamaduo.service.parsing import MalformedReply, parse_object

UNREADABLE = (
    AgentRunError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    AssertionError,
)
"""What an SDK may raise over a reply. The caller looks at what the transport saw before it
takes such an error for the reply's fault."""
_MOST_SHOWN = 200
_USAGE = ("usage", "usageMetadata")
_MOST_TOKENS = 10**12


def check(response: ModelResponse, body: bytes) -> None:
    """Find out whether ``response`` is what ``body`` says. SDKs build their objects without a
    look at the types, put a mark for what is not UTF-8, and make an empty reply of anything.

    Token counts that are none are forgotten, which leaves the call unmeasured.

    Raises:
        ValueError: the body is not one strict JSON object, or no reply in it.
    """
    found = parse_object(body.decode())
    texts = [part.content for part in response.parts if isinstance(part, TextPart)]
    if not all(isinstance(text, str) for text in texts):
        raise MalformedReply("its text is no text")
    if not isinstance(response.model_name, str | None):
        raise MalformedReply("the model's name is no text")
    if not response.parts and response.finish_reason is None:
        raise MalformedReply("neither text nor a reason for its end")
    if not all(_are_counts(found.get(name)) for name in _USAGE):
        response.usage = RequestUsage()


def _are_counts(usage: Any) -> bool:
    """Whether all that is called tokens in ``usage`` is a whole number that a call can have."""
    if isinstance(usage, list):
        return all(map(_are_counts, usage))
    if not isinstance(usage, dict):
        return True
    return all(
        _are_counts(value) if isinstance(value, dict | list) else _is_count(name, value)
        for name, value in usage.items()
    )


def _is_count(name: str, value: Any) -> bool:
    if "token" not in name.lower() or value is None:
        return True
    return type(value) is int and 0 <= value <= _MOST_TOKENS


def text_of(response: ModelResponse) -> str:
    """The reply's text as the model wrote it; a refusal's words where there is no other text."""
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    return text or _said(response)


def finish_of(response: ModelResponse) -> FinishReason:
    """``length`` when the reply was cut off at the token limit."""
    return "length" if response.finish_reason == "length" else "stop"


def refusal_of(response: ModelResponse, question: Question) -> str | None:
    """Why ``response`` is no answer and another would be none either; None when it is one.

    A filter that let nothing through. And words of refusal where JSON was asked for: as plain
    text they are the answer that the application would have got, and stay one.
    """
    if response.finish_reason != "content_filter":
        return None
    if text_of(response) and question.schema is None:
        return None
    details = response.provider_details or {}
    names = ("refusal_category", "block_reason", "finish_reason")
    why = next((str(details[name]) for name in names if details.get(name)), "")
    words = " ".join((_said(response) or str(details.get("block_reason_message") or "")).split())
    found = ": ".join(part for part in (why, words[:_MOST_SHOWN]) if part)
    return f"declined by the provider ({found or 'content filter'})"


def _said(response: ModelResponse) -> str:
    return str((response.provider_details or {}).get("refusal") or "")
