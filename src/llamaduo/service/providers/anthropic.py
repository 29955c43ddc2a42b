"""Claude: from Anthropic, on Google's cloud (Vertex), on Amazon's (Bedrock).

The clients of the two clouds get a placeholder for credentials: what they need is added by the
transport (:mod:`llamaduo.service.credentials`). Claude on Bedrock goes through Anthropic's own
client, not boto3's, whose traffic no transport of ours would see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from anthropic import AnthropicError, AsyncAnthropic, AsyncAnthropicBedrock, AsyncAnthropicVertex
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider

from llamaduo.service.address import base_url, model_name, provider_name
from llamaduo.service.providers.listing import Listing
from llamaduo.service.providers.wiring import Wiring
from llamaduo.service.settings import ServiceSettings

_Client = AsyncAnthropic | AsyncAnthropicVertex | AsyncAnthropicBedrock
ERRORS = (AnthropicError,)
"""What its SDK raises."""


def options_of(_: ServiceSettings) -> type:
    """The model settings that it takes, as a TypedDict."""
    return AnthropicModelSettings


def build(settings: ServiceSettings, wiring: Wiring) -> Model:
    """The model, whose client sends through ``wiring``."""
    clients: dict[str, Callable[[ServiceSettings, Wiring], _Client]] = {
        "anthropic": _direct,
        "anthropic-vertex": _vertex,
        "anthropic-bedrock": _bedrock,
    }
    client = clients[provider_name(settings)](settings, wiring)
    return AnthropicModel(
        model_name(settings),
        provider=AnthropicProvider(anthropic_client=client),
        settings=wiring.options,
        profile=wiring.profile,
    )


def _direct(settings: ServiceSettings, wiring: Wiring) -> AsyncAnthropic:
    return AsyncAnthropic(
        api_key=wiring.key,
        base_url=base_url(settings),
        http_client=wiring.http,
        max_retries=0,
        timeout=wiring.http.timeout,
    )


def _vertex(settings: ServiceSettings, wiring: Wiring) -> AsyncAnthropicVertex:
    return AsyncAnthropicVertex(
        region=settings.location or "",
        project_id=settings.project or "",
        access_token=wiring.key,
        base_url=base_url(settings),
        http_client=wiring.http,
        max_retries=0,
        timeout=wiring.http.timeout,
    )


def _bedrock(settings: ServiceSettings, wiring: Wiring) -> AsyncAnthropicBedrock:
    return AsyncAnthropicBedrock(
        aws_region=settings.location,
        api_key=wiring.key,
        base_url=base_url(settings),
        http_client=wiring.http,
        max_retries=0,
        timeout=wiring.http.timeout,
    )


async def look_up(model: Model, name: str) -> Listing:
    """What Anthropic's list says of ``name``: the dated model behind an alias, and its end."""
    client = cast("AsyncAnthropic", cast("AnthropicModel", model).client)
    found = await client.models.retrieve(name)
    day = found.retires_at.date() if found.retires_at else None
    return Listing(
        found.id, fixed=found.id == name, retires=day, retired=found.lifecycle == "retired"
    )


async def offered(model: Model) -> list[str]:
    """The names that this key may use."""
    client = cast("AsyncAnthropic", cast("AnthropicModel", model).client)
    return [found.id async for found in client.models.list(limit=1000)]
