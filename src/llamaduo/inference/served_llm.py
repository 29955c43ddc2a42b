"""The local LLM behind a server that speaks the OpenAI API: vLLM, SGLang, Ollama, our own.

The server renders its own chat template. Ours only counts, and says where the two differ.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from llamaduo.inference.protocol import Answer, Prompt
from llamaduo.inference.served import (
    REFUSED,
    Asked,
    RequestRefused,
    Served,
    ServedAnswer,
    Server,
)
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import Checkpoint, EngineKind, Event, Message, Notify
from llamaduo.tasks.chat import encode_prompt

PATIENCE = 300.0
"""Seconds for which a server that is away or busy is asked again."""
_ROUNDS = 4
"""A batch has work for this many rounds of all connections: few of them wait for its last."""


class ServedLLM:
    """A :class:`~llamaduo.inference.protocol.LocalLLM` at ``served``.

    The K answers to a prompt are asked for at once, so that the server reads it once, with the
    seed of the first; one by one, each with its own seed, where it takes no ``n``. Whether a seed
    gives the same answer again is the server's affair.
    """

    kind: EngineKind = "openai"

    def __init__(
        self, checkpoint: Checkpoint, served: Served, settings: InferenceSettings, notify: Notify
    ) -> None:
        from transformers import AutoTokenizer

        self.batch_size = max(settings.batch_size, _ROUNDS * settings.concurrency)
        self._served = served
        self._notify = notify
        self._concurrency = settings.concurrency
        self._server = Server(
            served.url,
            served.token,
            timeout=settings.timeout_seconds,
            patience=PATIENCE,
            connections=settings.concurrency,
            token_env=settings.token_env,
        )
        self._tokenizer: Any = AutoTokenizer.from_pretrained(
            checkpoint.base, local_files_only=True, trust_remote_code=False
        )
        self._takes_n = True
        self._warned: set[str] = set()

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return encode_prompt(self._tokenizer, messages)

    def cannot_hold(self, schema: Mapping[str, Any]) -> str | None:
        """Tried with one token: a server that does not know schemas, or this one, refuses it."""
        asked = Asked(messages=[Message("user", "?")], max_new_tokens=1, schema=schema)
        try:
            self._server.chat(self._served.model, asked)
        except RequestRefused as refused:
            if refused.status in REFUSED:
                return refused.message
            raise
        return None

    def load(self, longest: int) -> None:
        """The server has it, with the window that it was started with."""

    def answer(
        self, prompts: Sequence[Prompt], *, temperature: float, top_p: float
    ) -> tuple[tuple[Answer, ...], ...]:
        """See the protocol.

        Raises:
            ServiceUnavailable: the server does not answer, or not with success.
            UsageError: it does not speak the API, or has no such model.
        """

        def ask(prompt: Prompt) -> tuple[ServedAnswer, ...]:
            asked = Asked(
                messages=prompt.messages,
                max_new_tokens=prompt.limit,
                temperature=temperature,
                top_p=top_p,
                choices=len(prompt.seeds),
                schema=prompt.schema,
            )
            return self._all(asked, prompt.seeds)

        with ThreadPoolExecutor(self._concurrency, "llamaduo-asking") as pool:
            try:
                found = list(pool.map(ask, prompts))
            except BaseException:
                self._server.close()  # the others give up, where a server is away
                raise
        self._warn_of_other_tokens(prompts, found)
        self._warn_of_other_sampling()
        return tuple(tuple(one.answer for one in row) for row in found)

    def close(self) -> None:
        self._server.close()

    def _all(self, asked: Asked, seeds: Sequence[int]) -> tuple[ServedAnswer, ...]:
        """An answer for each of ``seeds``."""
        found: tuple[ServedAnswer, ...] = ()
        if self._takes_n and asked.choices > 1:
            found = self._together(replace(asked, seed=seeds[0]))[: len(seeds)]
        left = seeds[len(found) :]
        return (*found, *(self._alone(replace(asked, choices=1, seed=seed)) for seed in left))

    def _together(self, asked: Asked) -> tuple[ServedAnswer, ...]:
        try:
            found = self._timed(asked)
        except RequestRefused as refused:
            if refused.status not in REFUSED:
                raise
            self._takes_n = False
            return ()
        if len(found) < asked.choices:
            self._takes_n = False
        if len(found) == 1:  # the count is of this answer, as if it had been asked for alone
            return found
        return tuple(self._counted(one, asked.max_new_tokens) for one in found)

    def _alone(self, asked: Asked) -> ServedAnswer:
        found = self._timed(asked)[0]
        return found if found.answer.new_tokens else self._counted(found, asked.max_new_tokens)

    def _timed(self, asked: Asked) -> tuple[ServedAnswer, ...]:
        begun = time.monotonic()
        found = self._server.chat(self._served.model, asked)
        seconds = time.monotonic() - begun
        return tuple(replace(one, answer=replace(one.answer, seconds=seconds)) for one in found)

    def _counted(self, one: ServedAnswer, limit: int) -> ServedAnswer:
        """With the tokens counted by us: a server counts those of all its answers together."""
        text = len(self._tokenizer(one.answer.text, add_special_tokens=False)["input_ids"])
        tokens = limit if one.answer.finish == "length" else min(text + 1, limit)
        return replace(one, answer=replace(one.answer, new_tokens=tokens))

    def _warn_of_other_tokens(
        self, prompts: Sequence[Prompt], found: Sequence[Sequence[ServedAnswer]]
    ) -> None:
        """A server with another chat template runs another model than the one trained."""
        apart = sum(
            row[0].prompt_tokens not in (None, len(prompt.tokens))
            for prompt, row in zip(prompts, found, strict=True)
        )
        if apart:
            self._warn(
                "tokens",
                f"{self._served.url} counts other tokens than training in {apart} of"
                f" {len(prompts)} prompts: its chat template is not the model's",
            )

    def _warn_of_other_sampling(self) -> None:
        if not self._server.exact:
            self._warn(
                "sampling",
                f"{self._served.url} takes no top_k, min_p and repetition_penalty: where it has"
                " values of its own for them, they bend the answers",
            )

    def _warn(self, about: str, detail: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            self._notify(Event("infer", 0, None, "warning", detail))
