"""How much a text has in common with each of many others, without looking at each of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from itertools import chain

Occurrence = tuple[str, int]


class OverlapIndex:
    """Sets of elements, numbered from 0 as they are added, found by the elements they share."""

    def __init__(self) -> None:
        self._holders: defaultdict[Hashable, list[int]] = defaultdict(list)
        self._sizes: list[int] = []

    def add(self, elements: Collection[Hashable]) -> None:
        """Add the next set. An element may occur in it once only."""
        for element in elements:
            self._holders[element].append(len(self._sizes))
        self._sizes.append(len(elements))

    def size(self, number: int) -> int:
        """How many elements the set of that number has."""
        return self._sizes[number]

    def overlaps(self, elements: Iterable[Hashable]) -> list[tuple[int, int]]:
        """(number, elements in common) of every set that shares any, most in common first.

        Among equals the one that was added first comes first, whatever the order of
        ``elements``: that of a set of words changes with Python's hash seed.
        """
        lists = (self._holders[e] for e in elements if e in self._holders)
        shared = Counter(chain.from_iterable(lists))
        return sorted(shared.items(), key=lambda found: (-found[1], found[0]))


def occurrences(tokens: Sequence[str]) -> list[Occurrence]:
    """Each word with the number of times it has occurred before.

    As sets these share as many elements as the texts share words, repeats counted: an upper
    bound on the length of their longest common subsequence.
    """
    seen: Counter[str] = Counter()
    marked: list[Occurrence] = []
    for word in tokens:
        marked.append((word, seen[word]))
        seen[word] += 1
    return marked
