"""OpenAI's Responses and chat completions, and every server that speaks the latter."""

from __future__ import annotations

from datetime import date
from typing import cast

from openai import AsyncOpenAI, OpenAIError
from pydantic_ai.models import Model
from pydantic_ai.models.openai import (
    OpenAIChatModel,
    OpenAIChatModelSettings,
    OpenAIResponsesModel,
    OpenAIResponsesModelSettings,
)
from pydantic_ai.providers.openai import OpenAIProvider

from llamaduo.service.address import base_url, model_name, provider_name
from llamaduo.service.providers.listing import Listing
from llamaduo.service.providers.wiring import Wiring
from llamaduo.service.settings import ServiceSettings

ERRORS = (OpenAIError,)
"""What its SDK raises."""


def options_of(settings: ServiceSettings) -> type:
    """The model settings that it takes, as a TypedDict."""
    return OpenAIChatModelSettings if _is_chat(settings) else OpenAIResponsesModelSettings


def build(settings: ServiceSettings, wiring: Wiring) -> Model:
    """The model, whose client sends through ``wiring``."""
    client = AsyncOpenAI(
        api_key=wiring.key,
        base_url=base_url(settings),
        http_client=wiring.http,
        max_retries=0,
        timeout=wiring.http.timeout,
    )
    chosen = OpenAIChatModel if _is_chat(settings) else OpenAIResponsesModel
    return chosen(
        model_name(settings),
        provider=OpenAIProvider(openai_client=client),
        settings=wiring.options,
        profile=wiring.profile,
    )


def _is_chat(settings: ServiceSettings) -> bool:
    return provider_name(settings) == "openai-chat"


async def look_up(model: Model, name: str) -> Listing:
    """What OpenAI's list says of ``name``. It does not say what an alias stands for."""
    client: AsyncOpenAI = cast("OpenAIChatModel", model).client
    found = await client.models.retrieve(name)
    day = found.shutdown_date
    return Listing(found.id, fixed=False, retires=date.fromisoformat(day) if day else None)


async def offered(model: Model) -> list[str]:
    """The names that this key may use."""
    client: AsyncOpenAI = cast("OpenAIChatModel", model).client
    return [found.id async for found in client.models.list()]
