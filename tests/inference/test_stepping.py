"""Rows that join, leave and are padded go forward as they would alone."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM

from llamaduo.inference.stepping import Rows, Stepper
from llamaduo.records import Checkpoint


@pytest.fixture(scope="module")
def stepper(tiny: Checkpoint) -> Stepper:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny.base, dtype=torch.float32)
    return Stepper(model.eval())


def token(step: int) -> int:
    return 30 + step * 7 % 400


def alone(stepper: Stepper, prompt: list[int], steps: int) -> torch.Tensor:
    rows = stepper.read([prompt], [1])
    for step in range(steps):
        stepper.advance(rows, torch.tensor([token(step)]))
    return rows.logits[0]


ARRIVALS = st.lists(
    st.tuples(st.integers(1, 12), st.integers(0, 5), st.integers(1, 8)), min_size=1, max_size=5
)


@settings(max_examples=25)
@given(ARRIVALS)
def test_rows_that_join_and_leave_are_as_if_alone(
    stepper: Stepper, arrivals: list[tuple[int, int, int]]
) -> None:
    """Each arrival: the length of its prompt, the step at which it joins, the steps it stays."""
    with torch.inference_mode():
        batch: Rows | None = None
        here: list[list[int]] = []  # number of the arrival, steps done
        seen = {}
        for now in range(14):
            for number, (length, joins, _) in enumerate(arrivals):
                if joins == now:
                    new = stepper.read([[40 + number] * length], [1])
                    here.append([number, 0])
                    if batch is None:
                        batch = new
                    else:
                        batch.join(new)
            if batch is None:
                continue
            stepper.advance(batch, torch.tensor([token(done) for _, done in here]))
            for row, (number, done) in enumerate(here):
                seen[number, done + 1] = batch.logits[row]
            here = [[number, done + 1] for number, done in here]
            going = [i for i, (number, done) in enumerate(here) if done < arrivals[number][2]]
            here = [here[i] for i in going]
            batch.keep(torch.tensor(going, dtype=torch.long))
            if going:
                batch.trim()
                assert batch.mask.any(dim=0).all()  # no column is spare
            else:
                batch = None
        for number, (length, _, stays) in enumerate(arrivals):
            expected = alone(stepper, [40 + number] * length, stays)
            torch.testing.assert_close(seen[number, stays], expected, atol=1e-4, rtol=1e-4)


def test_prompts_are_read_once_and_spread(stepper: Stepper) -> None:
    with torch.inference_mode():
        rows = stepper.read([[40] * 3, [41] * 7], [2, 3])
        assert len(rows) == 5
        for row, prompt in enumerate([[40] * 3] * 2 + [[41] * 7] * 3):
            torch.testing.assert_close(rows.logits[row], alone(stepper, prompt, 0))


def test_a_sliding_window_is_not_joined() -> None:
    config = MistralConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=8,
    )
    assert not Stepper(MistralForCausalLM(config)).joinable
    config.sliding_window = None
    assert Stepper(MistralForCausalLM(config)).joinable


def test_a_cache_grows_in_place(stepper: Stepper) -> None:
    """Appending a token copies no other: a long answer would be slow to write."""
    with torch.inference_mode():
        rows = stepper.read([[40] * 3, [41] * 7], [1, 2])
        stepper.advance(rows, torch.tensor([50, 51, 52]))
        layer = rows.cache.layers[0]
        places = layer.keys.data_ptr(), layer.values.data_ptr()
        for step in range(20):
            stepper.advance(rows, torch.full((3,), 40 + step))
        assert layer.keys.shape[-2] == 28
        assert (layer.keys.data_ptr(), layer.values.data_ptr()) == places


def test_an_answer_longer_than_the_cache_has_room_for(stepper: Stepper) -> None:
    with torch.inference_mode():
        rows = stepper.read([[40, 41]], [1])
        more = [40 + step % 20 for step in range(150)]
        for one in more:
            stepper.advance(rows, torch.tensor([one]))
        whole = stepper.read([[40, 41, *more]], [1])
        torch.testing.assert_close(rows.logits, whole.logits, atol=1e-4, rtol=1e-4)


def test_rows_that_are_let_go_are_freed(stepper: Stepper) -> None:
    with torch.inference_mode():
        rows = stepper.read([[40] * 3, [41] * 7], [1, 2])
        stepper.advance(rows, torch.tensor([50, 51, 52]))
        held = weakref.ref(rows.cache.layers[0].keys.untyped_storage())
        assert held() is not None
        rows.keep(torch.tensor([1]))
        assert held() is None
