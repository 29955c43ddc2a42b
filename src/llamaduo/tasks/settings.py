"""What the task is: the part of llamaduo.yaml that every prompt template reads."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

TaskKind = Literal["free", "classification", "summarization", "coding", "closed_qa"]


class TaskSettings(BaseModel):
    """The ``task`` section."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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

    @field_validator("json_schema")
    @classmethod
    def _is_a_schema(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if schema is None:
            return None
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for

        try:
            validator_for(schema).check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from None
        except (AttributeError, TypeError):
            raise ValueError("not a JSON Schema: its $schema is not a text") from None
        return schema
