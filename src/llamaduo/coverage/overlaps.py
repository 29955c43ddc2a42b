"""Which sets overlap enough to be worth comparing, without comparing all with all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from math import ceil

Sets = Sequence[frozenset[Hashable]]

_SIGNATURE_BITS = 4096


def overlapping(left: Sets, right: Sets, share: float) -> Iterator[tuple[int, int]]:
    """Every (i, j) where ``left[i]`` and ``right[j]`` share at least ``share`` of the larger.

    Prefix filter (Bayardo, Ma and Srikant 2007): sets that share k of n elements share one
    among the n − k + 1 rarest of either, so an index of those finds them all. A bit signature
    then refuses most of the rest for a fraction of what an intersection costs.
    """
    rank = _rarest_first(left, right)
    rows = [_Ranked(elements, rank, share) for elements in left]
    columns = rows if left is right else [_Ranked(elements, rank, share) for elements in right]
    index: dict[int, list[int]] = defaultdict(list)
    for j, column in enumerate(columns):
        for element in column.rarest:
            index[element].append(j)
    for i, row in enumerate(rows):
        for j in sorted({j for element in row.rarest for j in index.get(element, ())}):
            if row.shares_enough_with(columns[j]):
                yield i, j


class _Ranked:
    """A set as ranks, with what makes comparing it cheap.

    ``signature`` has the parity of the elements that fall on each bit: two signatures never
    differ in more bits than the sets differ in elements.
    """

    __slots__ = ("needed", "ranks", "rarest", "signature", "size")

    def __init__(
        self, elements: frozenset[Hashable], rank: dict[Hashable, int], share: float
    ) -> None:
        self.ranks = frozenset(rank[element] for element in elements)
        self.size = len(elements)
        # At least one element. The margin keeps 0.7 · 10 from asking for 8.
        self.needed = max(1, ceil(share * self.size - 1e-9))
        self.rarest = sorted(self.ranks)[: self.size - self.needed + 1]
        self.signature = 0
        for element in self.ranks:
            self.signature ^= 1 << (element % _SIGNATURE_BITS)

    def shares_enough_with(self, other: _Ranked) -> bool:
        needed = self.needed if self.needed > other.needed else other.needed
        differ = (self.signature ^ other.signature).bit_count()
        if self.size + other.size - differ < 2 * needed:
            return False
        return len(self.ranks & other.ranks) >= needed


def _rarest_first(left: Sets, right: Sets) -> dict[Hashable, int]:
    counts = Counter(element for sets in (left, right) for s in sets for element in s)
    return {element: i for i, (element, _) in enumerate(reversed(counts.most_common()))}
