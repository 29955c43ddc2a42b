"""From the body of a request to what is asked of a model; what is not served is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from llamaduo.deployment.bundle import Generation
from llamaduo.records import Message, Role
from llamaduo.serving.jobs import Sampling
from llamaduo.serving.schema import ANY_OBJECT, UnusableSchema, check_schema
from llamaduo.wire.chat import ChatMessage, ChatRequest, ErrorBody, ErrorDetail, request_error

MOST_CHOICES: Final = 16
MOST_STOPS: Final = 4
_LONGEST_STOP = 1000
_REFUSED: Final[Mapping[str, tuple[Any, ...]]] = {
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "modalities": (["text"],),
    "audio": (),
    "web_search_options": (),
    "top_k": (0, -1),
    "min_p": (0,),
    "min_tokens": (0,),
    "ignore_eos": (False,),
    "grammar": ("",),
    "structured_outputs": (),
    "chat_template": (),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
}
"""Fields that would change the answer and are not served, with the values that change nothing."""


class Refusal(Exception):
    """A request that gets an error reply with ``status`` and ``headers``."""

    def __init__(
        self, status: int, detail: ErrorDetail, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail.message)
        self.status = status
        self.body = ErrorBody(error=detail)
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A request that is served: what is to be written, and how it is to be told."""

    model: str
    messages: tuple[Message, ...]
    choices: int
    limit: int
    """The most tokens of a choice, the window not yet considered."""
    sampling: Sampling
    seed: int | None
    stops: tuple[str, ...]
    schema: Mapping[str, Any] | None
    stream: bool
    include_usage: bool


def parse(raw: bytes) -> ChatRequest:
    """The request in a body.

    Raises:
        Refusal: 400; it is not JSON, or not a chat request.
    """
    try:
        return ChatRequest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            reason = first["msg"].removeprefix("Invalid JSON: ")
            raise refused(f"The body is not JSON: {reason}.") from error
        raise Refusal(400, request_error(error).error) from error


def read(asked: ChatRequest, defaults: Generation) -> Wish:
    """What ``asked`` wants. What it does not say is as it was when the model was judged.

    Raises:
        Refusal: 400, naming the field that is not served.
    """
    _refuse_unserved(asked)
    limit = asked.token_limit
    return Wish(
        model=asked.model,
        messages=tuple(_message(i, message) for i, message in enumerate(asked.messages)),
        choices=_choices(asked),
        limit=defaults.max_new_tokens if limit is None else limit,
        sampling=Sampling(
            _or(asked.temperature, defaults.temperature), _or(asked.top_p, defaults.top_p)
        ),
        seed=asked.seed,
        stops=_stops(asked),
        schema=_schema(asked),
        stream=bool(asked.stream),
        include_usage=_include_usage(asked),
    )


def _or(given: float | None, default: float) -> float:
    return default if given is None else given


def _refuse_unserved(asked: ChatRequest) -> None:
    fields = asked.model_dump(include={"tools"}) | (asked.model_extra or {})
    for name, harmless in _REFUSED.items():
        value = fields.get(name)
        if value is not None and value not in harmless:
            raise refused(f"{name} is not served here; leave it out.", name)


def _message(index: int, message: ChatMessage) -> Message:
    place = f"messages[{index}]"
    extra = message.model_extra or {}
    for name in ("tool_calls", "function_call", "audio"):
        if extra.get(name):
            raise refused(f"{place}.{name} is not served here.", f"{place}.{name}")
    if message.content is None:
        raise refused(f"{place}.content: a message needs a text.", f"{place}.content")
    role: Role = "system" if message.role == "developer" else message.role
    return Message(role, message.text)


def _choices(asked: ChatRequest) -> int:
    count = asked.n or 1
    if count > MOST_CHOICES:
        raise refused(f"n: at most {MOST_CHOICES} choices a request.", "n")
    return count


def _stops(asked: ChatRequest) -> tuple[str, ...]:
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    if len(stops) > MOST_STOPS:
        raise refused(f"stop: at most {MOST_STOPS} strings.", "stop")
    if any(not 1 <= len(stop) <= _LONGEST_STOP for stop in stops):
        raise refused(f"stop: each string has 1 to {_LONGEST_STOP} characters.", "stop")
    return tuple(stops)


def _schema(asked: ChatRequest) -> Mapping[str, Any] | None:
    wanted = asked.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return ANY_OBJECT
    named = wanted.json_schema
    if named is None or named.definition is None:
        place = "response_format.json_schema" + (".schema" if named else "")
        raise refused(f"{place} is missing.", place)
    try:
        check_schema(named.definition)
    except UnusableSchema as error:
        raise refused(str(error), "response_format.json_schema.schema") from error
    return named.definition


def _include_usage(asked: ChatRequest) -> bool:
    if asked.stream_options is not None and not asked.stream:
        raise refused("stream_options goes with stream: true only.", "stream_options")
    return bool(asked.stream_options and asked.stream_options.include_usage)


def refused(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """A 400."""
    return Refusal(400, ErrorDetail(message=message, param=param, code=code))
