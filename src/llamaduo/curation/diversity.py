"""How varied the wording is: distinct-n, taken over equally many n-grams of both sides.

Distinct-n (Li et al. 2016) is the share of a text's n-grams that are different ones. It falls
with the number of n-grams, so two sides of different sizes cannot be compared as they are:
from each come whole texts in random order, until there are as many n-grams as both have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from llamaduo.curation.chance import DIVISIONS
from llamaduo.likeness.texts import Texts

MOST_NGRAMS = 10_000
"""N-grams of each side that are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Ngrams:
    """``over`` n-grams of the train split and ``over`` synthetic ones, in ``pieces`` of one text
    each, in this order. Equal n-grams have equal numbers."""

    pieces: tuple[NDArray[np.int64], ...]
    over: int

    def distinct(self) -> tuple[float, float]:
        """The share of different ones among the train split's, and among the synthetic."""
        train, synthetic = self._different(range(len(self.pieces)))
        return train / self.over, synthetic / self.over

    def are_fewer(self, random: np.random.Generator) -> bool:
        """Whether the synthetic ones repeat themselves more than in any of :data:`DIVISIONS`
        random divisions of the texts."""
        train, synthetic = self._different(range(len(self.pieces)))
        for _ in range(DIVISIONS):
            by_chance, other = self._different(random.permutation(len(self.pieces)))
            if other * train <= synthetic * by_chance:
                return False
        return True

    def _different(self, order: Iterable[int]) -> tuple[int, int]:
        """How many different n-grams the first and the second half of the pieces have."""
        numbers = np.concatenate([self.pieces[i] for i in order])
        train, synthetic = numbers[: self.over], numbers[self.over :]
        return len(np.unique(train)), len(np.unique(synthetic))


def ngrams(train: Texts, synthetic: Texts, size: int, random: np.random.Generator) -> Ngrams | None:
    """N-grams of ``size`` words, equally many of both sides; None where a side has none."""
    over = min(MOST_NGRAMS, _count(train, size), _count(synthetic, size))
    if not over:
        return None
    taken = [*_taken(train, size, over, random), *_taken(synthetic, size, over, random)]
    numbers = np.unique(np.concatenate(taken), axis=0, return_inverse=True)[1].ravel()
    ends = np.cumsum([len(piece) for piece in taken])
    return Ngrams(tuple(np.split(numbers, ends[:-1])), over)


def _count(texts: Texts, size: int) -> int:
    return int(np.maximum(texts.sizes() - (size - 1), 0).sum())


def _taken(
    texts: Texts, size: int, over: int, random: np.random.Generator
) -> list[NDArray[np.int32]]:
    """The first ``over`` n-grams of ``texts`` in random order: n-grams × size, a text each."""
    taken: list[NDArray[np.int32]] = []
    for row in random.permutation(len(texts)):
        words = texts[int(row)]
        if len(words) >= size:
            taken.append(sliding_window_view(words, size)[:over])
            over -= len(taken[-1])
        if not over:
            break
    return taken
