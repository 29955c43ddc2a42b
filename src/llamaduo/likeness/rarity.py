"""How much two texts share that other texts do not have as well.

That two texts have a word in common says the less, the more other texts have it: a word that
one in 2ⁿ of them has says n bits. After the words before it, it says only what they leave open,
so a phrase that comes from a template says hardly more than its first word. Summed up, it is
how unlikely two texts are to share as much by chance.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import kernel
from llamaduo.likeness.lcs import lcs_length
from llamaduo.likeness.phrases import Phrases, find_all, phrases_of
from llamaduo.likeness.texts import Texts

UNIT = 256
"""Parts of a bit that are counted, in whole numbers: sums do not depend on their order."""
LONGEST = 3
"""Words of a phrase that are looked at together."""
SAMPLE = 1000
"""Texts of which all pairs are looked at: half a million, which take a tenth of a second."""
UNSEEN = 2.0**-10
"""The share of texts that have a word, as long as no text has been seen at all."""


class Rarity(NamedTuple):
    """What the words of some texts say, if another text has them too.

    ``says[n, k]``: the last word of the run of n + 1 words that starts at place k, to one who
    knows those before it, in 1/256 bit. ``usual`` is how many words a text has on average, 0
    where there was none to learn from.
    """

    runs: tuple[Phrases, ...]
    says: NDArray[np.int32]
    usual: float


class Marks(NamedTuple):
    """Scratch space of one thread: the last text that had each run, and the least that each word
    says. ``found`` has room for the longest text."""

    met: NDArray[np.int32]
    least: NDArray[np.int32]
    found: NDArray[np.int32]


def rarity_of(texts: Texts, known: Texts) -> Rarity:
    """What is rare of ``texts``, as far as the ``known`` texts tell."""
    runs = tuple(phrases_of(texts, size) for size in range(1, LONGEST + 1))
    holders = np.zeros((LONGEST, max(1, len(texts.words))), np.int64)
    for size, phrases in enumerate(runs):
        _count_holders(phrases, known.words, known.starts, holders[size])
    says = np.zeros((LONGEST, len(texts.words)), np.int32)
    _weigh(runs, holders, len(known), says)
    return Rarity(runs, says, len(known.words) / len(known) if len(known) else 0.0)


def marks(rarity: Rarity, longest: int) -> Marks:
    """New scratch space for one thread, for texts of at most ``longest`` words."""
    kinds = max(1, *(phrases.kinds for phrases in rarity.runs))
    return Marks(
        met=np.full((LONGEST, kinds), -1, np.int32),
        least=np.full(kinds, -1, np.int32),
        found=np.empty(longest, np.int32),
    )


def alike(texts: Texts, part: int, of: int, vocabulary: int) -> tuple[NDArray[np.int64], int]:
    """How many pairs of ``texts`` have a ROUGE-L F of k hundredths or more, for each k of which
    F is at least ``part / of``; and of how many pairs. Equal texts do not count: one that comes
    twice is no chance. Of more than :data:`SAMPLE` texts as many are looked at, evenly spread."""
    size = min(len(texts), SAMPLE)
    rows = np.arange(size) * len(texts) // max(1, size)
    counts = np.zeros(101, np.int64)
    if size > 1:
        _count_alike(texts.words, texts.starts, rows, (part, of, vocabulary), counts)
    return np.cumsum(counts[::-1])[::-1], size * (size - 1) // 2


@kernel
def _count_alike(
    words: NDArray[np.int32],
    starts: NDArray[np.int64],
    rows: NDArray[np.int64],
    sizes: tuple[int, int, int],
    counts: NDArray[np.int64],
) -> None:
    """Add each pair of ``rows`` to the hundredth that its F is in."""
    part, of, vocabulary = sizes
    met = np.full(vocabulary, -1, np.int64)
    masks = np.zeros(vocabulary, np.uint64)
    carries = np.zeros(np.max(np.diff(starts)), np.uint8)
    for i in range(len(rows)):
        ours = words[starts[rows[i]] : starts[rows[i] + 1]]
        met[ours] = i
        for k in range(i):
            theirs = words[starts[rows[k]] : starts[rows[k] + 1]]
            both = len(ours) + len(theirs)
            least = max(1, -((-part * both) // (2 * of)))
            if min(len(ours), len(theirs)) < least:
                continue
            if _at_most_new(theirs, met, i, len(theirs) - least):
                common = lcs_length(theirs, ours, masks, carries)
                if 2 * common * of >= part * both and 2 * common < both:
                    counts[200 * common // both] += 1


@kernel
def _at_most_new(words: NDArray[np.int32], met: NDArray[np.int64], by: int, most: int) -> bool:
    """Whether at most ``most`` of the words were not met by text ``by``."""
    for word in words:
        most -= met[word] != by
        if most < 0:
            return False
    return True


@kernel
def _count_holders(
    phrases: Phrases,
    words: NDArray[np.int32],
    starts: NDArray[np.int64],
    holders: NDArray[np.int64],
) -> None:
    """In how many of the texts each run stands."""
    met = np.full(len(holders), -1, np.int64)
    found = np.empty(np.max(np.diff(starts)) if len(starts) > 1 else 0, np.int32)
    for i in range(len(starts) - 1):
        for place in range(find_all(phrases, words[starts[i] : starts[i + 1]], found)):
            number = found[place]
            if number >= 0 and met[number] != i:
                met[number] = i
                holders[number] += 1


@kernel
def _weigh(
    runs: tuple[Phrases, ...],
    holders: NDArray[np.int64],
    known: int,
    says: NDArray[np.int32],
) -> None:
    """Chances of a run: those of the texts with all but its last word that have the last word,
    smoothed by the chance of the run without its first word."""
    places = says.shape[1]
    chances = np.full((LONGEST, places + 1), UNSEEN)
    for place in range(places - 1, -1, -1):
        before = known
        for n in range(LONGEST):
            number = runs[n].numbers[place]
            if number < 0:
                break
            shorter = chances[n - 1, place + 1] if n else UNSEEN
            chance = (holders[n, number] + shorter) / (before + 1)
            chances[n, place] = chance
            says[n, place] = max(0, math.floor(-UNIT * math.log2(chance) + 0.5))
            before = holders[n, number]


@kernel
def mark(row: int, words: NDArray[np.int32], rarity: Rarity, space: Marks) -> None:
    """Note which runs text ``row`` has, for :func:`shared`."""
    for n in range(LONGEST):
        for place in range(find_all(rarity.runs[n], words, space.found)):
            if space.found[place] >= 0:
                space.met[n, space.found[place]] = row


@kernel
def lengthening(size: int, rarity: Rarity) -> int:
    """Bits, in 1/256, that a word says less in a text of ``size`` words: more words stand in a
    longer one by chance."""
    if rarity.usual == 0.0 or size <= rarity.usual:
        return 0
    return math.floor(UNIT * math.log2(size / rarity.usual))


@kernel
def shared(row: int, first: int, last: int, discount: int, tools: tuple[Rarity, Marks]) -> int:
    """Bits, in 1/256, of what the text at places ``first`` to ``last - 1`` has in common with
    text ``row``, which was marked. Each word counts once, as the least that it says."""
    rarity, space = tools
    total = 0
    for place in range(first, last):
        word = rarity.runs[0].numbers[place]
        if space.met[0, word] != row:
            continue
        least = max(0, rarity.says[0, place] - discount)
        for n in range(1, min(LONGEST, place - first + 1)):
            if space.met[n, rarity.runs[n].numbers[place - n]] == row:
                least = min(least, rarity.says[n, place - n])
        if space.least[word] < 0:
            total += least
            space.least[word] = least
        elif least < space.least[word]:
            total += least - space.least[word]
            space.least[word] = least
    for place in range(first, last):
        space.least[rarity.runs[0].numbers[place]] = -1
    return total
