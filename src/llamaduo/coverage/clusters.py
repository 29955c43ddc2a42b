"""Clusters of pairs that must stay in one split: near-duplicate prompts, and equal groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain

from llamaduo.coverage.frames import Remainder
from llamaduo.coverage.overlaps import overlapping
from llamaduo.records import Pair
from llamaduo.tasks.words import jaccard, rouge_l

Cluster = tuple[Pair, ...]

LEAK = 0.7
"""ROUGE-L F from which two prompts in different splits are reported."""
_LEAK_WORDS = 3  # fewer words outside the frames say nothing


def cluster(
    pairs: Sequence[Pair], remainders: Sequence[Remainder], near_duplicate: float, key: str | None
) -> list[Cluster]:
    """Merge pairs whose prompts are near-duplicates, and pairs of one group.

    Args:
        pairs: in the order in which clusters and their members come out.
        remainders: of each pair's instruction, in the same order.
        near_duplicate: Jaccard over the remainders' shingles. Where nothing remains, whole
            prompts are compared exactly.
        key: the metadata field of the group. Pairs without it are in no group.
    """
    groups = [pair.metadata.get(key) if key is not None else None for pair in pairs]
    whole = [None if r.shingles else _whole(p) for p, r in zip(pairs, remainders, strict=True)]
    links = chain(_equal(groups), _equal(whole), _similar(remainders, near_duplicate))
    merged: dict[int, list[Pair]] = {}
    for pair, root in zip(pairs, _roots(len(pairs), links), strict=True):
        merged.setdefault(root, []).append(pair)
    return [tuple(members) for members in merged.values()]


def leaks(
    train: Sequence[tuple[str, Remainder]], held_out: Sequence[tuple[str, Remainder]]
) -> tuple[tuple[str, str], ...]:
    """(train id, held-out id) of prompts that still resemble each other by ROUGE-L."""
    rows = [(i, r.words) for i, r in train if len(r.words) >= _LEAK_WORDS]
    columns = [(i, r.words) for i, r in held_out if len(r.words) >= _LEAK_WORDS]
    # F ≥ f means LCS ≥ f·(n + m)/2, and LCS ≤ either length: so LCS ≥ f/(2 − f) of the longer.
    found = overlapping(
        [_occurrences(w) for _, w in rows], [_occurrences(w) for _, w in columns], LEAK / (2 - LEAK)
    )
    return tuple(
        sorted(
            (rows[i][0], columns[j][0])
            for i, j in found
            if rouge_l(rows[i][1], columns[j][1]) >= LEAK
        )
    )


def _whole(pair: Pair) -> Hashable:
    return tuple((message.role, message.content.strip()) for message in pair.messages)


def _occurrences(tokens: Sequence[str]) -> frozenset[Hashable]:
    """The words with their repeats told apart, so that a set counts like a bag."""
    seen: dict[str, int] = {}
    elements: set[Hashable] = set()
    for word in tokens:
        seen[word] = seen.get(word, 0) + 1
        elements.add((word, seen[word]))
    return frozenset(elements)


def _equal(keys: Iterable[Hashable | None]) -> Iterator[tuple[int, int]]:
    """Each place with the first place of the same key."""
    first: dict[Hashable, int] = {}
    for place, key in enumerate(keys):
        if key is not None:
            yield first.setdefault(key, place), place


def _similar(remainders: Sequence[Remainder], threshold: float) -> Iterator[tuple[int, int]]:
    yield from _equal(remainder.shingles or None for remainder in remainders)
    distinct = {r.shingles: place for place, r in enumerate(remainders) if r.shingles}
    sets, places = list(distinct), list(distinct.values())
    for i, j in overlapping(sets, sets, threshold):
        if i < j and jaccard(sets[i], sets[j]) >= threshold:
            yield places[i], places[j]


def _roots(size: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """Union-find: the smallest place that each place is linked to, directly or not."""
    parent = list(range(size))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for a, b in links:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return [root(place) for place in range(size)]
