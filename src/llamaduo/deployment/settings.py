"""What the bundle is made of, and how close it must stay to the model that was judged."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llamaduo.records import Form

Dtype = Literal["float32", "bfloat16"]
GgufKind = Literal["F16", "Q8_0"]


class DeploymentSettings(BaseModel):
    """The ``deployment`` section."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    form: Form = Field(
        "merged",
        description="merged: one model that needs nothing else; adapter: LoRA, which needs its"
        " base, and of which a server holds several at once.",
    )
    dtype: Dtype = Field("float32", description="Of merged weights; bfloat16 halves the file.")
    gguf: tuple[GgufKind, ...] = Field(
        (), description="Files for llama.cpp and Ollama: F16, Q8_0.", examples=[["Q8_0"]]
    )
    converter: str | None = Field(
        None,
        description="A llama.cpp checkout (or its convert_hf_to_gguf.py), for models that"
        " llamaduo's own GGUF writer does not cover.",
    )
    parity: float = Field(
        0.99,
        ge=0,
        le=1,
        description="Share of answers that must equal the training-time model's. What is"
        " quantized may instead lose (1 − parity) × 100 points of score.",
    )
    intended_use: str = Field("", description="For the model card, in a sentence.")
    languages: tuple[str, ...] = Field(
        (), description="For the model card: language codes.", examples=[["en", "de"]]
    )
