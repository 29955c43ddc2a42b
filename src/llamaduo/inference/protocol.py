"""The seam behind which every engine that runs the local LLM looks alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llamaduo.records import EngineKind, FinishReason, Message


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt to answer ``len(draws)`` times.

    ``draws[k][i]`` is the number in [0, 1) that picks token i of answer k, so an answer depends
    on its own numbers and not on what else is in the batch. Their count bounds the answer. An
    engine that draws by itself goes by ``seeds[k]`` instead. Answers are held to ``schema``.
    """

    tokens: tuple[int, ...]
    draws: tuple[tuple[float, ...], ...]
    messages: tuple[Message, ...] = ()
    seeds: tuple[int, ...] = ()
    schema: Mapping[str, Any] | None = None

    @property
    def limit(self) -> int:
        """How many tokens an answer may have."""
        return len(self.draws[0])


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. ``new_tokens`` counts the token that ended it, if one did.

    ``seconds`` are those from its request to its end, where it had a request of its own.
    ``untouched``: it is known that the schema changed nothing in it.
    """

    text: str
    new_tokens: int
    finish: FinishReason
    seconds: float | None = None
    untouched: bool = False


class LocalLLM(Protocol):
    """A local model that answers batches of prompts."""

    @property
    def kind(self) -> EngineKind:
        """What runs it."""

    @property
    def batch_size(self) -> int:
        """How many prompts to hand over at once."""

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The prompt's token ids in the model's chat template."""

    def cannot_hold(self, schema: Mapping[str, Any]) -> str | None:
        """Why answers cannot be held to ``schema``, in words; None if they can."""

    def load(self, longest: int) -> None:
        """Bring the weights into memory, if they are not there; :meth:`answer` needs them. No
        prompt and answer will have more than ``longest`` tokens together."""

    def answer(
        self, prompts: Sequence[Prompt], *, temperature: float, top_p: float
    ) -> tuple[tuple[Answer, ...], ...]:
        """Every prompt's answers, in order. All prompts have as many draws as the first."""

    def close(self) -> None:
        """Let the weights go: whatever still refers to this object, their memory is free."""
