"""Eq. 1's data: the train split and all synthetic pairs so far, each once."""

from __future__ import annotations

from llamaduo.finetuning.mixture import mix
from llamaduo.records import TrainSplit
from tests.finetuning.made import pair


def test_the_train_split_comes_first_and_synthetic_pairs_follow_in_order() -> None:
    a, b, c = pair("a", "1"), pair("b", "2"), pair("c", "3")
    assert mix(TrainSplit((a,)), [c, b]).pairs == (a, c, b)


def test_a_pair_that_comes_twice_is_trained_on_once() -> None:
    a, b = pair("a", "1"), pair("b", "2")
    assert mix(TrainSplit((a, b)), [b, pair("a", "1"), pair("a", "other")]).pairs == (
        a,
        b,
        pair("a", "other"),
    )


def test_before_any_synthesis_it_is_the_train_split() -> None:
    train = TrainSplit((pair("a", "1"),))
    assert mix(train, []) == train
