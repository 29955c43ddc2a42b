"""Which providers have a batch API, and what it means to use it. Pure; imports no SDK."""

from __future__ import annotations

from collections.abc import Iterable

from llamaduo.service.settings import ServiceSettings

_STORED = {
    "openai": "OpenAI keeps the files of a batch, prompts and replies, for up to 30 days.",
    "anthropic": "Anthropic keeps a batch and its results for 29 days.",
    "google": "Google keeps the files of a batch, prompts and replies, for 48 hours.",
}
"""Providers with a batch API, and how long each stores what is sent to it (November 2026)."""
_NONE = {
    "openai-chat": "llamaduo batches OpenAI models through the Responses API: name it openai:MODEL",
    "google-cloud": "Gemini on Google Cloud batches from Cloud Storage only",
    "anthropic-vertex": "Claude on Vertex batches from Cloud Storage only",
    "anthropic-bedrock": "Claude on Bedrock batches from S3 only",
}


def is_offered(settings: ServiceSettings) -> bool:
    """Whether ``settings`` ask for batches and the provider's API has them."""
    return settings.mode == "batch" and _provider(settings) in _STORED


def notice(settings: ServiceSettings) -> str:
    """What to know before a run in batch mode starts; empty when there is nothing to say."""
    if settings.mode != "batch":
        return ""
    if is_offered(settings):
        return (
            f"{settings.model} is asked in batches: half the price, replies within a day."
            f" {_STORED[_provider(settings)]} A zero-retention agreement does not cover that: with"
            " one, set service.mode: calls."
        )
    why = _NONE.get(_provider(settings), "its API has no batches")
    return f"{settings.model} is asked with ordinary calls, at full price: {why}."


def notices(all_settings: Iterable[ServiceSettings]) -> list[str]:
    """Each :func:`notice` of them, once."""
    return list(dict.fromkeys(filter(None, map(notice, all_settings))))


def _provider(settings: ServiceSettings) -> str:
    return settings.model.partition(":")[0]
