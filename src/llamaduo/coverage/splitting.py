"""The coverage dataset, split once into train, test and final (Section 3.1).

Whole clusters are placed, so that no prompt is tested whose near-duplicate was trained on.
Each cluster has a fixed place in a queue, by a hash of its smallest pair id and the seed:
test fills its share from the front, final from the back, and train takes the rest. So the
order of the input does not matter, and a few new pairs move only a few old ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from llamaduo.coverage.clusters import Cluster, cluster, leaks
from llamaduo.coverage.frames import Remainder, discount
from llamaduo.coverage.settings import CoverageSettings
from llamaduo.errors import DataError
from llamaduo.records import CoverageDataset, FinalSplit, Pair, Split, TestSplit, TrainSplit

_Pairs = tuple[Pair, ...]


class _Places(NamedTuple):
    train: _Pairs
    test: _Pairs
    final: _Pairs


def split(dataset: CoverageDataset, settings: CoverageSettings) -> Split:
    """Split a dataset whose pairs have different ids; each split comes out sorted by id.

    Raises:
        DataError: a split that is asked for would stay empty, or no pair has the group key.
    """
    pairs = sorted(dataset.pairs, key=lambda pair: pair.id)
    _check_group_key(pairs, settings.group_key)
    remainders = discount([pair.instruction for pair in pairs])
    clusters = cluster(pairs, remainders, settings.near_duplicate, settings.group_key)
    _check_enough(pairs, clusters, settings)
    places = _place(clusters, settings)
    left = {pair.id: remainder for pair, remainder in zip(pairs, remainders, strict=True)}
    return Split(
        train=TrainSplit(places.train),
        test=TestSplit(places.test),
        final=FinalSplit(places.final),
        sha256=_sha256(places),
        clusters=len(clusters),
        leaks=leaks(_of(places.train, left), _of(places.test + places.final, left)),
    )


def _of(pairs: _Pairs, remainders: dict[str, Remainder]) -> list[tuple[str, Remainder]]:
    return [(pair.id, remainders[pair.id]) for pair in pairs]


# --- placing clusters ---------------------------------------------------------------------


def _place(clusters: Sequence[Cluster], settings: CoverageSettings) -> _Places:
    queue = sorted(clusters, key=lambda members: _turn(members, settings.seed))
    total = sum(map(len, queue))
    wants_final = settings.final_fraction > 0
    test_fraction = 1 - settings.train_fraction - settings.final_fraction
    test, queue = _take(queue, total * test_fraction, spare=1 + wants_final)
    final: list[Cluster] = []
    if wants_final:
        final, queue = _take(queue[::-1], total * settings.final_fraction, spare=1)
    return _Places(_flat(queue), _flat(test), _flat(final))


def _turn(members: Cluster, seed: int) -> str:
    smallest = min(pair.id for pair in members)
    return hashlib.sha256(f"{seed}:{smallest}".encode()).hexdigest()


def _take(
    queue: Sequence[Cluster], share: float, spare: int
) -> tuple[list[Cluster], list[Cluster]]:
    """Take clusters that fit until ``share`` pairs are reached, and leave ``spare`` clusters.

    One cluster that is too large may follow: if nothing was taken, or if the split then comes
    closer to its share. Returns what was taken and what is left, each in the queue's order.
    """
    need = max(1, round(share))
    taken: set[int] = set()
    for place, members in enumerate(queue):
        if len(members) <= need and len(queue) - len(taken) > spare:
            taken.add(place)
            need -= len(members)
    left = [place for place in range(len(queue)) if place not in taken]
    if need and len(left) > spare:
        smallest = min(left, key=lambda place: len(queue[place]))
        if not taken or len(queue[smallest]) < 2 * need:
            taken.add(smallest)
    return (
        [members for place, members in enumerate(queue) if place in taken],
        [members for place, members in enumerate(queue) if place not in taken],
    )


def _flat(clusters: Sequence[Cluster]) -> _Pairs:
    return tuple(sorted((p for members in clusters for p in members), key=lambda p: p.id))


def _sha256(places: _Places) -> str:
    lines = sorted(f"{p.id} {name}\n" for name, ps in places._asdict().items() for p in ps)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


# --- what cannot be split -----------------------------------------------------------------


def _check_group_key(pairs: Sequence[Pair], key: str | None) -> None:
    if key is None or not pairs or any(key in pair.metadata for pair in pairs):
        return
    fields = sorted({name for pair in pairs for name in pair.metadata})
    raise DataError(
        f"No pair has the field {key!r} that coverage.group_key names.",
        hint=f"Fields that the data has: {', '.join(fields) or 'none'}.",
    )


def _check_enough(
    pairs: Sequence[Pair], clusters: Sequence[Cluster], settings: CoverageSettings
) -> None:
    names = ("train", "test", "final") if settings.final_fraction > 0 else ("train", "test")
    if len(clusters) >= len(names):
        return
    glue = "near-duplicate prompts" + (
        f" or equal {settings.group_key}" if settings.group_key else ""
    )
    raise DataError(
        f"The split leaves no {names[len(clusters)]} pair: {_count(len(pairs), 'pair')} in"
        f" {_count(len(clusters), 'cluster')} of {glue} cannot fill {' and '.join(names)}.",
        hint="Add pairs that ask other things"
        + (", raise coverage.near_duplicate" if len(clusters) < len(pairs) else "")
        + (", choose another coverage.group_key" if settings.group_key else "")
        + (", or set coverage.final_fraction to 0" if "final" in names else "")
        + ".",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
