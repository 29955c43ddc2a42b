"""How a model on transformers goes forward: read prompts, then one token a row and step.

The one place that knows caches, masks and positions; batch inference and serving both step
through it. Imports torch: load lazily.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from llamaduo.records import Message
from llamaduo.tasks.chat import encode_pair

_SPARE = 64
"""Columns that a cache keeps free for the next tokens."""


class _Growing:
    """A tensor that grows along its tokens, in a place with room for more.

    transformers copies all of it for every token: of eight rows with a thousand tokens each, a
    quarter of the time of a step.
    """

    def __init__(self) -> None:
        self._shown: ref[Tensor] | None = None  # weak: what is replaced is to be freed at once
        self._room = 0

    def append(self, held: Tensor | None, new: Tensor) -> Tensor:
        """``held`` and ``new`` after it. What is ``held`` may have been replaced meanwhile."""
        start = 0 if held is None or not held.numel() else held.shape[-2]
        end = start + new.shape[-2]
        size = (*new.shape[:-2], end, new.shape[-1])
        if held is not None and self._shown and held is self._shown() and end <= self._room:
            shown = held.as_strided(size, held.stride())
        else:
            self._room = end + _SPARE
            shown = new.new_empty(*size[:-2], self._room, size[-1])[..., :end, :]
            if held is not None and start:
                shown[..., :start, :].copy_(held)
        shown[..., start:, :].copy_(new)
        self._shown = ref(shown)
        return shown


class _RoomyLayer(DynamicLayer):
    """A plain layer of a cache, with one column for every token, and room for more."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._grown = _Growing(), _Growing()

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        keys, values = self._grown
        self.keys = keys.append(self.keys, key_states)
        self.values = values.append(self.values, value_states)
        return self.keys, self.values


def _cache(model: Any) -> DynamicCache:
    """An empty cache for ``model``; layers that slide or have a state are left as they are."""
    cache = DynamicCache(config=model.config)
    cache.layers = [
        _RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


@dataclass(slots=True)
class Rows:
    """Where a batch stands: one row for each answer that has not ended."""

    logits: Tensor  # rows × vocabulary, for the next token
    mask: Tensor  # rows × tokens so far, 0 where padded on the left
    cache: Any  # a DynamicCache

    def __len__(self) -> int:
        return len(self.mask)

    def keep(self, rows: Tensor) -> None:
        """Let the other rows go."""
        self.mask = self.mask[rows]
        self.logits = self.logits[rows]
        self.cache.batch_select_indices(rows)

    def trim(self) -> None:
        """Let columns go that no row has a token in: the longest row may have left."""
        spare = int(self.mask.any(dim=0).to(torch.uint8).argmax())
        if spare and _joinable(self.cache):
            self.mask = self.mask[:, spare:]
            for layer in self.cache.layers:
                layer.keys = layer.keys[..., spare:, :]
                layer.values = layer.values[..., spare:, :]

    def join(self, others: Rows) -> None:
        """Take ``others`` in, below the rows that are here. See :attr:`Stepper.joinable`."""
        mine, theirs = self.mask.shape[1], others.mask.shape[1]
        left, right = max(0, theirs - mine), max(0, mine - theirs)
        self.mask = torch.cat([pad(self.mask, (left, 0)), pad(others.mask, (right, 0))])
        self.logits = torch.cat([self.logits, others.logits])
        for layer, other in zip(self.cache.layers, others.cache.layers, strict=True):
            layer.keys = _joined(layer.keys, left, other.keys, right)
            layer.values = _joined(layer.values, left, other.values, right)


def _joined(upper: Tensor, left: int, lower: Tensor, right: int) -> Tensor:
    """Rows below rows, both padded on the left to one length: rows × heads × tokens × size."""
    return torch.cat([pad(upper, (0, 0, left, 0)), pad(lower, (0, 0, right, 0))])


def _joinable(cache: DynamicCache) -> bool:
    """Whether ``cache`` is plain, with one column for every token.

    A sliding window, or the state of linear attention, counts its steps once for all rows of a
    batch: rows that began apart cannot share it.
    """
    return all(isinstance(layer, _RoomyLayer) for layer in cache.layers)


class Stepper:
    """A model that goes forward under :class:`Rows`."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def joinable(self) -> bool:
        """Whether rows can join others that began before them."""
        return _joinable(_cache(self._model))

    def read(self, prompts: Sequence[Sequence[int]], repeats: Sequence[int]) -> Rows:
        """Run ``prompts``, padded on the left, and spread each over its number of answers."""
        width = max(len(prompt) for prompt in prompts)
        tokens = torch.zeros(len(prompts), width, dtype=torch.long)  # any id does: masked
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(prompts):
            tokens[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        tokens, mask = tokens.to(self._model.device), mask.to(self._model.device)
        cache = _cache(self._model)
        logits = self._forward(tokens, mask, (mask.cumsum(dim=-1) - 1).clamp(min=0), cache)
        rows = Rows(logits, mask, cache)
        if any(count != 1 for count in repeats):
            each = torch.arange(len(prompts)).repeat_interleave(torch.tensor(repeats))
            rows.keep(each.to(mask.device))
        return rows

    def advance(self, rows: Rows, tokens: Tensor) -> None:
        """Append one token to every row; its logits are then those for the next."""
        position = rows.mask.sum(dim=-1, keepdim=True)
        rows.mask = torch.cat([rows.mask, torch.ones_like(position)], dim=-1)
        rows.logits = self._forward(tokens[:, None], rows.mask, position, rows.cache)

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


def end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """The tokens that end an answer: the model's own, and what its template ends turns with."""
    configured = model.generation_config.eos_token_id
    ends = set(configured if isinstance(configured, list) else [configured])
    ends.add(tokenizer.eos_token_id)
    turn = encode_pair(tokenizer, [Message("user", "a")], "b").response
    special = {i for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    ends.add(next((token for token in turn if token in special), None))
    return tuple(sorted(ends - {None}))
