"""The shapes of the OpenAI Responses API, as far as llamaduo speaks it: text in, text out.

Requests may carry fields that are not named here. Source: the API reference of OpenAI and the
types of its Python SDK.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LEAST_OUTPUT_TOKENS = 16
"""The API refuses a smaller ``max_output_tokens``."""


class InputPart(BaseModel):
    """One part of a message's content. Images, audio and files are other types."""

    model_config = ConfigDict(extra="allow")

    type: Literal["input_text", "output_text"]
    text: str


class InputMessage(BaseModel):
    """One item of the input. Items of other types belong to tools and reasoning."""

    model_config = ConfigDict(extra="allow")

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[InputPart]

    @property
    def text(self) -> str:
        """The content as one string."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class TextFormat(BaseModel):
    """Plain text, any JSON object, or JSON of one schema, which then has a name."""

    model_config = ConfigDict(extra="allow")

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    definition: dict[str, Any] | None = Field(None, alias="schema")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.type == "json_schema" and (not self.name or self.definition is None):
            raise ValueError("a json_schema needs its name and its schema")
        return self


class TextConfig(BaseModel):
    """What the text of a reply is to look like."""

    model_config = ConfigDict(extra="allow")

    format: TextFormat | None = None


class ResponsesRequest(BaseModel):
    """The body of ``POST /v1/responses``. There is no seed."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1)
    input: str | list[InputMessage] = Field(min_length=1)
    instructions: str | None = None
    text: TextConfig | None = None
    max_output_tokens: int | None = Field(None, ge=LEAST_OUTPUT_TOKENS)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    metadata: dict[str, str] | None = None
    stream: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    tools: list[Any] | None = None


class OutputText(BaseModel):
    """What the model wrote."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[Any] = []


class OutputRefusal(BaseModel):
    """Why the model did not write what was asked for."""

    type: Literal["refusal"] = "refusal"
    refusal: str


class OutputMessage(BaseModel):
    """The one item of a reply that no tool had a part in."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    status: Literal["completed", "incomplete"]
    content: list[OutputText | OutputRefusal]


class IncompleteDetails(BaseModel):
    """Why a reply ended before it was whole."""

    reason: Literal["max_output_tokens", "content_filter"]


class InputTokensDetails(BaseModel):
    """Of the input tokens, those read from the cache and those written to it."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(BaseModel):
    """Of the output tokens, those that nobody sees."""

    reasoning_tokens: int = 0


class ResponsesUsage(BaseModel):
    """What a call is billed by, in tokens."""

    input_tokens: int
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int


class Response(BaseModel):
    """The body of a reply with status 200. ``created_at`` is in seconds since 1970."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Literal["completed", "incomplete"]
    error: None = None
    incomplete_details: IncompleteDetails | None = None
    model: str
    output: list[OutputMessage]
    parallel_tool_calls: bool = True
    tool_choice: Literal["auto"] = "auto"
    tools: list[Any] = []
    usage: ResponsesUsage
