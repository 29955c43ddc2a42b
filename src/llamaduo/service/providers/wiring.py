"""What every vendor's client is built with."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Wiring:
    """``key`` is the API key, or a placeholder where the transport adds the credentials.

    ``http`` is our own client, the only way out; ``options`` go with every call; ``profile`` is
    what we know better than pydantic-ai's table of models.
    """

    key: str
    http: httpx2.AsyncClient
    options: ModelSettings
    profile: ModelProfile | None
