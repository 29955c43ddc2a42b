"""The seam behind which every engine that runs the local LLM looks alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llamaduo.records import FinishReason, Message


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt to answer ``len(draws)`` times.

    ``draws[k][i]`` is the number in [0, 1) that picks token i of answer k, so an answer depends
    on its own numbers and not on what else is in the batch. Their count bounds the answer.
    """

    tokens: tuple[int, ...]
    draws: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. ``new_tokens`` counts the token that ended it, if one did."""

    text: str
    new_tokens: int
    finish: FinishReason


class LocalLLM(Protocol):
    """A local model that answers batches of prompts."""

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The prompt's token ids in the model's chat template."""

    def load(self) -> None:
        """Bring the weights into memory, if they are not there; :meth:`answer` needs them."""

    def answer(
        self, prompts: Sequence[Prompt], *, temperature: float, top_p: float
    ) -> tuple[tuple[Answer, ...], ...]:
        """Every prompt's answers, in order. All prompts have as many draws as the first."""

    def close(self) -> None:
        """Let the weights go: whatever still refers to this object, their memory is free."""
