"""Texts of few words that resemble each other, and what a plain reading makes of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from operator import eq

import numpy as np

from llamaduo.likeness.sieve import Fate
from llamaduo.likeness.texts import Texts, starts_of
from llamaduo.tasks.words import lcs_length, shingles

Row = tuple[int, ...]
SIZES = (0, 1, 2, 3, 5, 8, 20, 63, 64, 65, 130)
EDITS = (0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.6)


def texts_of(rows: Sequence[Sequence[int]]) -> Texts:
    words = np.array([word for row in rows for word in row], np.int32)
    return Texts(words, starts_of(np.array([len(row) for row in rows], np.int64)))


def drawn(count: int, words: int, rng: random.Random) -> list[Row]:
    """Rows of which more than half are edits of earlier ones."""
    rows: list[Row] = []
    for _ in range(count):
        if rows and rng.random() < 0.6:
            rows.append(edited(rng.choice(rows), rng.choice(EDITS), words, rng))
        else:
            rows.append(tuple(rng.randrange(words) for _ in range(rng.choice(SIZES))))
    return rows


def edited(row: Row, share: float, words: int, rng: random.Random) -> Row:
    """``row`` with a share of its words replaced, left out or added."""
    new = list(row)
    for _ in range(int(len(row) * share)):
        place, kind = rng.randrange(len(new) + 1), rng.random()
        if kind < 0.5 and place < len(new):
            new[place] = rng.randrange(words)
        elif kind < 0.75 and place < len(new):
            del new[place]
        else:
            new.insert(place, rng.randrange(words))
    return tuple(new)


def plainly_sieved(
    rows: Sequence[Row], known: int, near: Fraction, novel: Fraction, fates: Sequence[int]
) -> list[tuple[int, int]]:
    """(fate, lost to) of each row after the known ones, by comparing all with all."""
    kept, outcome = list(range(known)), []

    def first(test: Callable[[Row, Row], bool], row: Row) -> int:
        return next((j for j in kept if test(row, rows[j])), -1)

    for i in range(known, len(rows)):
        same = first(eq, rows[i])
        nearly = first(lambda a, b: jaccard(a, b) >= near, rows[i])
        alike = first(lambda a, b: rouge(a, b) >= novel, rows[i])
        if same >= 0:
            outcome.append((int(Fate.SAME), same))
        elif fates[i] == Fate.BARRED:
            outcome.append((int(Fate.BARRED), -1))
        elif nearly >= 0:
            outcome.append((int(Fate.NEARLY_SAME), nearly))
        elif alike >= 0:
            outcome.append((int(Fate.ALIKE), alike))
        else:
            outcome.append((fates[i], -1))
            if fates[i] == Fate.KEPT:
                kept.append(i)
    return outcome


def rouge(a: Row, b: Row) -> Fraction:
    """ROUGE-L F; below every limit for texts without words."""
    if not a or not b:
        return Fraction(-1)
    return Fraction(2 * lcs_length([*map(str, a)], [*map(str, b)]), len(a) + len(b))


def jaccard(a: Row, b: Row) -> Fraction:
    """Of runs of three words; below every limit for texts without words."""
    left, right = shingles([*map(str, a)]), shingles([*map(str, b)])
    if not left or not right:
        return Fraction(-1)
    return Fraction(len(left & right), len(left | right))
