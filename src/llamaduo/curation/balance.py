"""Step 6 of ψ: at most so many pairs of one template family, and with one label.

Off unless asked for. It comes last: what an earlier step drops takes nobody's place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.families import SAME_FAMILY
from llamaduo.curation.reading import Reading
from llamaduo.curation.settings import CurationSettings
from llamaduo.likeness.families import leaders
from llamaduo.likeness.texts import Texts, starts_of


@dataclass(frozen=True, slots=True)
class Excess:
    """Why a pair is beyond a cap. ``lost_to`` is the raw row of its family's first pair."""

    reason: str
    lost_to: int | None = None


def over_caps(
    reading: Reading,
    kept: Sequence[int],
    labels: Sequence[str | None],
    settings: CurationSettings,
) -> dict[int, Excess]:
    """Those of ``kept`` that are beyond ``max_per_family`` or ``max_per_label``, by raw row.

    ``kept`` are raw rows in order; ``labels`` has the label of every raw row, None where it has
    none. Who comes first stays. A dropped pair takes no place: it counts for no label and no
    family, and leads none. So among those that stay nothing is beyond a cap.
    """
    over: dict[int, Excess] = {}
    while True:
        rows = [row for row in kept if row not in over]
        found, ended = _drop(rows, _leaders(reading, rows, settings), labels, settings)
        over |= found
        if ended:
            return over


def _leaders(reading: Reading, rows: Sequence[int], settings: CurationSettings) -> Sequence[int]:
    """The row that leads the family of each of ``rows``; itself where families do not count."""
    if settings.max_per_family is None or not rows:
        return rows
    texts = _rows_of(reading.instruction.remaining, np.array(rows) + reading.known)
    found = leaders(texts, SAME_FAMILY, len(reading.vocabulary))
    return [rows[i] for i in found.tolist()]


def _drop(
    rows: Sequence[int],
    led_by: Sequence[int],
    labels: Sequence[str | None],
    settings: CurationSettings,
) -> tuple[dict[int, Excess], bool]:
    """Drop in order what is beyond a cap, and whether that came to the end of ``rows``.

    It stops at a pair whose leader was dropped for its label: without that one the families
    from here on are others. All later pairs with a full label are dropped too, so that this
    happens once for each label at most.
    """
    over: dict[int, Excess] = {}
    with_label: Counter[str | None] = Counter()
    of_family: Counter[int] = Counter()
    label_cap, family_cap = settings.max_per_label or inf, settings.max_per_family or inf
    for place, (row, leader) in enumerate(zip(rows, led_by, strict=True)):
        label = labels[row]
        if label is not None and with_label[label] >= label_cap:
            over[row] = _beyond_label(label, settings)
        elif leader in over:
            for later in rows[place:]:
                name = labels[later]
                if name is not None and with_label[name] >= label_cap:
                    over[later] = _beyond_label(name, settings)
            return over, False
        elif of_family[leader] >= family_cap:
            over[row] = _beyond_family(leader, settings)
        else:
            with_label[label] += 1
            of_family[leader] += 1
    return over, True


def _beyond_label(label: str, settings: CurationSettings) -> Excess:
    return Excess(f"its label has enough pairs ({label[:60]}, at most {settings.max_per_label})")


def _beyond_family(leader: int, settings: CurationSettings) -> Excess:
    detail = f"at most {settings.max_per_family}"
    return Excess(f"its template family has enough pairs ({detail})", leader)


def _rows_of(texts: Texts, rows: NDArray[np.int64]) -> Texts:
    """The texts of ``rows``, in their order."""
    sizes = texts.sizes()[rows]
    starts = starts_of(sizes)
    places = np.arange(starts[-1]) + np.repeat(texts.starts[rows] - starts[:-1], sizes)
    return Texts(texts.words[places], starts)
