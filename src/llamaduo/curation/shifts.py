"""Warnings where the synthetic pairs differ from the train split: in words, with numbers and the
next step.

A warning needs two things: the difference matters, which is what the limits below say, and it is
beyond chance (:mod:`llamaduo.curation.chance`). The first is tried first, for it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.chance import (
    Counts,
    Measure,
    alike,
    beyond_chance,
    largest_lost,
    largest_rise,
    mean_apart,
    more_alike,
    moved,
    shares,
)
from llamaduo.curation.diversity import Ngrams
from llamaduo.curation.norms import Field

LABELS_MOVED = 0.15
LABEL_LOST = 0.01
"""Share of the train split that a label has, before it is missed."""
SCRIPTS_MOVED = 0.1
TIMES_AS_LONG = 2.0
DEVIATIONS_APART, TIMES_APART = 0.8, 1.25
"""Means this many standard deviations apart are a shift (a large effect by Cohen's measure), but
not where lengths hardly vary and one is not even this many times the other."""
REFUSALS_UP = 0.02
DISTINCT_FALLEN = 2 / 3
FAMILY_RISEN = 0.1
TEMPLATES_FEWER = 3
"""Templates that are this many times fewer are a collapse, if each has :data:`PAIRS_EACH` pairs
or more."""
PAIRS_EACH = 20

Random = np.random.Generator
Counted = Mapping[str, int]

_SEEDS: Final = "give synthesis more varied seeds"
_LOOK: Final = "Look at some of them"


def label_shifts(train: Counted, synthetic: Counted, random: Random) -> Iterator[str]:
    """Labels whose shares are others, and labels that are gone."""
    if not _both(train, synthetic):
        return
    labels, ours, theirs = _aligned(train, synthetic)
    if _passes(moved, LABELS_MOVED, ours, theirs, random):
        most, share = _most_risen(labels, ours, theirs)
        yield (
            f"The labels have shifted, {most} most: {share}. "
            f"Set curation.max_per_label in a new run, or {_SEEDS}."
        )
    if _passes(largest_lost, LABEL_LOST, ours, theirs, random):
        share_lost = np.where(theirs == 0, shares(ours), 0)
        lost, had = labels[int(share_lost.argmax())], _percent(float(share_lost.max()))
        yield (
            f"No synthetic pair has the label {lost} (train: {had}). "
            "Look among the dropped pairs for why, or add train pairs that have it."
        )


def script_shifts(
    field: Field,
    kind: Literal["script", "language"],
    train: Counted,
    synthetic: Counted,
    random: Random,
) -> Iterator[str]:
    """Texts in other scripts or languages than the train split's."""
    if not _both(train, synthetic):
        return
    names, ours, theirs = _aligned(train, synthetic)
    if _passes(moved, SCRIPTS_MOVED, ours, theirs, random):
        most, share = _most_risen(names, ours, theirs)
        yield (
            f"The {kind} of the {field}s has shifted, {most} most: {share}. "
            "Name the language in task.topic."
        )


def length_shifts(
    field: Field, unit: str, train: NDArray[np.int64], synthetic: NDArray[np.int64], random: Random
) -> Iterator[str]:
    """Texts that are much longer or shorter on average. Both arrays are lengths in ``unit``."""
    if not len(train) or not len(synthetic) or not _length_matters(train, synthetic):
        return
    values, kinds = np.unique(np.concatenate([train, synthetic]), return_inverse=True)
    ours = np.bincount(kinds[: len(train)], minlength=len(values))
    theirs = np.bincount(kinds[len(train) :], minlength=len(values))
    if beyond_chance(ours, theirs, mean_apart(values), random):
        before, now = float(train.mean()), float(synthetic.mean())
        yield (
            f"The synthetic {field}s are {'longer' if before < now else 'shorter'} than the train "
            f"split's: {now:,.3g} {unit} on average (train: {before:,.3g}). "
            f"{_LOOK}, and say the wanted length in task.topic."
        )


def refusal_shift(train: Counts, synthetic: Counts, random: Random) -> Iterator[str]:
    """More refusals. Each side is responses that refuse, and others."""
    if not train.sum() or not synthetic.sum():
        return
    if _passes(largest_rise, REFUSALS_UP, train, synthetic, random):
        share, before = _percent(shares(synthetic)[0]), _percent(shares(train)[0])
        yield (
            f"{share} of the synthetic responses refuse or speak as an AI (train: {before}). "
            f"{_LOOK}: the service LLM takes some seeds amiss."
        )


def variety_shift(field: Field, grams: Sequence[Ngrams | None], random: Random) -> Iterator[str]:
    """Wording that repeats itself. ``grams`` are those of 1, 2 and 3 words."""
    for size, of_size in enumerate(grams, start=1):
        if of_size is None:
            continue
        before, now = of_size.distinct()
        if now <= DISTINCT_FALLEN * before and of_size.are_fewer(random):
            yield (
                f"The synthetic {field}s repeat themselves: distinct-{size} is {now:.2f} "
                f"(train: {before:.2f}, over {of_size.over:,} n-grams of each). "
                f"Raise synthesis.temperature, or {_SEEDS}."
            )
            return


def family_shift(
    examples: Sequence[str], train: Counts, synthetic: Counts, random: Random, *, framed: bool
) -> Iterator[str]:
    """One template that has many of the synthetic pairs, or few that have them all.

    ``examples`` are instructions, one of each family; the counts have one entry more, for the
    pairs that are of none. ``framed``: it is in their frames that the pairs of a family are
    alike, which a cap does not count.
    """
    step = (
        _SEEDS.capitalize() if framed else f"Set curation.max_per_family in a new run, or {_SEEDS}"
    )
    if not train.sum() or not synthetic.sum():
        return
    if _passes(largest_rise, FAMILY_RISEN, train, synthetic, random):
        top = int((shares(synthetic) - shares(train))[:-1].argmax())
        share, before = _percent(shares(synthetic)[top]), _percent(shares(train)[top])
        yield (
            f"One template has {share} of the synthetic pairs (train: {before}): "
            f"'{examples[top]}'. {step}."
        )
    elif _few_templates(train, synthetic) and beyond_chance(train, synthetic, more_alike, random):
        found, had = templates(synthetic), templates(train)
        beside = "no two alike" if had is None else f"{had:,.0f}"
        yield (
            f"The synthetic pairs come from few templates: as from {found:,.0f} of equal size "
            f"(train: {beside}). {step}."
        )


def templates(counts: Counts) -> float | None:
    """How many families of equal size would make two pairs be of the same as often as they are;
    None if no two are. The last count is that of pairs which are of none."""
    often = float(alike(counts))
    return 1 / often if often else None


def _few_templates(train: Counts, synthetic: Counts) -> bool:
    found, before = templates(synthetic), templates(train)
    if found is None or found * PAIRS_EACH > synthetic.sum():
        return False
    return before is None or found * TEMPLATES_FEWER <= before


def _passes(
    measure: Measure, limit: float, train: Counts, synthetic: Counts, random: Random
) -> bool:
    """Whether the difference matters, and is beyond chance."""
    if measure(train, synthetic) < limit:
        return False
    return beyond_chance(train, synthetic, measure, random)


def _length_matters(train: NDArray[np.int64], synthetic: NDArray[np.int64]) -> bool:
    low, high = sorted((float(train.mean()), float(synthetic.mean())))
    apart = high - low
    deviation = float(np.sqrt((train.var() + synthetic.var()) / 2))
    if high >= TIMES_AS_LONG * low:
        return apart > 0
    return high >= TIMES_APART * low and apart >= DEVIATIONS_APART * deviation


def _most_risen(kinds: Sequence[str], train: Counts, synthetic: Counts) -> tuple[str, str]:
    """The kind whose share has risen most, and its shares in words."""
    ours, theirs = shares(train), shares(synthetic)
    most = int((theirs - ours).argmax())
    words = f"{_percent(theirs[most])} of the synthetic pairs (train: {_percent(ours[most])})"
    return kinds[most], words


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def _both(train: Counted, synthetic: Counted) -> bool:
    return sum(train.values()) > 0 and sum(synthetic.values()) > 0


def _aligned(train: Counted, synthetic: Counted) -> tuple[list[str], Counts, Counts]:
    kinds = sorted({*train, *synthetic})
    ours = np.array([train.get(kind, 0) for kind in kinds], np.int64)
    return kinds, ours, np.array([synthetic.get(kind, 0) for kind in kinds], np.int64)
