"""Greedy answers from any server that speaks the OpenAI API: what a client of it would get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from llamaduo.errors import ServiceUnavailable, UsageError
from llamaduo.inference.protocol import Answer
from llamaduo.records import Message

SECONDS = 600.0
"""For one answer: a small machine may take minutes over a long one."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model behind ``url`` (as in http://HOST:PORT/v1), with ``token`` where it wants one."""

    url: str
    model: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """An answer, and the prompt's tokens as the server counted them, if it says."""

    answer: Answer
    prompt_tokens: int | None


def served_models(url: str, token: str | None = None) -> tuple[str, ...]:
    """The names of the models behind ``url``.

    Raises:
        ServiceUnavailable: nothing answers there.
        UsageError: what answers does not speak the OpenAI API.
    """
    content = _call(url, token, "GET", "/models", None)
    try:
        return tuple(str(entry["id"]) for entry in content["data"])
    except (KeyError, TypeError) as error:
        raise _foreign(url, "/models") from error


def greedy_served(served: Served, messages: Sequence[Message], max_new_tokens: int) -> ServedAnswer:
    """The server's greedy answer to ``messages``.

    Raises:
        ServiceUnavailable: it does not answer, or not with success.
        UsageError: what answers does not speak the OpenAI API.
    """
    body = {
        "model": served.model,
        "messages": [{"role": m.role, "content": m.content} for m in messages],
        "max_tokens": max_new_tokens,
        "temperature": 0,
    }
    content = _call(served.url, served.token, "POST", "/chat/completions", body)
    try:
        choice, usage = content["choices"][0], content.get("usage") or {}
        answer = Answer(
            text=choice["message"]["content"] or "",
            new_tokens=int(usage.get("completion_tokens") or 0),
            finish="length" if choice["finish_reason"] == "length" else "stop",
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise _foreign(served.url, "/chat/completions") from error
    return ServedAnswer(answer, usage.get("prompt_tokens"))


def _call(url: str, token: str | None, method: str, path: str, body: Any) -> Any:
    place = url.rstrip("/") + path
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        reply = httpx2.request(
            method, place, json=body, headers=headers, timeout=SECONDS, trust_env=False
        )
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        raise ServiceUnavailable(
            f"{place} does not answer: {error or type(error).__name__}.",
            hint="Check the address (as in http://127.0.0.1:8000/v1) and that the server runs.",
        ) from error
    if not reply.is_success:
        raise ServiceUnavailable(
            f"{place} answered HTTP {reply.status_code}: {reply.text[:200]}",
            hint="See the server's own log."
            if reply.status_code not in (401, 403)
            else "Set LLAMADUO_TOKEN to the server's token.",
        )
    try:
        return reply.json()
    except ValueError as error:
        raise _foreign(url, path) from error


def _foreign(url: str, path: str) -> UsageError:
    return UsageError(
        f"{url.rstrip('/')}{path} does not speak the OpenAI API.",
        hint="Give the address that clients use as base_url, as in http://127.0.0.1:8000/v1.",
    )
