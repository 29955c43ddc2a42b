"""A model that is being served, and how a request to it becomes a job."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llamaduo.deployment.bundle import Generation
from llamaduo.errors import ModelError
from llamaduo.serving.asking import Refusal, Wish, refused
from llamaduo.serving.jobs import Engine, Job
from llamaduo.tasks.chat import encode_prompt, render_prompt

_SHRINKS = 4
"""At most so many bytes become one where a tokenizer normalizes its text first."""


@dataclass(frozen=True)
class Served:
    """``name`` is what clients call the model; ``window`` bounds prompt and answer together.

    ``generation`` is how it answers when a request does not say. Several may share ``engine``.
    """

    name: str
    generation: Generation
    window: int
    tokenizer: Any
    engine: Engine

    def job(self, wish: Wish) -> Job:
        """``wish`` in tokens. A long prompt takes a while: not for the event loop.

        Raises:
            Refusal: 400; the prompt leaves no room for an answer, or the chat template refuses
                the messages.
        """
        tokens = self._tokens(wish)
        room = self.window - len(tokens)
        if room < 1:
            raise self._too_long(f"{len(tokens)}")
        return Job(
            model=self.name,
            tokens=tokens,
            choices=wish.choices,
            limit=min(wish.limit, room),
            sampling=wish.sampling,
            seed=secrets.token_hex() if wish.seed is None else str(wish.seed),
            stops=wish.stops,
            schema=wish.schema,
        )

    def _tokens(self, wish: Wish) -> tuple[int, ...]:
        try:
            size = len(render_prompt(self.tokenizer, wish.messages).encode())
            fewest = size // self._longest_token
            if fewest >= self.window:  # a megabyte takes a second to count, and 100 of memory
                raise self._too_long(f"at least {fewest}")
            return encode_prompt(self.tokenizer, wish.messages)
        except ModelError as error:
            raise refused(f"messages: {error.message}", "messages") from error

    def _too_long(self, tokens: str) -> Refusal:
        return refused(
            f"The prompt has {tokens} tokens; with an answer of at least one, the window of"
            f" {self.window} tokens is too small.",
            "messages",
            "context_length_exceeded",
        )

    @cached_property
    def _longest_token(self) -> int:
        """The most bytes of text that one token can stand for."""
        longest = max(len(token.encode()) for token in self.tokenizer.get_vocab())
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        return longest if backend and backend.normalizer is None else longest * _SHRINKS
