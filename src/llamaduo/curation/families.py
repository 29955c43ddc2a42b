"""Template families: instructions that say mostly the same, such as "write a haiku about …".

A family is led by its first member; the others have a ROUGE-L F of at least :data:`SAME_FAMILY`
with it, and with no earlier leader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from llamaduo.curation.chance import Counts
from llamaduo.likeness.families import leaders
from llamaduo.likeness.frames import discount, learn_frames
from llamaduo.likeness.texts import Texts, Vocabulary

SAME_FAMILY: Final = Fraction(1, 2)
_SHOWN = 80  # characters of an example


@dataclass(frozen=True, slots=True, eq=False)
class Families:
    """The families of both sides' instructions, with an example of each.

    The counts have one entry more than there are examples: pairs that are like no other.
    """

    examples: tuple[str, ...]
    train: Counts
    synthetic: Counts


def families_of(
    train: Sequence[str], synthetic: Sequence[str], share: float, random: np.random.Generator
) -> tuple[Families, Families]:
    """The families of the words outside the frames of ``train``, then those of all words.

    ``share`` is ``settings.shared_frame``. Outside the frames few templates show that fill one
    frame; a frame that becomes most of the pairs shows only in all words. The instructions of
    both sides are shuffled together first, so that neither has more of the leaders by its place.
    """
    texts = [*train, *synthetic]
    order = random.permutation(len(texts))
    vocabulary = Vocabulary()
    frames = learn_frames(vocabulary.read(train), share, vocabulary)
    field = discount(vocabulary.read([texts[i] for i in order]), frames, vocabulary)
    outside, whole = (
        _grouped(texts, order, view, len(train), len(vocabulary))
        for view in (field.remaining, field.whole)
    )
    return outside, whole


def _grouped(
    texts: Sequence[str], order: Counts, view: Texts, train: int, vocabulary: int
) -> Families:
    """Count the families of ``view``: ``texts`` in ``order``. The first ``train`` are ours."""
    led, kinds, sizes = np.unique(
        leaders(view, SAME_FAMILY, vocabulary), return_inverse=True, return_counts=True
    )
    number = np.where(sizes > 1, np.cumsum(sizes > 1) - 1, (sizes > 1).sum())
    kinds = number[kinds]
    entries = int((sizes > 1).sum()) + 1
    ours = order < train
    return Families(
        examples=tuple(_shortened(texts[order[leader]]) for leader in led[sizes > 1]),
        train=np.bincount(kinds[ours], minlength=entries),
        synthetic=np.bincount(kinds[~ours], minlength=entries),
    )


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1].rstrip()}…"
