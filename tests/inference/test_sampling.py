"""Greedy and nucleus sampling against the definition."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.inference.sampling import choose

LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=12)


def one(logits: list[float], uniform: float, temperature: float, top_p: float) -> int:
    return int(
        choose(
            torch.tensor([logits]),
            torch.tensor([uniform], dtype=torch.float64),
            temperature=temperature,
            top_p=top_p,
        )
    )


@given(LOGITS, st.floats(0, 1, exclude_max=True), st.floats(0.1, 1))
def test_zero_temperature_is_the_likeliest_token(
    logits: list[float], uniform: float, top_p: float
) -> None:
    assert logits[one(logits, uniform, 0, top_p)] == max(logits)


@given(LOGITS, st.floats(0, 1, exclude_max=True), st.floats(0.2, 2), st.floats(0.05, 0.99))
def test_what_is_picked_lies_in_the_nucleus(
    logits: list[float], uniform: float, temperature: float, top_p: float
) -> None:
    picked = one(logits, uniform, temperature, top_p)
    probabilities = torch.softmax(torch.tensor(logits) / temperature, -1)
    likelier = probabilities[probabilities > probabilities[picked]].sum()
    assert likelier < top_p + 1e-5


def test_numbers_pick_tokens_in_proportion_to_their_probability() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(1000, 3)
    uniforms = (torch.arange(1000) + 0.5) / 1000
    counts = torch.bincount(choose(logits, uniforms, temperature=1, top_p=1.0), minlength=3)
    assert counts.tolist() == [500, 300, 200]
    # A nucleus of 0.6 holds the first two, in their proportion of 5 to 3.
    counts = torch.bincount(choose(logits, uniforms, temperature=1, top_p=0.6), minlength=3)
    assert counts.tolist() == [625, 375, 0]


def test_a_nucleus_wider_than_the_first_look_is_found() -> None:
    logits = torch.zeros(2, 10_000)
    logits[1, 17] = 100.0  # one row is certain, the other knows nothing
    picked = choose(logits, torch.tensor([0.999, 0.999]), temperature=1, top_p=0.95)
    assert picked[1] == 17
    spread = choose(logits[:1].expand(50, -1), torch.rand(50), temperature=1, top_p=0.95)
    assert len(set(spread.tolist())) > 40


def test_the_last_number_before_one_stays_inside_the_vocabulary() -> None:
    for top_p in (0.5, 1.0):
        assert 0 <= one([0.0] * 7, 1 - 2**-53, 1.0, top_p) < 7
