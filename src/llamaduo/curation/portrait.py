"""What synthesis does to the data, the paper's "bias": the train split beside what was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import numpy as np

from llamaduo.curation.chance import Counts
from llamaduo.curation.diversity import Ngrams, ngrams
from llamaduo.curation.families import Families, families_of
from llamaduo.curation.norms import FIELDS, Field, labels_of
from llamaduo.curation.settings import CurationSettings
from llamaduo.curation.shifts import (
    Random,
    family_shift,
    label_shifts,
    length_shifts,
    refusal_shift,
    script_shifts,
    templates,
    variety_shift,
)
from llamaduo.curation.sides import CountTexts, Measured, measure_side, statistics, words_in
from llamaduo.likeness.texts import Vocabulary
from llamaduo.records import Family, Pair, Portrait, Side, Wording
from llamaduo.tasks.settings import TaskSettings

NGRAM_SIZES = (1, 2, 3)
FAMILIES_SHOWN = 10
_DEFAULTS: Final = CurationSettings()

Unit = Literal["words", "tokens"]
Variety = Mapping[Field, Sequence[Ngrams | None]]


def portray(
    train: Sequence[Pair],
    synthetic: Sequence[Pair],
    *,
    task: TaskSettings,
    settings: CurationSettings = _DEFAULTS,
    count: CountTexts | None = None,
    seed: int = 0,
) -> Portrait:
    """Compare ``synthetic`` with ``train``, and warn where it collapses or shifts.

    ``count`` gives the tokens of each text; without it, lengths are in words. ``seed`` decides
    what is drawn at random: the same pairs give the same portrait. With ``settings.languages``
    it has languages too; where llamaduo[languages] is not installed, scripts stand for them.
    """
    labels = labels_of(train, task)
    random = np.random.default_rng(seed)
    ours, theirs = (
        measure_side(pairs, labels, count or words_in, settings.languages)
        for pairs in (train, synthetic)
    )
    variety = _variety(ours, theirs, random)
    views = families_of(
        ours.texts["instruction"], theirs.texts["instruction"], settings.shared_frame, random
    )
    unit: Unit = "words" if count is None else "tokens"
    return Portrait(
        train=_side(ours, variety, 0, views[0].train),
        synthetic=_side(theirs, variety, 1, views[0].synthetic),
        unit=unit,
        families=_largest(views[0]),
        warnings=(
            *_shifts(ours, theirs, unit, random),
            *_collapses(variety, views, labels is not None, random),
        ),
    )


def _variety(ours: Measured, theirs: Measured, random: Random) -> Variety:
    vocabulary = Vocabulary()
    read = {f: (vocabulary.read(ours.texts[f]), vocabulary.read(theirs.texts[f])) for f in FIELDS}
    return {f: [ngrams(*read[f], size, random) for size in NGRAM_SIZES] for f in FIELDS}


def _side(measured: Measured, variety: Variety, which: int, families: Counts) -> Side:
    return Side(
        pairs=measured.pairs,
        sampled=measured.sampled,
        lengths=statistics(measured.lengths["instruction"] + measured.lengths["response"]),
        instruction=_wording(measured, variety, which, "instruction"),
        response=_wording(measured, variety, which, "response"),
        labels=measured.labels,
        refusals=measured.refusals,
        templates=templates(families),
    )


def _wording(measured: Measured, variety: Variety, which: int, field: Field) -> Wording:
    return Wording(
        lengths=statistics(measured.lengths[field]),
        scripts=measured.scripts[field],
        languages=measured.languages[field] if measured.languages else None,
        distinct=tuple(grams.distinct()[which] if grams else None for grams in variety[field]),
        distinct_over=tuple(grams.over if grams else 0 for grams in variety[field]),
    )


def _largest(families: Families) -> tuple[Family, ...]:
    """The families with the largest shares of both sides together, largest first."""
    ours, theirs = (c / max(c.sum(), 1) for c in (families.train, families.synthetic))
    largest = np.argsort(-(ours + theirs)[:-1], kind="stable")[:FAMILIES_SHOWN]
    return tuple(Family(families.examples[k], float(ours[k]), float(theirs[k])) for k in largest)


def _shifts(ours: Measured, theirs: Measured, unit: Unit, random: Random) -> Iterator[str]:
    """Where the synthetic pairs are other than the train split's. Where responses are labels,
    their lengths say nothing that the labels do not."""
    if ours.labels is not None and theirs.labels is not None:
        yield from label_shifts(ours.labels, theirs.labels, random)
    for field in FIELDS:
        if field == "instruction" or ours.labels is None:
            yield from length_shifts(
                field, unit, ours.lengths[field], theirs.lengths[field], random
            )
        yield from _tongue_shifts(ours, theirs, field, random)
    yield from refusal_shift(ours.refusing(), theirs.refusing(), random)


def _tongue_shifts(ours: Measured, theirs: Measured, field: Field, random: Random) -> Iterator[str]:
    """Another script; or, in the same, another language."""
    found = [*script_shifts(field, "script", ours.scripts[field], theirs.scripts[field], random)]
    if not found and ours.languages and theirs.languages:
        told, others = _sure(ours.languages[field]), _sure(theirs.languages[field])
        found = [*script_shifts(field, "language", told, others, random)]
    yield from found


def _sure(languages: Mapping[str, int]) -> Mapping[str, int]:
    """Without the scripts that stand for languages which could not be told: those of short texts,
    so a change of lengths would look like one of languages."""
    return {name: count for name, count in languages.items() if len(name) == 2}


def _collapses(
    variety: Variety, views: Sequence[Families], labelled: bool, random: Random
) -> Iterator[str]:
    """Where the synthetic pairs are more of the same than the train split's."""
    outside, whole = views
    for view in (outside, whole):
        counts = view.train, view.synthetic
        found = [*family_shift(view.examples, *counts, random, framed=view is whole)]
        if found:
            yield from found
            break
    yield from variety_shift("instruction", variety["instruction"], random)
    if not labelled:
        yield from variety_shift("response", variety["response"], random)
