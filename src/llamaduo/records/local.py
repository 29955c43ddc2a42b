"""The local LLM: checkpoints, responses, what inference measured."""

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
    latency: float | None = None
    """From its own request to its answer, where it had one: on a server, or in llama.cpp."""
    unconstrained: str | None = None
    """Where the text was held to a JSON schema: what it is without that, all else alike."""
    memory_bytes: int | None = None
    """The most that the process, or its GPU, had held when it was done; None for a server."""


EngineKind = Literal["transformers", "xllamacpp", "openai"]
"""What runs the local LLM to assess it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceFigures:
    """What a batch inference measured. None: not measured, as in runs from before it was."""

    prompts: int
    responses: int
    too_long: int
    """Prompts that do not fit the window, set aside and counted."""
    new_tokens: int
    seconds: float
    p50_seconds: float
    p95_seconds: float
    truncated: int | None = None
    """Responses that ended at the limit of tokens."""
    empty: int | None = None
    """Responses without any text but white space."""
    constrained: int | None = None
    """Responses that were held to a JSON schema."""
    engine: EngineKind | None = None
    peak_memory_bytes: int | None = None
    """The most that the process, or its GPU, held; None also where a server ran the model."""

    @property
    def tokens_per_second(self) -> float:
        return self.new_tokens / self.seconds if self.seconds else 0.0
