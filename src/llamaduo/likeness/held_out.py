"""The held-out texts, made ready to be searched by.

A held-out text is found by words that a text like it must share: any such text has at least
``least`` of the words that no frame covers, so it has one of the rarest ``size - least + 1``,
and only those are indexed. A word that occurs twice counts as two.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import kernel
from llamaduo.likeness.frames import Field
from llamaduo.likeness.phrases import Phrases, phrases_of
from llamaduo.likeness.rarity import Rarity, rarity_of
from llamaduo.likeness.texts import Texts, starts_of


class Measure(NamedTuple):
    """From where on texts are alike: ROUGE-L F, or recall, of ``part / of``; runs of ``run``
    words in common that add up to half of the text or ``much`` words; ``long`` words in a
    response that decides; and ``needed`` 1/256 bits in common."""

    part: int
    of: int
    run: int
    much: int
    long: int
    needed: int


class Side(NamedTuple):
    """One field of some texts: text i is ``words[starts[i]:starts[i + 1]]``."""

    words: NDArray[np.int32]
    starts: NDArray[np.int64]
    framed: NDArray[np.bool_]


class Index(NamedTuple):
    """The held-out texts by their rarer words: ``texts[starts[w]:starts[w + 1]]`` have word w
    more often than ``times``. ``own`` are the words of each outside the frames; all of them
    where there is none, and then only its equal is like it."""

    own: NDArray[np.int32]
    own_starts: NDArray[np.int64]
    bare: NDArray[np.bool_]
    least: NDArray[np.int64]
    starts: NDArray[np.int64]
    texts: NDArray[np.int32]
    times: NDArray[np.int32]


class Held(NamedTuple):
    """One field of the held-out texts."""

    side: Side
    by_word: Index
    rarity: Rarity


class Passages(NamedTuple):
    """The runs of words in held-out prompts: number n is in ``texts[starts[n]:starts[n + 1]]``."""

    runs: Phrases
    starts: NDArray[np.int64]
    texts: NDArray[np.int32]


def side_of(field: Field, first: int, last: int) -> Side:
    """Texts ``first`` to ``last - 1``; their words are views of the field's."""
    texts, begin = field.whole.part(first, last), field.whole.starts[first]
    return Side(texts.words, texts.starts, field.framed[begin : begin + len(texts.words)])


def held_of(
    side: Side, train: Texts, counts: NDArray[np.int64], limit: Fraction, long: int = 0
) -> Held:
    """Held-out texts to search by. Those with fewer than ``long`` words of their own are left
    out. ``train`` says what is common; ``counts`` how often each word of the vocabulary occurs
    anywhere, which decides how fast the search is and not what it finds."""
    part, of = limit.as_integer_ratio()
    texts = Texts(side.words, side.starts)
    own, bare = _own(side)
    sizes = own.sizes()
    least = np.where(bare, sizes, -((-part * sizes) // (2 * of - part)))
    if not long:  # prompts that are nearly equal share half of the words outside frames
        least = np.where(bare, sizes, np.minimum(least, (sizes + 1) // 2))
    least[(sizes == 0) | (sizes < long) | ((long > 0) & bare)] = 0
    room = int(np.sum(np.where(least > 0, sizes - least + 1, 0)))
    entries = np.empty((room, 3), np.int32)
    _enter(own.words, own.starts, least, counts, entries)
    order = np.argsort(entries[:, 0], kind="stable")
    entries = np.ascontiguousarray(entries[order].T)
    starts = starts_of(np.bincount(entries[0], minlength=len(counts)))
    index = Index(own.words, own.starts, bare, least, starts, entries[1], entries[2])
    return Held(side, index, rarity_of(texts, train))


def passages_of(side: Side, run: int) -> Passages:
    """The runs of ``run`` words of ``side`` that no frame interrupts."""
    runs = phrases_of(Texts(side.words, side.starts), run, side.framed)
    places = np.flatnonzero(runs.numbers >= 0)
    numbers = runs.numbers[places]
    texts = np.searchsorted(side.starts, places, side="right") - 1
    order = np.argsort(numbers, kind="stable")
    starts = starts_of(np.bincount(numbers, minlength=runs.kinds))
    return Passages(runs, starts, texts[order].astype(np.int32))


def _own(side: Side) -> tuple[Texts, NDArray[np.bool_]]:
    """The words outside frames, or all where there is none; and which texts are those."""
    bare = np.diff(_before(~side.framed)[side.starts]) == 0
    kept = ~side.framed | np.repeat(bare, Texts(side.words, side.starts).sizes())
    return Texts(side.words[kept], _before(kept)[side.starts]), bare


def _before(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many are marked before each place, and before the end."""
    return starts_of(marked.astype(np.int64))


@kernel
def _enter(
    words: NDArray[np.int32],
    starts: NDArray[np.int64],
    least: NDArray[np.int64],
    counts: NDArray[np.int64],
    entries: NDArray[np.int32],
) -> None:
    """A row for each word that a text is found by: the word, the text, how often before."""
    end = 0
    for i in range(len(starts) - 1):
        own = words[starts[i] : starts[i + 1]]
        if least[i] == 0:
            continue
        order = np.argsort(counts[own], kind="mergesort")
        for k in range(len(own) - least[i] + 1):
            place = order[k]
            entries[end, 0] = own[place]
            entries[end, 1] = i
            entries[end, 2] = np.sum(own[:place] == own[place])
            end += 1
