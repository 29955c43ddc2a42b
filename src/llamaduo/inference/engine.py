"""The local LLM on transformers. Imports torch: load lazily."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, DynamicCache

from llamaduo.errors import StageFailed
from llamaduo.inference.loading import load_model
from llamaduo.inference.protocol import Answer, Prompt
from llamaduo.inference.sampling import choose
from llamaduo.records import Checkpoint, Message
from llamaduo.tasks.chat import encode_pair, encode_prompt


class TransformersEngine:
    """A :class:`~llamaduo.inference.protocol.LocalLLM` in this process.

    The prompts of a batch go through the model once; their cache is then repeated for the K
    answers of each, which differ only in what is drawn. Answers that end leave the batch.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
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
        for held in ("_model", "_ends"):
            self.__dict__.pop(held, None)
        gc.collect()  # the parts of a model refer to each other

    @cached_property
    def _model(self) -> Any:
        return load_model(self._checkpoint)

    @cached_property
    def _ends(self) -> Tensor:
        """The tokens that end an answer: the model's own, and what its template ends turns with."""
        configured = self._model.generation_config.eos_token_id
        ends = set(configured if isinstance(configured, list) else [configured])
        ends.add(self._tokenizer.eos_token_id)
        turn = encode_pair(self._tokenizer, [Message("user", "a")], "b").response
        special = {i for i, t in self._tokenizer.added_tokens_decoder.items() if t.special}
        ends.add(next((token for token in turn if token in special), None))
        return torch.tensor(sorted(ends - {None}), device=self._model.device)

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
        state = self._read(prompts, repeats)
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
            self._advance(state, tokens)
        return produced

    def _read(self, prompts: Sequence[Prompt], repeats: int) -> _State:
        """Run the prompts, padded on the left, and spread the result over their answers."""
        width = max(len(prompt.tokens) for prompt in prompts)
        tokens = torch.zeros(len(prompts), width, dtype=torch.long)  # any id does: masked
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(prompts):
            tokens[row, width - len(prompt.tokens) :] = torch.tensor(prompt.tokens)
            mask[row, width - len(prompt.tokens) :] = 1
        tokens, mask = tokens.to(self._model.device), mask.to(self._model.device)
        cache = DynamicCache(config=self._model.config)
        logits = self._forward(tokens, mask, (mask.cumsum(dim=-1) - 1).clamp(min=0), cache)
        cache.batch_repeat_interleave(repeats)
        return _State(
            logits.repeat_interleave(repeats, dim=0), mask.repeat_interleave(repeats, dim=0), cache
        )

    def _advance(self, state: _State, tokens: Tensor) -> None:
        """Append one token to every row."""
        position = state.mask.sum(dim=-1, keepdim=True)
        state.mask = torch.cat([state.mask, torch.ones_like(position)], dim=-1)
        state.logits = self._forward(tokens[:, None], state.mask, position, state.cache)

    def _forward(
        self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache
    ) -> Tensor:
        """The logits after the last token of each row: rows × vocabulary."""
        output = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]  # type: ignore[no-any-return]

    def _answer(self, tokens: list[int]) -> Answer:
        ended = bool(tokens) and tokens[-1] in self._ends.tolist()
        text = self._tokenizer.decode(
            tokens[:-1] if ended else tokens,
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        return Answer(text, len(tokens), "stop" if ended else "length")


@dataclass(slots=True)
class _State:
    """Where a batch stands: one row for each answer that has not ended."""

    logits: Tensor  # rows × vocabulary, for the next token
    mask: Tensor  # rows × tokens so far, 0 where padded
    cache: DynamicCache

    def keep(self, rows: Tensor) -> None:
        """Let the other rows go."""
        self.mask = self.mask[rows]
        self.cache.batch_select_indices(rows)
