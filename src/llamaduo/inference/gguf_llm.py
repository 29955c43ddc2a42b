"""The local LLM on llama.cpp for batch inference. Prompts are the tokens of our own template."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from llamaduo.errors import ModelError
from llamaduo.inference.llamacpp import (
    LlamaCpp,
    answer_of,
    completion,
    load_gguf,
    require_llamacpp,
    threads_told,
)
from llamaduo.inference.protocol import Answer, Prompt
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import Checkpoint, EngineKind, Message
from llamaduo.tasks.chat import encode_prompt

_MOST_SLOTS = 16
"""Conversations at once: beyond this a processor gains nothing, and each takes a window."""


class GgufLLM:
    """A :class:`~llamaduo.inference.protocol.LocalLLM` of the GGUF file ``path``, which holds
    the weights of ``checkpoint``.

    Each answer has a slot of llama.cpp's and a seed of its own. What is written at the same time
    changes llama.cpp's sums in their last bits, so that now and then a sampled answer comes out
    otherwise than it did before.
    """

    kind: EngineKind = "xllamacpp"

    def __init__(self, checkpoint: Checkpoint, path: Path, settings: InferenceSettings) -> None:
        from transformers import AutoTokenizer

        require_llamacpp()
        self.batch_size = settings.batch_size
        self._path = path
        self._slots = min(_MOST_SLOTS, settings.batch_size * settings.responses_per_prompt)
        self._server: LlamaCpp | None = None
        self._tokenizer: Any = AutoTokenizer.from_pretrained(
            checkpoint.base, local_files_only=True, trust_remote_code=False
        )

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return encode_prompt(self._tokenizer, messages)

    def cannot_hold(self, schema: Mapping[str, Any]) -> str | None:
        """Tried with one token: what its grammar does not know, it refuses or leaves free."""
        request = completion(
            self.encode([Message("user", "?")]),
            limit=1,
            temperature=0.0,
            top_p=1.0,
            seed=0,
            schema=schema,
        )
        try:
            self._complete(request)
        except ModelError as error:
            return error.message
        return None

    def load(self, longest: int) -> None:
        if self._server is None:
            self._server = load_gguf(
                self._path, window=longest, slots=self._slots, threads=threads_told()
            )

    def answer(
        self, prompts: Sequence[Prompt], *, temperature: float, top_p: float
    ) -> tuple[tuple[Answer, ...], ...]:
        """See the protocol.

        Raises:
            ModelError: llama.cpp refuses a prompt.
        """

        def ask(one: tuple[Prompt, int]) -> Answer:
            prompt, seed = one
            request = completion(
                prompt.tokens,
                limit=prompt.limit,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
                schema=prompt.schema,
            )
            return self._complete(request)

        each = [(prompt, seed) for prompt in prompts for seed in prompt.seeds]
        with ThreadPoolExecutor(self._slots, "llamaduo-gguf") as pool:
            answers = list(pool.map(ask, each))
        repeats = len(prompts[0].seeds)
        return tuple(tuple(answers[i : i + repeats]) for i in range(0, len(answers), repeats))

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _complete(self, request: dict[str, Any]) -> Answer:
        assert self._server is not None  # noqa: S101 - load() came first
        begun = time.monotonic()
        answer = answer_of(self._server.handle_completions(request))
        return replace(answer, seconds=time.monotonic() - begun)
