"""The shapes of the OpenAI chat-completions API, as far as llamaduo speaks it.

Requests may carry fields that are not named here: they are kept, and a server decides what to
do about them. Replies have exactly the fields that clients read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from llamaduo.wire.mistakes import first_mistake


class TextPart(BaseModel):
    """One part of a message whose content is a list. Images and audio are other types."""

    model_config = ConfigDict(extra="allow")

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message of a request or a reply."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """The content as one string."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class NamedSchema(BaseModel):
    """A JSON Schema with the name that the client gave to it."""

    model_config = ConfigDict(extra="allow")

    name: str
    definition: dict[str, Any] | None = Field(None, alias="schema")


class ResponseFormat(BaseModel):
    """Plain text, any JSON object, or JSON of one schema."""

    model_config = ConfigDict(extra="allow")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StreamOptions(BaseModel):
    """What a stream says beside the reply."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """The body of ``POST /v1/chat/completions``."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = Field(None, ge=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Any] | None = None
    response_format: ResponseFormat | None = None

    @property
    def shape(self) -> str | None:
        """The name of the JSON Schema that the reply must have, if one was asked for."""
        named = self.response_format.json_schema if self.response_format else None
        return named.name if named else None

    @property
    def token_limit(self) -> int | None:
        """The most tokens the reply may have, under either of the two names for it."""
        return self.max_completion_tokens or self.max_tokens


class Usage(BaseModel):
    """What a call is billed by, in tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Choice(BaseModel):
    """One reply of a completion."""

    index: int = 0
    message: ChatMessage
    finish_reason: Literal["stop", "length", "content_filter", "tool_calls"]


class ChatCompletion(BaseModel):
    """The body of a successful reply. ``created`` is in seconds since 1970."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class ChunkChoice(BaseModel):
    """What one choice of a streamed completion grows by. ``delta`` has ``role`` or ``content``."""

    index: int
    delta: dict[str, str]
    finish_reason: Literal["stop", "length"] | None = None


class ChatChunk(BaseModel):
    """One event of a streamed reply. ``usage`` is in the last one, if it was asked for."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class ErrorDetail(BaseModel):
    """What went wrong; ``param`` names the field of the request that is to blame."""

    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every reply that is not a success."""

    error: ErrorDetail


class ModelEntry(BaseModel):
    """One model that a server offers."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "llamaduo"


class HostedModel(ModelEntry):
    """One model of a service that retires models. ``shutdown_date`` is the day, YYYY-MM-DD."""

    shutdown_date: str | None = None


class ModelList(BaseModel):
    """The body of ``GET /v1/models``."""

    object: Literal["list"] = "list"
    data: Sequence[SerializeAsAny[ModelEntry]]


def request_error(error: ValidationError) -> ErrorBody:
    """A request that does not have the right shape, in the API's own terms."""
    mistake = first_mistake(error)
    return ErrorBody(error=ErrorDetail(message=str(mistake), param=mistake.field or None))
