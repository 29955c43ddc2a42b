"""Answers from any server that speaks the OpenAI API: what a client of it would get."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from llamaduo.errors import ServiceUnavailable, UsageError
from llamaduo.inference.protocol import Answer
from llamaduo.records import Message

SECONDS = 600.0
"""For one answer: a small machine may take minutes over a long one."""
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
REFUSED: Final = (400, 422)
"""What a server says to a field that it does not take."""
_LONGEST_PAUSE = 30.0
_NOTHING_ELSE: Final = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""What vLLM and SGLang take from the model's generation_config.json where a request is silent."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for ``choices`` answers, in words of the API."""

    messages: Sequence[Message]
    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    choices: int = 1
    seed: int | None = None
    schema: Mapping[str, Any] | None = None

    def body(self, model: str) -> dict[str, Any]:
        """The request's body, in what the API has. A server may have a default of its own for
        what decides which token is drawn, so that is always said."""
        optional = {
            "n": self.choices if self.choices > 1 else None,
            "seed": self.seed,
            "response_format": _format(self.schema) if self.schema is not None else None,
        }
        return {
            "model": model,
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
            "max_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
        } | {name: value for name, value in optional.items() if value is not None}


class RequestRefused(ServiceUnavailable):
    """The server answered, and not with success."""

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Server:
    """A client of the server at ``url``. May be used from several threads at once.

    What cannot be reached or is busy is asked again for ``patience`` seconds, or until it is
    closed. ``exact``: requests say that temperature and top-p are all there is to sampling, in
    words that the API lacks; False as soon as the server has refused those.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = SECONDS,
        patience: float = 0.0,
        connections: int = 1,
        token_env: str = "LLAMADUO_TOKEN",  # noqa: S107 - its name, not its value
    ) -> None:
        self.url = url.rstrip("/")
        self.exact = True
        self._closed = threading.Event()
        self._patience = patience
        self._token_env = token_env
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 30.0)),
            limits=httpx2.Limits(max_connections=connections),
            trust_env=False,
        )

    def close(self) -> None:
        self._closed.set()
        self._client.close()

    def models(self) -> dict[str, str]:
        """The models that are there: by name, what each says that it is owned by.

        Raises:
            ServiceUnavailable: nothing answers there.
            UsageError: what answers does not speak the OpenAI API.
        """
        content = self.call("GET", f"{self.url}/models")
        try:
            return {
                # Ollama's tag of what is named without one.
                str(entry["id"]).removesuffix(":latest"): str(entry.get("owned_by", ""))
                for entry in content["data"]
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise _foreign(self.url, "/models") from error

    def chat(self, model: str, asked: Asked) -> tuple[ServedAnswer, ...]:
        """The answers to ``asked``: as many as the server gave, which may be fewer than asked.

        ``new_tokens`` is what the server counted, which is only told of one answer alone; of
        several it is 0.

        Raises:
            ServiceUnavailable: it does not answer, or not with success.
            UsageError: what answers does not speak the OpenAI API, or has no such model.
        """
        try:
            content = self._complete(asked.body(model))
        except RequestRefused as refused:
            self._require_model(model, refused)
            raise
        try:
            return _answers(content)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise _foreign(self.url, "/chat/completions") from error

    def _complete(self, body: dict[str, Any]) -> Any:
        place = f"{self.url}/chat/completions"
        if not self.exact:
            return self.call("POST", place, body)
        try:
            return self.call("POST", place, body | _NOTHING_ELSE)
        except RequestRefused as refused:
            if refused.status not in REFUSED:
                raise
        content = self.call("POST", place, body)  # or it was refused for another reason
        self.exact = False
        return content

    def command(self, path: str, body: Any = None) -> str:
        """Post to ``path``, counted from where the API's /v1 is, and return the reply.

        Raises:
            RequestRefused: with the server's status.
            ServiceUnavailable: it does not answer.
        """
        return self._send("POST", f"{self.url.removesuffix('/v1')}{path}", body).text

    def call(self, method: str, place: str, body: Any = None) -> Any:
        """What the server replies, as JSON."""
        reply = self._send(method, place, body)
        try:
            return reply.json()
        except ValueError as error:
            raise _foreign(self.url, place.removeprefix(self.url)) from error

    def _send(self, method: str, place: str, body: Any) -> httpx2.Response:
        deadline, pause = time.monotonic() + self._patience, 0.5
        while True:
            try:
                return self._once(method, place, body)
            except ServiceUnavailable as error:
                status = error.status if isinstance(error, RequestRefused) else None
                lasting = status is not None and status not in _BUSY
                if lasting or time.monotonic() + pause > deadline:
                    raise
                if self._closed.wait(pause * random.uniform(0.5, 1.5)):
                    raise
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _once(self, method: str, place: str, body: Any) -> httpx2.Response:
        try:
            reply = self._client.request(method, place, json=body)
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            raise ServiceUnavailable(
                f"{place} does not answer: {error or type(error).__name__}.",
                hint="Check the address (as in http://127.0.0.1:8000/v1) and that the server runs.",
            ) from error
        if reply.is_success:
            return reply
        raise RequestRefused(
            f"{place} answered HTTP {reply.status_code}: {reply.text[:200]}",
            status=reply.status_code,
            hint="See the server's own log."
            if reply.status_code not in (401, 403)
            else f"Set {self._token_env} to the server's token.",
        )

    def _require_model(self, model: str, refused: RequestRefused) -> None:
        if refused.status not in (400, 404):
            return
        there = self.models()
        adapter = model.partition(":")[2]  # SGLang's way to ask for one
        if model not in there and adapter not in there:
            raise UsageError(
                f"{self.url} has no model {model!r}; it has {', '.join(there) or 'none'}.",
                hint="Set inference.model to one of them, or serve it under that name.",
            ) from refused


def served_models(url: str, token: str | None = None) -> tuple[str, ...]:
    """The names of the models behind ``url``. Raises what :meth:`Server.models` raises."""
    server = Server(url, token)
    try:
        return tuple(server.models())
    finally:
        server.close()


def greedy_served(served: Served, messages: Sequence[Message], max_new_tokens: int) -> ServedAnswer:
    """The server's greedy answer to ``messages``. Raises what :meth:`Server.chat` raises."""
    server = Server(served.url, served.token)
    try:
        asked = Asked(messages=messages, max_new_tokens=max_new_tokens)
        return server.chat(served.model, asked)[0]
    finally:
        server.close()


def _format(schema: Mapping[str, Any]) -> dict[str, Any]:
    named = {"name": "response", "schema": dict(schema), "strict": True}
    return {"type": "json_schema", "json_schema": named}


def _answers(content: Any) -> tuple[ServedAnswer, ...]:
    choices, usage = content["choices"], content.get("usage") or {}
    ordered = sorted(choices, key=lambda choice: int(choice.get("index") or 0))
    counted = int(usage.get("completion_tokens") or 0) if len(choices) == 1 else 0
    found = tuple(
        ServedAnswer(
            Answer(
                text=choice["message"]["content"] or "",
                new_tokens=counted,
                finish="length" if choice["finish_reason"] == "length" else "stop",
            ),
            usage.get("prompt_tokens"),
        )
        for choice in ordered
    )
    if not found:
        raise IndexError("no choices")
    return found


def _foreign(url: str, path: str) -> UsageError:
    return UsageError(
        f"{url.rstrip('/')}{path} does not speak the OpenAI API.",
        hint="Give the address that clients use as base_url, as in http://127.0.0.1:8000/v1.",
    )
