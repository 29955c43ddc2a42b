"""The order of rows: each once, the same for the same seed and epoch, like lengths together."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.finetuning.launch import halve
from llamaduo.finetuning.training.order import StepOrder, order
from llamaduo.records import Forecast, Recipe

LENGTHS = st.lists(st.integers(1, 60), max_size=300)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_every_row_comes_once_and_the_longest_first(
    lengths: list[int], per_step: int, seed: int, epoch: int
) -> None:
    rows = order(lengths, per_step, seed=seed, epoch=epoch)
    assert sorted(rows) == list(range(len(lengths)))
    assert rows == order(lengths, per_step, seed=seed, epoch=epoch)
    if lengths:
        assert lengths[rows[0]] == max(lengths)


def test_epochs_and_seeds_differ() -> None:
    lengths = [10] * 50
    orders = {
        json.dumps(order(lengths, 4, seed=seed, epoch=epoch)) for seed in (0, 1) for epoch in (0, 1)
    }
    assert len(orders) == 4


def test_like_lengths_come_together() -> None:
    lengths = [1, 100] * 400
    rows = order(lengths, 4, seed=0, epoch=0)
    steps = [rows[i : i + 4] for i in range(0, len(rows), 4)]
    mixed = [step for step in steps if len({lengths[i] for i in step}) == 2]
    assert len(mixed) <= len(lengths) // (4 * 50)


def test_the_sampler_follows_the_epoch_it_is_asked_in() -> None:
    epoch = 0
    sampler = StepOrder([5] * 20, 2, seed=3, epoch=lambda: epoch)
    first = list(sampler)
    epoch = 1
    assert len(sampler) == 20
    assert list(sampler) == order([5] * 20, 2, seed=3, epoch=1) != first


def test_the_last_rows_of_several_processes_are_filled_up_with_nothing() -> None:
    sampler = StepOrder([5] * 10, 8, seed=0, epoch=lambda: 0, together=4)
    assert len(sampler) == len(list(sampler)) == 12
    assert list(sampler)[:10] == order([5] * 10, 8, seed=0, epoch=0)
    assert list(sampler)[10:] == [None, None]


RECIPE = Recipe(
    method="lora",
    dtype="float32",
    epochs=1,
    learning_rate=1e-3,
    warmup=0.1,
    window=64,
    packing=False,
    micro_batch=4,
    accumulation=1,
    lora_rank=8,
    lora_alpha=16,
    lora_dropout=0.0,
    activation_checkpointing=False,
    attention="sdpa",
    liger=False,
    validation_pairs=0,
    patience=0,
    save_every_seconds=0,
    processes=0,
    report_to=(),
    seed=0,
    reasons={},
    forecast=Forecast(seconds=0, memory_bytes=0, tokens=0, steps=0),
)


@given(st.integers(1, 64), st.integers(1, 16))
def test_halving_keeps_the_rows_of_a_step_and_ends_at_one(micro: int, accumulation: int) -> None:
    recipe: Recipe | None = replace(RECIPE, micro_batch=micro, accumulation=accumulation)
    sizes = []
    while recipe is not None:
        assert recipe.rows_in_a_step == micro * accumulation
        sizes.append(recipe.micro_batch)
        recipe = halve(recipe)
    assert sizes[-1] == 1
    assert all(2 * after <= before for before, after in pairwise(sizes))
