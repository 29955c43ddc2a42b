"""The local LLM: checkpoints, what training and inference measured, responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Author = Literal["base", "local", "service"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """π(t): the local LLM after ``cycle``, or the base model when ``cycle`` is None.

    ``base`` is a local folder with safetensors, ``adapter`` the folder of the LoRA adapter
    on top of it, or None where there is none or it is merged into the weights.
    """

    model: str
    base: str
    adapter: str | None = None
    cycle: int | None = None
    window: int
    """Tokens the model can attend to."""
    fingerprint: str = ""
    """Tells the files in ``base`` from those of another model; empty where nobody took it."""
    revision: str | None = None
    """The Hub's commit of ``base``, where it came from there."""

    @property
    def author(self) -> Author:
        return "base" if self.cycle is None else "local"


@dataclass(frozen=True, slots=True)
class BaseFigures:
    """``coverage/base.json``: which base model the run is about."""

    model: str
    window: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFigures:
    """What a fine-tuning measured. Losses are mean cross-entropy per response token, in nats."""

    pairs: int
    set_aside: int
    """Pairs longer than the window, counted and not trained on."""
    epochs: float
    steps: int
    tokens: int
    """Prompt and response tokens seen, all epochs."""
    seconds: float
    first_loss: float
    last_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """R̂: one answer to one test prompt. ``index`` runs from 0 to K − 1."""

    id: str
    pair_id: str
    index: int
    author: Author
    text: str
    finish: FinishReason
    prompt_tokens: int
    new_tokens: int
    seconds: float
    """Wall time of the batch it was generated in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceFigures:
    """What a batch inference measured."""

    prompts: int
    responses: int
    too_long: int
    """Prompts that do not fit the window, set aside and counted."""
    new_tokens: int
    seconds: float
    p50_seconds: float
    p95_seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.new_tokens / self.seconds if self.seconds else 0.0
