"""``service.options``: model settings by pydantic-ai's names, held against what the provider
takes before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, cast, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_ai.settings import ModelSettings

from llamaduo.errors import UsageError
from llamaduo.service.settings import ServiceSettings

_OURS = {
    "max_tokens": "service.max_output_tokens",
    "temperature": "judging.temperature and synthesis.temperature",
    "timeout": "service.timeout_seconds",
    "request_timeout": "service.timeout_seconds",
    "first_event_timeout": "service.timeout_seconds",
    "seed": "the ordinal of the sample, which llamaduo sends where the API takes a seed",
    "max_retries": "service.deadline_seconds: llamaduo alone retries",
    "extra_headers": "service.api_key_env for a key; other headers are not sent",
    "stop_sequences": "nothing: a reply that is cut off would be paid for and be of no use",
}
"""What llamaduo sets itself, and what to set instead."""
_NO_TOOLS = "nothing: llamaduo asks for text alone, one call a question"
_UNUSED = frozenset(
    {
        "anthropic_container",
        "anthropic_context_management",
        "anthropic_task_budget",
        "framing_announcement",
        "google_cached_content",
        "openai_background",
        "openai_context_management",
        "openai_conversation_id",
        "openai_native_tools",
        "openai_prediction",
        "openai_previous_response_id",
        "openai_transport",
        "parallel_tool_calls",
        "tool_choice",
    }
)
"""Tools, conversations that the provider keeps, calls that outlive their request."""
_TIERS = frozenset(
    {
        "anthropic_service_tier",
        "anthropic_speed",
        "google_cloud_service_tier",
        "openai_service_tier",
        "service_tier",
    }
)
_DEARER = ("priority", "fast")
"""What a tier is called that costs more than the list price, by which the budget is kept."""
_IN_THE_BODY = frozenset(
    {
        "best_of",
        "contents",
        "generation_config",
        "generationconfig",
        "input",
        "instructions",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "output_config",
        "response_format",
        "seed",
        "service_tier",
        "speed",
        "stream",
        "system",
        "temperature",
        "text",
        "tools",
    }
)
"""Fields of a request that ``extra_body`` must leave alone: what is asked, and its price."""


def check_options(settings: ServiceSettings, taken: type) -> ModelSettings:
    """``settings.options`` as they go with every call. ``taken`` is the provider's TypedDict.

    Raises:
        UsageError: an option that it has no name for, that llamaduo sets itself, or whose value
            it does not take; all of them in one message.
    """
    known = get_type_hints(taken, include_extras=True)
    problems = [
        problem
        for name, value in settings.options.items()
        if (problem := _problem(settings, name, value, known))
    ]
    if problems:
        raise UsageError(
            f"service.options of {settings.model}: {'; '.join(problems)}.",
            hint=f"It takes: {', '.join(sorted(filter(_is_free, known)))}.",
        )
    return cast("ModelSettings", dict(settings.options))


def _problem(settings: ServiceSettings, name: str, value: Any, known: Mapping[str, Any]) -> str:
    if name not in known:
        near = get_close_matches(name, filter(_is_free, known), n=1)
        return f"{name} is not one of its settings" + (
            f" (did you mean {near[0]}?)" if near else ""
        )
    if not _is_free(name):
        return f"{name} cannot be set here; use {_OURS.get(name, _NO_TOOLS)}"
    if name == "extra_body":
        return _problem_in_body(value)
    if name in _TIERS and settings.price is None and any(word in str(value) for word in _DEARER):
        return f"{name}: {value} costs more than the list price; set service.price to what it costs"
    return _mistyped(name, value, known[name])


def _is_free(name: str) -> bool:
    return name not in _OURS and name not in _UNUSED


def _problem_in_body(value: Any) -> str:
    if not isinstance(value, dict):
        return "extra_body is not a mapping"
    clash = sorted(name for name in value if name.lower() in _IN_THE_BODY)
    return f"extra_body may not hold {', '.join(clash)}" if clash else ""


def _mistyped(name: str, value: Any, kind: Any) -> str:
    """What is wrong with ``value``; nothing where pydantic cannot tell (a type of the SDK's)."""
    try:
        TypeAdapter(kind).validate_python(value)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return ""
    except ValidationError as error:
        return f"{name}: {error.errors(include_url=False)[0]['msg']}"
    return ""
