"""A question as a request of `pydantic-ai`, sent once."""

from __future__ import annotations

from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings

from llamaduo.records import Message, Question

_AGAIN = 500_000_003
"""Between the seeds of attempts at one question: with the same seed it gets the same reply."""


async def send(model: Model, question: Question, *, seeded: bool) -> ModelResponse:
    """Ask ``question`` once. ``seeded`` sends the sample index as the seed.

    A model that takes no JSON schema is asked without one: the prompt states the form too, and
    the reply is read as strictly.
    """
    return await model_request(
        model,
        messages_of(question),
        model_settings=settings_of(model, question, seeded=seeded),
        model_request_parameters=parameters_of(model, question),
    )


def messages_of(question: Question) -> list[ModelMessage]:
    """The conversation, one pydantic-ai message for each of ours."""
    return [_message(message) for message in question.messages]


def settings_of(model: Model, question: Question, *, seeded: bool) -> ModelSettings:
    """The settings that are the question's own; those of every call are in ``model``."""
    settings = ModelSettings()
    if seeded:
        settings["seed"] = (question.sample + question.again * _AGAIN) % 2**31
    if question.max_tokens is not None:
        settings["max_tokens"] = question.max_tokens
    if question.temperature is not None and takes_temperature(model):
        settings["temperature"] = question.temperature
    return settings


def parameters_of(model: Model, question: Question) -> ModelRequestParameters:
    """The form of the reply: by JSON schema where the model takes one."""
    if question.schema is None or not model.profile.get("supports_json_schema_output", False):
        return ModelRequestParameters()
    shape = OutputObjectDefinition(
        json_schema=dict(question.schema), name=question.shape, strict=True
    )
    return ModelRequestParameters(
        output_mode="native", output_object=shape, allow_text_output=False
    )


def takes_temperature(model: Model) -> bool:
    """Whether ``model`` takes a temperature. Those that think first mostly take none: OpenAI's
    while they reason, the newer of Anthropic's ever. Sent all the same, it would be refused."""
    profile, options = model.profile, model.settings or {}
    if profile.get("anthropic_disallows_sampling_settings", False):
        return False
    if not profile.get("openai_supports_reasoning", False):
        return True
    effort = options.get("openai_reasoning_effort", options.get("thinking"))
    if effort is None:
        reasons = bool(profile.get("thinking_enabled_by_default", False))
    else:
        reasons = effort not in (False, "none")
    return bool(profile.get("openai_supports_reasoning_effort_none", False)) and not reasons


def _message(message: Message) -> ModelMessage:
    if message.role == "assistant":
        return ModelResponse(parts=[TextPart(message.content)])
    part = SystemPromptPart if message.role == "system" else UserPromptPart
    return ModelRequest(parts=[part(message.content)])
