"""Rows hold what they should, and pairs in a row do not see each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.finetuning.training.packing import IGNORED, Collator, bins, rows_of
from llamaduo.records import Checkpoint
from llamaduo.tasks.chat import EncodedPair
from tests.finetuning.made import tickets
from tests.finetuning.recipes.examples import encoded, loaded


def together_and_apart(
    model: Any, pairs: Sequence[EncodedPair], *, flat: bool, **more: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits of ``pairs`` in one packed row, and each forward alone, behind each other."""
    (row,) = rows_of(pairs, size=10_000, seed=0)
    batch = Collator(0, flat)([row])
    inputs = {k: v for k, v in batch.items() if k not in {"labels", "tokens"}} | more
    model.eval()
    with torch.no_grad():
        packed = model(**inputs, use_cache=False).logits[0]
        alone = []
        for ids in torch.split(torch.tensor(row["input_ids"]), row["lengths"]):
            single = Collator(0, flat)(
                [{"input_ids": ids.tolist(), "labels": ids.tolist(), "lengths": [len(ids)]}]
            )
            inputs = {k: v for k, v in single.items() if k not in {"labels", "tokens"}}
            alone.append(model(**inputs, use_cache=False).logits[0])
    return packed, torch.cat(alone)


@pytest.fixture(scope="module")
def pairs(tiny: Checkpoint) -> list[EncodedPair]:
    return encoded(tiny, tickets(6).pairs)


@pytest.fixture(scope="module")
def model(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return loaded(tiny, tmp_path_factory.mktemp("scratch"))


@pytest.mark.parametrize("attention", ["pair by pair", "sdpa", "eager"])
def test_a_packed_row_equals_separate_forwards(
    model: Any, pairs: list[EncodedPair], attention: str
) -> None:
    flat = attention == "pair by pair"
    model.set_attn_implementation("llamaduo_documents" if flat else attention)
    packed, alone = together_and_apart(model, pairs, flat=flat)
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=1e-4)
    model.set_attn_implementation("llamaduo_documents")


def test_a_leak_would_be_noticed(model: Any, pairs: list[EncodedPair]) -> None:
    """What TRL's documentation warns of: with a mask of ones, transformers no longer looks at the
    positions, and pairs see those before them."""
    model.set_attn_implementation("sdpa")
    ones = torch.ones(1, sum(map(len, pairs)), dtype=torch.long)
    packed, alone = together_and_apart(model, pairs, flat=False, attention_mask=ones)
    assert (packed - alone).abs().max() > 1e-2
    model.set_attn_implementation("llamaduo_documents")


def test_padding_changes_nothing(model: Any, pairs: list[EncodedPair]) -> None:
    model.set_attn_implementation("sdpa")
    rows = list(rows_of(pairs, size=80, seed=0))
    batch = Collator(0, flat=False)(rows)
    assert len(rows) > 1
    with torch.no_grad():
        logits = model(batch["input_ids"], position_ids=batch["position_ids"]).logits
        for place, row in enumerate(rows):
            single = Collator(0, flat=False)([row])
            alone = model(single["input_ids"], position_ids=single["position_ids"]).logits[0]
            torch.testing.assert_close(logits[place, : len(alone)], alone, atol=1e-4, rtol=1e-4)
    model.set_attn_implementation("llamaduo_documents")


def test_a_sliding_window_slides_within_a_pair() -> None:
    from llamaduo.finetuning.training.documents import attend

    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, 12, 4) for _ in range(3))
    borders = torch.tensor([0, 5, 12])
    module = torch.nn.Module().eval()
    got, _ = attend(module, query, key, value, None, sliding_window=3, cu_seq_lens_q=borders)
    pair = torch.tensor([0] * 5 + [1] * 7)
    place = torch.arange(12)
    back = place[:, None] - place[None, :]
    mask = (pair[:, None] == pair[None, :]) & (back >= 0) & (back < 3)
    scores = (query @ key.mT * 4**-0.5).masked_fill(~mask, float("-inf"))
    torch.testing.assert_close(got, (scores.softmax(-1) @ value).transpose(1, 2))


def test_nobody_is_trained_to_foretell_the_next_pair(pairs: list[EncodedPair]) -> None:
    odd = [EncodedPair(pair.prompt, pair.response, ((0, 2),)) for pair in pairs]
    for row in rows_of(odd, size=80, seed=0):
        begin = 0
        for length in row["lengths"]:
            assert row["labels"][begin] == IGNORED
            begin += length


def test_every_pair_is_in_one_row_whole(pairs: list[EncodedPair]) -> None:
    rows = rows_of(pairs, size=80, seed=3)
    found = sorted(
        tuple(ids.tolist())
        for row in rows
        for ids in torch.split(torch.tensor(row["input_ids"]), row["lengths"])
    )
    assert found == sorted((*pair.prompt, *pair.response) for pair in pairs)
    assert all(len(row["input_ids"]) <= 80 for row in rows)


@given(st.lists(st.integers(1, 60)), st.integers(60, 100))
def test_bins_lose_nothing_and_never_overflow(lengths: list[int], size: int) -> None:
    rows = bins(lengths, size)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    filled = sorted(sum(lengths[i] for i in row) for row in rows)
    assert all(total <= size for total in filled)
    assert len(filled) < 2 or filled[0] + filled[1] > size  # no two rows would fit into one


def test_lengths_of_the_paper_fill_rows_almost_wholly() -> None:
    import random

    drawn = random.Random(0)
    lengths = [min(1024, max(10, round(drawn.gauss(95, 53)))) for _ in range(20_000)]
    assert sum(lengths) / (1024 * len(bins(lengths, 1024))) > 0.99


def test_a_pair_longer_than_a_row_gets_one_of_its_own() -> None:
    assert sorted(map(sorted, bins([70, 5, 5], 60))) == [[0], [1, 2]]


def test_packing_does_not_hang_on_where_a_pair_stands(
    tmp_path: Path, pairs: list[EncodedPair]
) -> None:
    assert list(rows_of(pairs, size=80, seed=1)) == list(rows_of(pairs, size=80, seed=1))
