"""Shared frames: the wording that a task's prompts have in common, which tells none apart.

Prompts of one task share fixed wording ("Classify the following ticket: …"). Left in, it makes
every pair look like every other: on tickets in a fixed frame, all clean pairs resemble some
test prompt. So what more than a share of the train prompts have in common does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness import runs as of_runs
from llamaduo.likeness.texts import Texts, Vocabulary, starts_of

RUN = of_runs.RUN
"""Words in the shortest run that can be a frame. Two words in a row are shared by chance ("of
the"); longer runs would leave the short pieces between the slots of a template standing."""
FEWEST = 3
"""Prompts that must share a run, however small the train split: two alike are a coincidence."""
SHOWN = 20


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The runs of :data:`RUN` words that count as frame, one a row, in words of a vocabulary;
    :data:`llamaduo.likeness.runs.EDGE` stands before and after a text. ``shown`` are the longest
    chains of them, in words a person can read."""

    runs: NDArray[np.int32]
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Texts as curation compares them: ``whole``, and what of them is ``remaining`` outside the
    frames. ``framed`` says of each of ``whole.words`` whether a frame covers it.

    Two texts resemble each other when they do so in both views. What remains would not do alone:
    two prompts that say the same outside their frames and differ in which frame they use would
    look equal. So discounting a frame can spare a pair, and never condemns one.

    Where frames cover all of a text, what remains of it is one single word, the text itself: it
    equals the same text, and resembles nothing else.
    """

    whole: Texts
    framed: NDArray[np.bool_]
    remaining: Texts


def learn_frames(texts: Texts, share: float, vocabulary: Vocabulary) -> Frames:
    """The frames of ``texts``: runs that occur in more than ``share`` of them, and in at least
    :data:`FEWEST`.

    The edges of a text count as words, so that a shared beginning or end is found even when
    it is shorter than a run.
    """
    limit = Fraction(str(share)) * len(texts)
    fewest = max(FEWEST, limit.numerator // limit.denominator + 1)
    runs = of_runs.frequent_runs(texts.words, texts.starts, len(vocabulary), fewest)
    return Frames(runs, _shown(texts, runs, vocabulary))


def discount(texts: Texts, frames: Frames, vocabulary: Vocabulary) -> Field:
    """``texts`` with what ``frames`` cover told apart. A text that is all frame becomes a word
    of ``vocabulary``."""
    framed = np.empty(len(texts.words), np.bool_)
    left = np.empty(len(texts), np.int64)
    found = of_runs.find_runs(texts.words, texts.starts, frames.runs, len(vocabulary))
    of_runs.cover(texts.starts, found, framed, left)
    del found
    covered = np.flatnonzero((left == 0) & (texts.sizes() > 0))
    left[covered] = 1
    starts = starts_of(left)
    framed[texts.starts[covered]] = False  # their first words' places are for the single word
    words = texts.words[~framed]
    framed[texts.starts[covered]] = True
    words[starts[covered]] = vocabulary.phrases(texts, covered)
    return Field(texts, framed, Texts(words, starts))


def _shown(texts: Texts, runs: NDArray[np.int32], vocabulary: Vocabulary) -> tuple[str, ...]:
    """The longest chains of overlapping frame runs, none inside another."""
    shown: list[str] = []
    if len(runs):
        names = {int(word): vocabulary.word(word) for word in np.unique(runs[runs != of_runs.EDGE])}
        for chain in _chains(texts, runs, names, len(vocabulary)):
            text = " ".join(chain)
            if not any(f" {text} " in f" {longer} " for longer in shown):
                shown.append(text)
            if len(shown) == SHOWN:
                break
    return tuple(shown)


def _chains(
    texts: Texts, runs: NDArray[np.int32], names: dict[int, str], vocabulary_size: int
) -> Iterator[tuple[str, ...]]:
    """The distinct chains of ``runs`` in ``texts``, the longest first, those of one length in
    the order of their words."""
    found = of_runs.find_runs(texts.words, texts.starts, runs, vocabulary_size)
    spans = np.empty((len(found) // 2 + len(texts), 2), np.int64)
    spans = spans[: of_runs.chains(texts.starts, found, spans)]
    sizes = spans[:, 1] - spans[:, 0]
    for size in np.unique(sizes)[::-1]:
        begins = spans[sizes == size, 0].tolist()
        distinct = {texts.words[begin : begin + size].tobytes() for begin in begins}
        yield from sorted(
            tuple(names[word] for word in np.frombuffer(chain, np.int32).tolist())
            for chain in distinct
        )
