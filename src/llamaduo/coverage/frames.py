"""What is left of each prompt when the frames that many prompts share do not count.

Prompts of one task often share a long fixed frame ("Classify this ticket: …"). Measured
whole, they would all be near-duplicates of each other. So a run of three words that more than
5 % of the prompts have is discounted. In a small dataset a few paraphrases of one prompt are
more than 5 %, and those must stay together: there a run counts as a frame only from a third of
the prompts on, or from ten, and never below three.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from llamaduo.tasks.words import shingles, words

RUN = 3
FRAME_SHARE = 0.05
LEAST_PROMPTS, ENOUGH_PROMPTS = 3, 10

Shingle = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remainder:
    """A prompt without its frames: the runs of words that count, and the words outside them."""

    shingles: frozenset[Shingle]
    words: tuple[str, ...]


def discount(texts: Sequence[str]) -> list[Remainder]:
    """The remainder of each text, in order. Texts with the same words count once."""
    tokens = [tuple(words(text)) for text in texts]
    frames = _frames(set(tokens))
    return [Remainder(shingles(t, RUN) - frames, _outside(t, frames)) for t in tokens]


def _frames(distinct: set[Shingle]) -> frozenset[Shingle]:
    counts = Counter(shingle for tokens in distinct for shingle in shingles(tokens, RUN))
    third = ceil(len(distinct) / 3)
    least = max(LEAST_PROMPTS, min(ENOUGH_PROMPTS, third))
    most = FRAME_SHARE * len(distinct)
    return frozenset(s for s, count in counts.items() if count >= least and count > most)


def _outside(tokens: Shingle, frames: frozenset[Shingle]) -> Shingle:
    """The words that no frame covers."""
    covered: set[int] = set()
    for start in range(max(1, len(tokens) - RUN + 1)):
        if tokens[start : start + RUN] in frames:
            covered.update(range(start, start + RUN))
    return tuple(word for place, word in enumerate(tokens) if place not in covered)
