"""From a configured model to a request through `pydantic-ai`, whose providers it imports.

Importing this module is slow; :mod:`llamaduo.service.client` does it when it connects.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import AgentRunError
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

from llamaduo.records import FinishReason, Message, Question
from llamaduo.service.address import base_url, model_name, provider_name, sdk_missing
from llamaduo.service.settings import ServiceSettings

if TYPE_CHECKING:
    import httpx2

UNREADABLE = (AgentRunError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""What an SDK may raise over a reply. The caller looks at what the transport saw before it
takes such an error for the reply's fault."""


def build_model(settings: ServiceSettings, key: str, http: httpx2.AsyncClient) -> Model:
    """The model behind ``settings.model``, speaking through ``http``, with SDK retries off.

    Raises:
        ExtraMissing: the provider's SDK is not installed.
    """
    builders = {
        "openai-chat": _openai,
        "openai": _openai,
        "anthropic": _anthropic,
        "google": _google,
    }
    try:
        return builders[provider_name(settings)](settings, key, http)
    except ImportError as error:
        raise sdk_missing(settings) from error


async def send(model: Model, question: Question, *, seeded: bool) -> ModelResponse:
    """Ask ``question`` once. ``seeded`` sends the sample index as the seed.

    A model that takes no JSON schema is asked without one: the prompt states the form too, and
    the reply is read as strictly.
    """
    takes_schema = model.profile.get("supports_json_schema_output", False)
    return await model_request(
        model,
        [_message(message) for message in question.messages],
        model_settings=_settings(question, seeded=seeded),
        model_request_parameters=_parameters(question, takes_schema=takes_schema),
    )


def text_of(response: ModelResponse) -> str:
    """The reply's text as the model wrote it; a refusal's words where there is no other text."""
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    return text or str((response.provider_details or {}).get("refusal", ""))


def finish_of(response: ModelResponse) -> FinishReason:
    """``length`` when the reply was cut off at the token limit."""
    return "length" if response.finish_reason == "length" else "stop"


def _openai(settings: ServiceSettings, key: str, http: httpx2.AsyncClient) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(
        api_key=key,
        base_url=base_url(settings),
        http_client=http,
        max_retries=0,
        timeout=http.timeout,
    )
    chosen = OpenAIChatModel if provider_name(settings) == "openai-chat" else OpenAIResponsesModel
    return chosen(model_name(settings), provider=OpenAIProvider(openai_client=client))


def _anthropic(settings: ServiceSettings, key: str, http: httpx2.AsyncClient) -> Model:
    sdk = import_module("anthropic")  # optional, so type checkers may not find it
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = sdk.AsyncAnthropic(
        api_key=key,
        base_url=base_url(settings),
        http_client=http,
        max_retries=0,
        timeout=http.timeout,
    )
    chosen = AnthropicProvider(anthropic_client=client)
    return cast("Model", AnthropicModel(model_name(settings), provider=chosen))


def _google(settings: ServiceSettings, key: str, http: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    chosen = GoogleProvider(api_key=key, http_client=http, base_url=base_url(settings))
    return cast("Model", GoogleModel(model_name(settings), provider=chosen))


def _message(message: Message) -> ModelMessage:
    if message.role == "assistant":
        return ModelResponse(parts=[TextPart(message.content)])
    part = SystemPromptPart if message.role == "system" else UserPromptPart
    return ModelRequest(parts=[part(message.content)])


def _settings(question: Question, *, seeded: bool) -> ModelSettings:
    settings = ModelSettings()
    if seeded:
        settings["seed"] = question.sample
    if question.max_tokens is not None:
        settings["max_tokens"] = question.max_tokens
    if question.temperature is not None:
        settings["temperature"] = question.temperature
    return settings


def _parameters(question: Question, *, takes_schema: bool) -> ModelRequestParameters:
    if question.schema is None or not takes_schema:
        return ModelRequestParameters()
    shape = OutputObjectDefinition(
        json_schema=dict(question.schema), name=question.shape, strict=True
    )
    return ModelRequestParameters(
        output_mode="native", output_object=shape, allow_text_output=False
    )
