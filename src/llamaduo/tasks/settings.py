"""What the task is: the part of llamaduo.yaml that every prompt template reads."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TaskKind = Literal["free", "classification", "summarization", "coding", "closed_qa"]


class TaskSettings(BaseModel):
    """The ``task`` section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: TaskKind = Field("free", description="Chooses the prompt templates and the rubric.")
    topic: str = Field(
        "", description="What the prompts are about, in a few words; shown to the service LLM."
    )
    labels: tuple[str, ...] = Field(
        (), description="Classification: the responses that are allowed, if they are a closed set."
    )
    json_schema: dict[str, Any] | None = Field(
        None, description="The JSON Schema that every response must satisfy, if there is one."
    )
