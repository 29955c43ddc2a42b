"""Batches and random numbers follow from the whole list alone."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.inference.batches import Encoded, draws, plan_batches

LENGTHS = st.lists(st.integers(1, 50), max_size=40)


def prompts(lengths: list[int]) -> list[Encoded]:
    return [Encoded(f"id{i}", (7,) * length) for i, length in enumerate(lengths)]


@given(LENGTHS, st.integers(1, 9))
def test_every_prompt_is_in_one_batch_and_longer_ones_come_first(
    lengths: list[int], size: int
) -> None:
    batches = plan_batches(prompts(lengths), size)
    flat = [prompt for batch in batches for prompt in batch]
    assert sorted(prompt.pair_id for prompt in flat) == sorted(
        prompt.pair_id for prompt in prompts(lengths)
    )
    assert [len(p.tokens) for p in flat] == sorted(lengths, reverse=True)
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(0 < len(batch) <= size for batch in batches)


@given(LENGTHS, st.integers(1, 9), st.integers())
def test_the_order_of_the_prompts_does_not_matter(lengths: list[int], size: int, seed: int) -> None:
    shuffled = prompts(lengths)
    random.Random(seed).shuffle(shuffled)
    assert plan_batches(shuffled, size) == plan_batches(prompts(lengths), size)


def test_each_response_has_its_own_numbers_and_they_can_be_drawn_again() -> None:
    numbers = draws(0, "a", 1, 50)
    assert numbers == draws(0, "a", 1, 50)
    assert len({numbers, draws(1, "a", 1, 50), draws(0, "b", 1, 50), draws(0, "a", 0, 50)}) == 4
    assert draws(0, "a", 1, 10) == numbers[:10]
    assert all(0 <= number < 1 for number in numbers)
