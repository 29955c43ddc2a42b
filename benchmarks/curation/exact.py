"""Near-duplicates by the exact Jaccard index: what MinHash is held against."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

Shingles = frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """Of the pairs that are nearly the same as one kept before, how many were dropped; and how
    many were dropped that are not."""

    true: int
    dropped: int
    false: int

    @property
    def recall(self) -> float:
        return self.dropped / self.true if self.true else 1.0


class Kept:
    """The sets kept so far, found by what they share."""

    def __init__(self) -> None:
        self._holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._sizes: list[int] = []

    def add(self, shingles: Shingles) -> None:
        for shingle in shingles:
            self._holders[shingle].append(len(self._sizes))
        self._sizes.append(len(shingles))

    def likeness(self, shingles: Shingles) -> Fraction:
        """The greatest Jaccard index with any set kept so far."""
        lists: Iterable[list[int]] = (self._holders[s] for s in shingles if s in self._holders)
        shared = Counter(chain.from_iterable(lists))
        return max(
            (
                Fraction(count, len(shingles) + self._sizes[number] - count)
                for number, count in shared.items()
            ),
            default=Fraction(0),
        )


def held_against(sets: Sequence[Shingles], dropped: Sequence[bool], limit: Fraction) -> Found:
    """Go through ``sets`` in order and compare each with those that were not ``dropped``."""
    kept, true, right, false = Kept(), 0, 0, 0
    for shingles, gone in zip(sets, dropped, strict=True):
        close = kept.likeness(shingles) >= limit
        true += close
        right += close and gone
        false += gone and not close
        if not gone:
            kept.add(shingles)
    return Found(true, right, false)
