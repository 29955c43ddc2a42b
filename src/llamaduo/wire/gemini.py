"""The shapes of the Gemini API, as far as llamaduo speaks it: text in, text out.

The same bodies go to Google AI Studio and to Vertex. Fields have Python's names here and the
API's on the wire (``maxOutputTokens``). Source: Google's API reference and its Python SDK.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

_ASKED = ConfigDict(extra="allow", alias_generator=to_camel)
_SAID = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Part(BaseModel):
    """One part of a turn. Images, files and function calls have other fields than ``text``."""

    model_config = ConfigDict(extra="allow")

    text: str


class Content(BaseModel):
    """One turn, or the system prompt."""

    model_config = ConfigDict(extra="allow")

    role: Literal["user", "model"] = "user"
    parts: list[Part] = Field(min_length=1)

    @property
    def text(self) -> str:
        """The parts as one string."""
        return "".join(part.text for part in self.parts)


class GenerationConfig(BaseModel):
    """How to reply. A schema comes as OpenAPI (``response_schema``) or as JSON Schema."""

    model_config = _ASKED

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_output_tokens: int | None = Field(None, ge=1)
    seed: int | None = None
    candidate_count: int | None = Field(None, ge=1)
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None

    @property
    def schema_asked(self) -> dict[str, Any] | None:
        """The schema that the reply must have, if one was asked for."""
        return self.response_json_schema or self.response_schema

    @model_validator(mode="after")
    def _schema_goes_with_json(self) -> Self:
        if self.response_schema and self.response_json_schema:
            raise ValueError("responseSchema and responseJsonSchema exclude each other")
        if self.schema_asked and self.response_mime_type != "application/json":
            raise ValueError("a response schema needs responseMimeType: application/json")
        return self


class GeminiRequest(BaseModel):
    """The body of ``POST /v1beta/models/MODEL:generateContent``."""

    model_config = _ASKED

    contents: list[Content] = Field(min_length=1)
    system_instruction: Content | None = None
    generation_config: GenerationConfig = GenerationConfig()
    tools: list[Any] | None = None


class Candidate(BaseModel):
    """One reply. ``content`` is missing where safety took it away."""

    model_config = _SAID

    content: Content | None = None
    finish_reason: Literal["STOP", "MAX_TOKENS", "SAFETY"]
    index: int = 0


class PromptFeedback(BaseModel):
    """Why a prompt was blocked, and so has no candidates."""

    model_config = _SAID

    block_reason: Literal["SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "OTHER"]


class UsageMetadata(BaseModel):
    """What a call is billed by, in tokens."""

    model_config = _SAID

    prompt_token_count: int
    candidates_token_count: int | None = None
    total_token_count: int
    cached_content_token_count: int | None = None


class GeminiReply(BaseModel):
    """The body of a reply with status 200. Unset fields are left out on the wire."""

    model_config = _SAID

    candidates: list[Candidate] | None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata
    model_version: str
    response_id: str


class FieldViolation(BaseModel):
    """A field of the request and what is wrong with it."""

    field: str
    description: str


class ErrorInfo(BaseModel):
    """One entry of ``details``: a bad request's fields, or how long to wait."""

    type: str = Field(serialization_alias="@type")
    field_violations: list[FieldViolation] | None = Field(
        None, serialization_alias="fieldViolations"
    )
    retry_delay: str | None = Field(None, serialization_alias="retryDelay")


class GoogleErrorDetail(BaseModel):
    """What went wrong. ``status`` is the name of the code among Google's APIs."""

    code: int
    message: str
    status: str
    details: list[ErrorInfo] | None = None


class GoogleError(BaseModel):
    """The body of every reply that is not a success."""

    error: GoogleErrorDetail


class GeminiModel(BaseModel):
    """One model that AI Studio knows. ``name`` is ``models/ID``."""

    model_config = _SAID

    name: str
    version: str
    display_name: str
    input_token_limit: int = 1_048_576
    output_token_limit: int = 65_536
    supported_generation_methods: list[str] = ["generateContent"]


class GeminiModelList(BaseModel):
    """The body of ``GET /v1beta/models``, all on one page."""

    models: list[GeminiModel]


class PublisherModel(BaseModel):
    """One model that Vertex knows. ``name`` is ``publishers/google/models/ID``."""

    model_config = _SAID

    name: str
    version_id: str
    display_name: str


class PublisherModelList(BaseModel):
    """The body of ``GET /v1beta1/publishers/google/models``, all on one page."""

    model_config = _SAID

    publisher_models: list[PublisherModel]
