"""What a cycle trains on: the train split and every synthetic pair so far (Eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence

from llamaduo.records import Pair, TrainSplit


def mix(train: TrainSplit, synthetic: Sequence[Pair]) -> TrainSplit:
    """D(0)'s train split followed by ``synthetic``, each id once, the first one kept."""
    mixed: dict[str, Pair] = {}
    for pair in (*train.pairs, *synthetic):
        mixed.setdefault(pair.id, pair)
    return TrainSplit(tuple(mixed.values()))
