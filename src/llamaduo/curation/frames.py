"""Shared frames: the wording that a task's prompts have in common, which tells none apart.

Prompts of one task share fixed wording ("Classify the following ticket: …"). Left in, it makes
every pair look like every other: on tickets in a fixed frame, all clean pairs resemble some
test prompt. So what more than ``shared_frame`` of the train prompts share does not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

RUN = 3
"""Words in the shortest run that can be a frame. Two words in a row are shared by chance ("of
the"); longer runs would leave the short pieces between the slots of a template standing."""
FEWEST = 3
"""Prompts that must share a run, however small the train split: two alike are a coincidence."""
SHOWN = 20

_EDGE = ""  # stands before and after a text; never a word

Run = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frames:
    """The runs of :data:`RUN` words that count as frame. ``shown`` are the longest chains of
    them, in words a person can read."""

    runs: frozenset[Run]
    shown: tuple[str, ...] = ()

    def outside(self, tokens: Sequence[str]) -> tuple[Run, ...]:
        """The stretches of ``tokens`` that no frame covers, in order."""
        framed = self._framed(tokens)
        stretches: list[list[str]] = [[]]
        for i, word in enumerate(tokens):
            if i not in framed:
                stretches[-1].append(word)
            elif stretches[-1]:
                stretches.append([])
        return tuple(tuple(stretch) for stretch in stretches if stretch)

    def _framed(self, tokens: Sequence[str]) -> frozenset[int]:
        """The places in ``tokens`` that a frame covers."""
        first = 1 - RUN  # the first run holds one word of the text, and edges before it
        found = (i for i, run in enumerate(_runs(tokens), start=first) if run in self.runs)
        return frozenset(place for i in found for place in range(i, i + RUN))


def learn_frames(prompts: Sequence[Sequence[str]], share: float) -> Frames:
    """The frames of ``prompts``, each given as its words: runs that occur in more than
    ``share`` of them, and in at least :data:`FEWEST`.

    The edges of a text count as words, so that a shared beginning or end is found even when
    it is shorter than a run.
    """
    occurs = Counter(run for tokens in prompts for run in set(_runs(tokens)))
    limit = Fraction(str(share)) * len(prompts)
    runs = frozenset(run for run, n in occurs.items() if n >= FEWEST and n > limit)
    return Frames(runs, _shown(prompts, runs))


def _runs(tokens: Sequence[str]) -> Iterator[Run]:
    edge = (_EDGE,) * (RUN - 1)
    padded = (*edge, *tokens, *edge)
    return (padded[i : i + RUN] for i in range(len(padded) - RUN + 1))


def _shown(prompts: Sequence[Sequence[str]], runs: frozenset[Run]) -> tuple[str, ...]:
    """The longest chains of overlapping frame runs, none inside another."""
    chains = {chain for tokens in prompts for chain in _chains(tokens, runs)}
    shown: list[str] = []
    for chain in sorted(chains, key=lambda chain: (-len(chain), chain)):
        text = " ".join(chain)
        if not any(f" {text} " in f" {longer} " for longer in shown):
            shown.append(text)
        if len(shown) == SHOWN:
            break
    return tuple(shown)


def _chains(tokens: Sequence[str], runs: frozenset[Run]) -> Iterator[Run]:
    chain: list[str] = []
    for run in _runs(tokens):
        if run in runs:
            chain = [*chain, run[-1]] if chain else list(run)
        elif chain:
            yield _without_edges(chain)
            chain = []
    if chain:
        yield _without_edges(chain)


def _without_edges(chain: Sequence[str]) -> Run:
    return tuple(word for word in chain if word != _EDGE)
