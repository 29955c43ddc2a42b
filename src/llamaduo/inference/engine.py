"""The local LLM on transformers. Imports torch: load lazily."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from llamaduo.errors import StageFailed
from llamaduo.inference.loading import load_model
from llamaduo.inference.protocol import Answer, Prompt
from llamaduo.inference.sampling import choose
from llamaduo.inference.stepping import Stepper, end_tokens
from llamaduo.records import Checkpoint, Message
from llamaduo.tasks.chat import encode_prompt


class TransformersEngine:
    """A :class:`~llamaduo.inference.protocol.LocalLLM` in this process.

    The prompts of a batch go through the model once; their cache is then repeated for the K
    answers of each, which differ only in what is drawn. Answers that end leave the batch.
    """

    def __init__(self, checkpoint: Checkpoint, *, as_trained: bool = False) -> None:
        self._checkpoint = checkpoint
        self._as_trained = as_trained
        self._tokenizer: Any = AutoTokenizer.from_pretrained(
            checkpoint.base, local_files_only=True, trust_remote_code=False
        )

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return encode_prompt(self._tokenizer, messages)

    def load(self) -> None:
        _ = self._model

    def answer(
        self, prompts: Sequence[Prompt], *, temperature: float, top_p: float
    ) -> tuple[tuple[Answer, ...], ...]:
        """See the protocol.

        Raises:
            StageFailed: the batch does not fit into memory.
        """
        try:
            with torch.inference_mode():
                rows = self._generate(prompts, temperature, top_p)
        except torch.OutOfMemoryError as error:
            raise StageFailed(
                "Inference ran out of memory.", hint="Lower inference.batch_size."
            ) from error
        answers = [self._answer(row) for row in rows]
        repeats = len(prompts[0].draws)
        return tuple(tuple(answers[i : i + repeats]) for i in range(0, len(answers), repeats))

    def close(self) -> None:
        for held in ("_model", "_stepper", "_ends"):
            self.__dict__.pop(held, None)
        gc.collect()  # the parts of a model refer to each other

    @cached_property
    def _model(self) -> Any:
        return load_model(self._checkpoint, as_trained=self._as_trained)

    @cached_property
    def _stepper(self) -> Stepper:
        return Stepper(self._model)

    @cached_property
    def _ends(self) -> Tensor:
        ends = end_tokens(self._model, self._tokenizer)
        return torch.tensor(ends, device=self._model.device)

    def _generate(
        self, prompts: Sequence[Prompt], temperature: float, top_p: float
    ) -> list[list[int]]:
        """The new tokens of every answer, prompt by prompt, the ending token included."""
        repeats, longest = len(prompts[0].draws), len(prompts[0].draws[0])
        draws = torch.tensor(
            [row for prompt in prompts for row in prompt.draws],
            dtype=torch.float64,
            device=self._model.device,
        )
        produced: list[list[int]] = [[] for _ in range(len(prompts) * repeats)]
        rows = torch.arange(len(produced), device=self._model.device)  # those not yet ended
        state = self._stepper.read([prompt.tokens for prompt in prompts], [repeats] * len(prompts))
        for step in range(longest):
            tokens = choose(state.logits, draws[rows, step], temperature=temperature, top_p=top_p)
            for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
                produced[row].append(token)
            going = (~torch.isin(tokens, self._ends)).nonzero().flatten()
            if step + 1 == longest or not len(going):
                break
            if len(going) < len(rows):
                rows, tokens = rows[going], tokens[going]
                state.keep(going)
            self._stepper.advance(state, tokens)
        return produced

    def _answer(self, tokens: list[int]) -> Answer:
        ended = bool(tokens) and tokens[-1] in self._ends.tolist()
        text = self._tokenizer.decode(
            tokens[:-1] if ended else tokens,
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        return Answer(text, len(tokens), "stop" if ended else "length")
