"""What the steps compare: the words of all pairs, read once, with and without shared frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.frames import Field, discount, learn_frames
from llamaduo.likeness.texts import Texts, Vocabulary, starts_of
from llamaduo.records import Pair

LONG_RESPONSE = 30
"""Words that must remain of a response before it counts: short ones coincide, as labels do."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Pairs as curation reads them: ``known`` rows that are there to stay (first the ``train``
    split, then what earlier cycles kept), then ``raw`` rows to be decided, then the held-out ones.

    Only the last user message is the instruction: a synthetic pair has its system prompt and
    earlier turns from the train pair that was its seed. ``discounted`` shows the frames of the
    train split's prompts.
    """

    vocabulary: Vocabulary
    instruction: Field
    response: Field
    train: int
    known: int
    raw: int
    discounted: tuple[str, ...] = ()


def read_pairs(
    train: Sequence[Pair],
    earlier: Sequence[Pair],
    raw: Sequence[Pair],
    held_out: Sequence[Pair],
    share: float,
) -> Reading:
    """Read all pairs. ``share`` is ``settings.shared_frame``: frames are learned from the train
    split, from its prompts and its responses apart."""
    pairs = [*train, *earlier, *raw, *held_out]
    vocabulary = Vocabulary()
    instructions = vocabulary.read([pair.instruction for pair in pairs])
    responses = vocabulary.read([pair.response for pair in pairs])
    frames = learn_frames(instructions.part(0, len(train)), share, vocabulary)
    answers = learn_frames(responses.part(0, len(train)), share, vocabulary)
    return Reading(
        vocabulary=vocabulary,
        instruction=discount(instructions, frames, vocabulary),
        response=discount(responses, answers, vocabulary),
        train=len(train),
        known=len(train) + len(earlier),
        raw=len(raw),
        discounted=frames.shown,
    )


def only(texts: Texts, chosen: NDArray[np.bool_]) -> Texts:
    """``texts`` with those empty that are not ``chosen``."""
    sizes = texts.sizes()
    return Texts(texts.words[np.repeat(chosen, sizes)], starts_of(np.where(chosen, sizes, 0)))
