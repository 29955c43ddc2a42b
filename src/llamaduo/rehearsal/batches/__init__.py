"""The batch APIs of OpenAI, Anthropic and Gemini, as the rehearsal service has them."""

from __future__ import annotations

from starlette.routing import Route

from llamaduo.rehearsal.batches import anthropic, gemini, openai
from llamaduo.rehearsal.batches.store import Store


def batch_routes(store: Store) -> list[Route]:
    """All of them. What is submitted is kept in memory for as long as the service runs."""
    if store.plan.absent:
        return []
    return [*openai.routes(store), *anthropic.routes(store), *gemini.routes(store)]
