"""The local LLM on transformers. Imports torch: load lazily."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from llamaduo.errors import ExtraMissing, ModelError, StageFailed
from llamaduo.inference.constraint import Grammars, Held
from llamaduo.inference.loading import load_model
from llamaduo.inference.protocol import Answer, Prompt
from llamaduo.inference.sampling import choose
from llamaduo.inference.stepping import Stepper, end_tokens
from llamaduo.records import Checkpoint, EngineKind, FinishReason, Message
from llamaduo.tasks.chat import encode_prompt


class TransformersEngine:
    """A :class:`~llamaduo.inference.protocol.LocalLLM` in this process.

    The prompts of a batch go through the model once; their cache is then repeated for the K
    answers of each, which differ only in what is drawn. Answers that end leave the batch.
    """

    kind: EngineKind = "transformers"

    def __init__(
        self, checkpoint: Checkpoint, *, batch_size: int = 8, as_trained: bool = False
    ) -> None:
        self.batch_size = batch_size
        self._checkpoint = checkpoint
        self._as_trained = as_trained
        self._tokenizer: Any = AutoTokenizer.from_pretrained(
            checkpoint.base, local_files_only=True, trust_remote_code=False
        )

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return encode_prompt(self._tokenizer, messages)

    def cannot_hold(self, schema: Mapping[str, Any]) -> str | None:
        try:
            return self._grammars.shortfall(schema)
        except (ExtraMissing, ModelError) as error:
            return f"{error.message} {error.hint}"

    def load(self, longest: int) -> None:  # noqa: ARG002 - memory is taken as it is needed
        """See the protocol.

        Raises:
            StageFailed: the model does not fit into memory.
            ModelError: it is not there.
        """
        with _in_memory("End what else holds the GPU's memory, or choose a smaller local.model."):
            _ = self._model

    def answer(
        self, prompts: Sequence[Prompt], *, temperature: float, top_p: float
    ) -> tuple[tuple[Answer, ...], ...]:
        """See the protocol.

        Raises:
            StageFailed: the batch does not fit into memory.
        """
        with _in_memory("Lower inference.batch_size."), torch.inference_mode():
            rows = self._generate(prompts, temperature, top_p)
        answers = [self._answer(*row) for row in rows]
        repeats = len(prompts[0].draws)
        return tuple(tuple(answers[i : i + repeats]) for i in range(0, len(answers), repeats))

    def close(self) -> None:
        for part in ("_model", "_stepper", "_ends", "_grammars"):
            self.__dict__.pop(part, None)
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

    @cached_property
    def _grammars(self) -> Grammars:
        rows = self._model.get_output_embeddings().weight.shape[0]
        return Grammars(self._tokenizer, rows, self._ends.tolist())

    def _generate(
        self, prompts: Sequence[Prompt], temperature: float, top_p: float
    ) -> list[tuple[list[int], bool]]:
        """The new tokens of every answer, prompt by prompt, the ending token included, and
        whether they are known to be what it is without a schema."""
        repeats, longest = len(prompts[0].draws), prompts[0].limit
        draws = torch.tensor(
            [row for prompt in prompts for row in prompt.draws],
            dtype=torch.float64,
            device=self._model.device,
        )
        held = [
            self._grammars.start(prompt.schema) if prompt.schema is not None else None
            for prompt in prompts
            for _ in range(repeats)
        ]
        produced: list[list[int]] = [[] for _ in range(len(prompts) * repeats)]
        rows = torch.arange(len(produced), device=self._model.device)  # those not yet ended
        state = self._stepper.read([prompt.tokens for prompt in prompts], [repeats] * len(prompts))
        for step in range(longest):
            uniforms = draws[rows, step]
            tokens = choose(state.logits, uniforms, temperature=temperature, top_p=top_p)
            if any(held):
                following = [held[row] for row in rows.tolist()]
                keep_to(
                    following, tokens, state.logits, uniforms, temperature=temperature, top_p=top_p
                )
            for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
                produced[row].append(token)
            going = (~torch.isin(tokens, self._ends)).nonzero().flatten()
            if step + 1 == longest or not len(going):
                break
            if len(going) < len(rows):
                rows, tokens = rows[going], tokens[going]
                state.keep(going)
            self._stepper.advance(state, tokens)
        untouched = [one is not None and one.untouched for one in held]
        return list(zip(produced, untouched, strict=True))

    def _answer(self, tokens: list[int], untouched: bool) -> Answer:
        ended = bool(tokens) and tokens[-1] in self._ends.tolist()
        text = self._tokenizer.decode(
            tokens[:-1] if ended else tokens,
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        finish: FinishReason = "stop" if ended else "length"
        return Answer(text, len(tokens), finish, untouched=untouched)


@contextmanager
def _in_memory(hint: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise StageFailed("Inference ran out of memory.", hint=hint) from error


def keep_to(
    held: Sequence[Held | None],
    tokens: Tensor,
    logits: Tensor,
    uniforms: Tensor,
    *,
    temperature: float,
    top_p: float,
) -> None:
    """Put another token in the place of each of ``tokens`` that its schema does not allow."""
    for row, (one, token) in enumerate(zip(held, tokens.tolist(), strict=True)):
        if one is None or one.takes(token):
            continue
        allowed = torch.frombuffer(bytearray(one.allowed()), dtype=torch.uint8)[: logits.shape[-1]]
        left = logits[row].masked_fill(~allowed.bool().to(logits.device), -torch.inf)
        # The number has been used up in part: it fell on what is not allowed. Its later digits
        # are as good as another.
        again = (uniforms[row] * 2**20).frac()
        tokens[row] = choose(left[None], again[None], temperature=temperature, top_p=top_p)[0]
        one.take(int(tokens[row]))
