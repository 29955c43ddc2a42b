"""Which service LLM, how it is reached and what it costs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Price(BaseModel):
    """US dollars per million tokens, for a model that the price table does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class ServiceSettings(BaseModel):
    """The ``service`` section, and each entry of ``judging.judges``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        "openai-chat:gpt-4o",
        description="PROVIDER:MODEL, as in openai-chat:gpt-4o (chat completions) or openai:gpt-4o.",
        pattern=r"^[a-z][a-z0-9-]*:\S+$",
        examples=["openai-chat:gpt-4o"],
    )
    base_url: str | None = Field(
        None, description="An OpenAI-compatible server instead of the provider's own address."
    )
    api_key_env: str = Field(
        "OPENAI_API_KEY", description="The environment variable that holds the key; never the key."
    )
    price: Price | None = Field(
        None, description="Dollars per million tokens, where the price table lacks the model."
    )
    concurrency: int = Field(8, ge=1, le=1024, description="Calls in flight at once.")
    timeout_seconds: float = Field(120.0, gt=0, description="For one attempt.")
    deadline_seconds: float = Field(
        1800.0, gt=0, description="How long one call is retried before the run stops, resumable."
    )
