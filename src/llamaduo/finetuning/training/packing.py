"""Pairs in rows, and rows as tensors: several pairs in a row do not see each other.

Three things keep them apart, and all three are needed: positions begin anew with every pair, no
attention mask is passed (transformers reads the borders off the positions only without one), and
the first token of a pair is nobody's target. Padding is on the right, where causal attention
never looks back from. Imports torch: load lazily.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from llamaduo.tasks.chat import EncodedPair

IGNORED = -100
"""The label that cross-entropy leaves out."""


def bins(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices of ``lengths`` in rows of at most ``size``: best fit, longest first.

    What is longer than ``size`` gets a row of its own.
    """
    rows: list[list[int]] = []
    room: list[int] = []  # how much is free somewhere, in order
    rows_with: dict[int, list[int]] = {}
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        place = bisect_left(room, lengths[index])
        if place == len(room):
            row, free = len(rows), size
            rows.append([])
        else:
            free = room[place]
            row = rows_with[free].pop()
            if not rows_with[free]:
                del rows_with[free], room[place]
        rows[row].append(index)
        left = free - lengths[index]
        if left > 0:
            if left not in rows_with:
                insort(room, left)
            rows_with.setdefault(left, []).append(row)
    return rows


@dataclass(frozen=True, slots=True)
class Rows(Dataset[dict[str, list[int]]]):
    """Pairs in rows, which are made when they are asked for: made beforehand they would take
    twice the memory of the pairs. ``None`` asks for a row that there is nothing to learn from."""

    groups: tuple[tuple[EncodedPair, ...], ...]

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[dict[str, list[int]]]:
        return map(_row, self.groups)

    def __getitem__(self, place: int | None) -> dict[str, list[int]]:
        if place is None:
            return {"input_ids": [0], "labels": [IGNORED], "lengths": [1]}
        return _row(self.groups[place])

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [sum(map(len, group)) for group in self.groups]


def rows_of(pairs: Sequence[EncodedPair], *, size: int | None, seed: int) -> Rows:
    """``pairs`` as rows to train on: a pair each, or packed into rows of ``size`` tokens.

    Which pairs of the same length come together hangs on the ``seed``, not on where they stand.
    """
    if size is None:
        return Rows(tuple((pair,) for pair in pairs))
    shuffled = random.Random(seed).sample(pairs, len(pairs))
    packed = bins([len(pair) for pair in shuffled], size)
    return Rows(tuple(tuple(shuffled[i] for i in group) for group in packed))


def example(pair: EncodedPair) -> dict[str, list[int]]:
    """The tokens of ``pair``, and as labels those that it is to learn."""
    labels = [IGNORED] * len(pair.prompt) + list(pair.response)
    for begin, end in pair.earlier:
        labels[begin:end] = pair.prompt[begin:end]
    return {"input_ids": [*pair.prompt, *pair.response], "labels": labels}


def _row(pairs: Sequence[EncodedPair]) -> dict[str, list[int]]:
    examples = [example(pair) for pair in pairs]
    for each in examples:
        each["labels"][0] = IGNORED  # or the pair before it would be trained to foretell it
    return {
        "input_ids": [token for each in examples for token in each["input_ids"]],
        "labels": [label for each in examples for label in each["labels"]],
        "lengths": [len(pair) for pair in pairs],
    }


@dataclass(frozen=True, slots=True)
class Collator:
    """Rows of :func:`rows_of` as what a model takes, and ``tokens``: how many, less padding.

    ``flat`` lays them behind each other in a single row, without any padding, and says where
    each pair begins: for attention that goes pair by pair.
    """

    pad_token: int
    flat: bool

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return self._in_one(rows) if self.flat else self._side_by_side(rows)

    def _in_one(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        lengths = [length for row in rows for length in row["lengths"]]
        borders = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
        return {
            "input_ids": torch.tensor([[token for row in rows for token in row["input_ids"]]]),
            "labels": torch.tensor([[label for row in rows for label in row["labels"]]]),
            "position_ids": _positions(lengths)[None],
            "cu_seq_lens_q": borders,
            "cu_seq_lens_k": borders,
            "max_length_q": max(lengths),
            "max_length_k": max(lengths),
            "tokens": sum(lengths),
        }

    def _side_by_side(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        width = max(len(row["input_ids"]) for row in rows)
        shape = (len(rows), width)
        ids = torch.full(shape, self.pad_token)
        labels = torch.full(shape, IGNORED)
        positions = torch.empty(shape, dtype=torch.long)
        for place, row in enumerate(rows):
            size = len(row["input_ids"])
            ids[place, :size] = torch.tensor(row["input_ids"])
            labels[place, :size] = torch.tensor(row["labels"])
            *others, last = row["lengths"]
            positions[place] = _positions([*others, last + width - size])
        return {
            "input_ids": ids,
            "labels": labels,
            "position_ids": positions,
            "tokens": sum(len(row["input_ids"]) for row in rows),
        }


def _positions(lengths: Sequence[int]) -> Tensor:
    return torch.cat([torch.arange(length) for length in lengths])
