"""Options of a model: known ones pass, all others are named before anything is sent."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from pydantic_ai.models import Model

from llamaduo.errors import UsageError
from llamaduo.service.providers import build_model
from llamaduo.service.settings import Price, ServiceSettings


def built(model: str, options: dict[str, Any], **fields: Any) -> Model:
    settings = ServiceSettings(model=model, options=options, **fields)
    return build_model(settings, "key", httpx2.AsyncClient(timeout=60))


def refused(model: str, options: dict[str, Any]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        built(model, options)
    return caught.value


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("openai-chat:gpt-4o", {"top_p": 0.9, "openai_user": "team"}),
        ("openai:gpt-5", {"openai_reasoning_effort": "low", "openai_text_verbosity": "low"}),
        ("anthropic:claude-haiku-4-5", {"anthropic_thinking": {"type": "disabled"}}),
        ("google:gemini-3.5-flash", {"google_thinking_config": {"thinking_budget": 0}}),
        ("openai-chat:qwen", {"extra_body": {"chat_template_kwargs": {"thinking": False}}}),
    ],
)
def test_what_the_provider_takes_goes_with_every_call(model: str, options: dict[str, Any]) -> None:
    assert built(model, options).settings == options


def test_an_unknown_name_is_refused_with_the_nearest_and_all_that_are_known() -> None:
    error = refused("openai:gpt-5", {"openai_reasoning_efort": "low", "tpo_p": 1})
    assert "openai_reasoning_efort is not one of its settings" in error.message
    assert "did you mean openai_reasoning_effort?" in error.message
    assert "did you mean top_p?" in error.message
    assert "openai_text_verbosity" in error.hint
    assert "max_tokens" not in error.hint


def test_a_setting_of_another_provider_is_unknown() -> None:
    assert "not one of" in refused("google:g", {"openai_reasoning_effort": "low"}).message


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("max_tokens", "service.max_output_tokens"),
        ("temperature", "judging.temperature"),
        ("seed", "sample"),
        ("timeout", "service.timeout_seconds"),
        ("max_retries", "service.deadline_seconds"),
        ("extra_headers", "service.api_key_env"),
        ("parallel_tool_calls", "text alone"),
        ("openai_background", "text alone"),
        ("openai_previous_response_id", "text alone"),
    ],
)
def test_what_llamaduo_sets_itself_is_refused_with_the_place_for_it(
    name: str, instead: str
) -> None:
    message = refused("openai:gpt-5", {name: 1}).message
    assert f"{name} cannot be set here; use " in message
    assert instead in message


@pytest.mark.parametrize("name", ["n", "MAX_TOKENS", "model", "stream", "generationConfig"])
def test_a_body_of_ones_own_does_not_change_what_is_asked_or_its_price(name: str) -> None:
    message = refused("openai-chat:gpt-4o", {"extra_body": {name: 5}}).message
    assert f"extra_body may not hold {name}" in message


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"top_p": "high"}, "top_p: Input should be a valid number"),
        ({"openai_text_verbosity": "loud"}, "openai_text_verbosity: Input should be"),
        ({"extra_body": [1]}, "extra_body is not a mapping"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(options: dict[str, Any], what: str) -> None:
    assert what in refused("openai:gpt-5", options).message


def test_a_dearer_tier_needs_a_price_that_is_stated() -> None:
    options = {"service_tier": "priority"}
    assert "set service.price" in refused("openai:gpt-5", options).message
    assert built("openai:gpt-5", options, price=Price(input=9, output=9)).settings == options
    assert built("openai:gpt-5", {"service_tier": "flex"}).settings == {"service_tier": "flex"}
