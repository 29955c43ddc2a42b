"""Gemini: from Google AI Studio, and on Google's cloud (Vertex)."""

from __future__ import annotations

from typing import cast

from google.genai.errors import APIError
from google.oauth2.credentials import Credentials
from pydantic_ai.models import Model
from pydantic_ai.models.google import GoogleModel, GoogleModelSettings
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.google_cloud import GoogleCloudProvider

from llamaduo.service.address import base_url, model_name, provider_name
from llamaduo.service.providers.listing import Listing
from llamaduo.service.providers.wiring import Wiring
from llamaduo.service.settings import ServiceSettings

ERRORS = (APIError,)
"""What its SDK raises."""


def options_of(_: ServiceSettings) -> type:
    """The model settings that it takes, as a TypedDict."""
    return GoogleModelSettings


def build(settings: ServiceSettings, wiring: Wiring) -> Model:
    """The model, whose client sends through ``wiring``; google-genai retries nothing unless it
    is told to."""
    cloud = provider_name(settings) == "google-cloud"
    return GoogleModel(
        model_name(settings),
        provider=_cloud(settings, wiring) if cloud else _studio(settings, wiring),
        settings=wiring.options,
        profile=wiring.profile,
    )


def _studio(settings: ServiceSettings, wiring: Wiring) -> GoogleProvider:
    return GoogleProvider(api_key=wiring.key, http_client=wiring.http, base_url=base_url(settings))


def _cloud(settings: ServiceSettings, wiring: Wiring) -> GoogleCloudProvider:
    if settings.project is None:  # express mode: the key says whose project it is
        return GoogleCloudProvider(
            api_key=wiring.key, http_client=wiring.http, base_url=base_url(settings)
        )
    # A token without an expiry is never renewed by the SDK.
    return GoogleCloudProvider(
        credentials=Credentials(token=wiring.key),  # type: ignore[no-untyped-call]
        project=settings.project,
        location=settings.location,
        http_client=wiring.http,
        base_url=base_url(settings),
    )


async def look_up(model: Model, name: str) -> Listing:
    """What Google AI Studio's list says of ``name``: the version behind it."""
    found = await cast("GoogleModel", model).client.aio.models.get(model=name)
    named = (found.name or name).removeprefix("models/")
    resolved = f"{named} (version {found.version})" if found.version else named
    return Listing(resolved, fixed=not name.endswith("-latest"))


async def offered(model: Model) -> list[str]:
    """The names that this key may use."""
    pages = await cast("GoogleModel", model).client.aio.models.list()
    return [(found.name or "").removeprefix("models/") async for found in pages]
