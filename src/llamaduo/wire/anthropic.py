"""The shapes of the Anthropic Messages API, as far as llamaduo speaks it: text in, text out.

The same bodies go to Anthropic, to Vertex and to Bedrock; in the two clouds the model's name is
in the address instead, and the body has ``anthropic_version``. Source: Anthropic's API reference
and the types of its Python SDK.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class TextBlock(BaseModel):
    """One block of content. Images, documents and tools are other types."""

    model_config = ConfigDict(extra="allow")

    type: Literal["text"] = "text"
    text: str


def joined(content: str | list[TextBlock]) -> str:
    """The content as one string."""
    return content if isinstance(content, str) else "".join(block.text for block in content)


class AnthropicMessage(BaseModel):
    """One turn. The system prompt is not one of them."""

    model_config = ConfigDict(extra="allow")

    role: Literal["user", "assistant"]
    content: str | list[TextBlock]


class JsonFormat(BaseModel):
    """JSON of one schema, which has no name in this API."""

    model_config = ConfigDict(extra="allow")

    type: Literal["json_schema"]
    definition: dict[str, Any] = Field(alias="schema")


class OutputConfig(BaseModel):
    """What the reply is to look like."""

    model_config = ConfigDict(extra="allow")

    format: JsonFormat | None = None


class MessagesRequest(BaseModel):
    """The body of ``POST /v1/messages``. There is no seed. ``output_format`` is the older name
    of ``output_config.format``."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1)
    max_tokens: int = Field(ge=1)
    messages: list[AnthropicMessage] = Field(min_length=1)
    system: str | list[TextBlock] | None = None
    output_config: OutputConfig | None = None
    output_format: JsonFormat | None = None
    temperature: float | None = Field(None, ge=0, le=1)
    top_p: float | None = Field(None, ge=0, le=1)
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    tools: list[Any] | None = None

    @property
    def schema_asked(self) -> dict[str, Any] | None:
        """The JSON Schema that the reply must have, if one was asked for."""
        config = self.output_config.format if self.output_config else None
        wanted = config or self.output_format
        return wanted.definition if wanted else None


class CloudMessagesRequest(MessagesRequest):
    """The same by way of Vertex or Bedrock."""

    anthropic_version: str


class AnthropicUsage(BaseModel):
    """What a call is billed by, in tokens. ``input_tokens`` does not include the cache's."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    service_tier: Literal["standard", "priority", "batch"] = "standard"


class StopDetails(BaseModel):
    """What a refusal says of itself."""

    type: Literal["refusal"] = "refusal"
    category: str | None = None
    explanation: str | None = None


class AnthropicReply(BaseModel):
    """The body of a successful reply."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[TextBlock]
    stop_reason: Literal["end_turn", "max_tokens", "refusal"]
    stop_sequence: None = None
    stop_details: StopDetails | None = None
    usage: AnthropicUsage


class AnthropicErrorDetail(BaseModel):
    """What went wrong. ``type`` goes with the status."""

    type: str
    message: str


class AnthropicError(BaseModel):
    """The body of every reply that is not a success."""

    type: Literal["error"] = "error"
    error: AnthropicErrorDetail
    request_id: str | None = None


class AnthropicModel(BaseModel):
    """One model that the service knows. ``retires_at`` is a date and time, where one is set."""

    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: str = "1970-01-01T00:00:00Z"
    lifecycle: Literal["active", "deprecated", "retired"] = "active"
    retires_at: str | None = None


class AnthropicModelList(BaseModel):
    """The body of ``GET /v1/models``, all on one page."""

    data: list[AnthropicModel]
    has_more: bool = False
    first_id: str | None
    last_id: str | None
