"""Seeds: dealt without replacement, a fresh shuffle when all are used, on through cycles."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import DataError
from llamaduo.records import Pair
from llamaduo.synthesis.seeds import draw, requests, wanted
from llamaduo.synthesis.settings import SynthesisSettings
from tests.synthesis.made import seed

TRAIN = [seed(f"question {i}") for i in range(6)]

all_settings = st.builds(
    SynthesisSettings,
    pairs=st.integers(1, 20),
    growth=st.sampled_from([1.0, 1.5, 2.0]),
    pairs_per_request=st.integers(1, 6),
    seeds_per_request=st.integers(1, 4),
    seed=st.integers(0, 5),
)
# Up to three contexts of different sizes.
trains = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(
    lambda sizes: [
        seed(f"question {i}", system=f"context {c}") for c, n in enumerate(sizes) for i in range(n)
    ]
)


def test_each_batch_is_twice_the_one_before_by_default() -> None:
    settings = SynthesisSettings(pairs=100)
    assert [wanted(settings, cycle) for cycle in range(4)] == [100, 200, 400, 800]
    assert [requests(settings, cycle) for cycle in range(2)] == [20, 40]


def test_a_pair_comes_back_only_when_all_were_used() -> None:
    settings = SynthesisSettings(pairs=6, pairs_per_request=1, growth=2.0)
    used = [d.seeds[0].id for cycle in range(2) for d in draw(TRAIN, settings, cycle)]
    assert len(used) == 18
    turns = [used[i : i + 6] for i in range(0, 18, 6)]
    assert all(sorted(turn) == sorted(pair.id for pair in TRAIN) for turn in turns)
    assert turns[0] != turns[1] != turns[2]


def test_the_last_request_asks_for_what_is_left() -> None:
    draws = draw(TRAIN, SynthesisSettings(pairs=12, pairs_per_request=5), 0)
    assert [d.count for d in draws] == [5, 5, 2]


def test_another_seed_is_another_order() -> None:
    first, second = (
        [d.seeds for d in draw(TRAIN, SynthesisSettings(pairs=30, seed=s), 0)] for s in (0, 1)
    )
    assert first != second


def test_pairs_of_another_schema_are_another_context() -> None:
    train = [*TRAIN[:3], seed("question 9", json_schema={"type": "object"})]
    draws = draw(train, SynthesisSettings(pairs=4, pairs_per_request=1, seeds_per_request=4), 0)
    assert sorted(len(d.seeds) for d in draws[:2]) == [1, 3]


def test_an_empty_train_split_is_refused() -> None:
    with pytest.raises(DataError, match="train split is empty"):
        draw([], SynthesisSettings(), 0)


@given(trains, all_settings)
def test_the_cycles_of_a_run_deal_one_continuous_deck(
    train: list[Pair], settings: SynthesisSettings
) -> None:
    cycles = [draw(train, settings, cycle) for cycle in range(4)]
    draws = list(chain.from_iterable(cycles))
    assert [d.number for d in draws] == list(range(len(draws)))
    for cycle, batch in enumerate(cycles):
        assert sum(d.count for d in batch) == wanted(settings, cycle)
        assert len(batch) == requests(settings, cycle)
    times = Counter(pair.id for d in draws for pair in d.seeds)
    spread = {times[pair.id] for pair in train}
    assert max(spread) - min(spread) <= 1


@given(trains, all_settings, st.randoms())
def test_the_order_of_the_train_split_does_not_matter(
    train: list[Pair], settings: SynthesisSettings, random: object
) -> None:
    shuffled = list(train)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert draw(shuffled, settings, 1) == draw(train, settings, 1)


@given(trains, all_settings)
def test_the_seeds_of_a_request_share_their_context(
    train: list[Pair], settings: SynthesisSettings
) -> None:
    for one in draw(train, settings, 1):
        assert 1 <= len(one.seeds) <= settings.seeds_per_request
        assert 1 <= one.count <= settings.pairs_per_request
        assert len({pair.messages[:-1] for pair in one.seeds}) == 1
