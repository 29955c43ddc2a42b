"""The train split or the synthetic pairs, measured for a portrait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.habits import refuses
from llamaduo.curation.languages import language_of, script_of
from llamaduo.curation.norms import FIELDS, Field, label_of, text_of
from llamaduo.likeness.texts import Vocabulary
from llamaduo.records import Pair, TokenStatistics

SAMPLED = 10_000
"""Pairs of a side that are looked at for all that takes longer than counting."""
TOLD = 1_000
"""Texts of a side whose language is told, which takes a millisecond each."""
OTHER_LABEL = "(other)"

CountTexts = Callable[[Sequence[str]], Sequence[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One side. ``lengths`` and ``labels`` are those of all ``pairs``, the rest of the sample,
    whose texts are ``texts``. ``scripts`` and ``languages`` count texts."""

    pairs: int
    labels: Mapping[str, int] | None
    lengths: Mapping[Field, NDArray[np.int64]]
    texts: Mapping[Field, Sequence[str]]
    scripts: Mapping[Field, Counter[str]]
    languages: Mapping[Field, Counter[str]] | None
    refusals: int

    @property
    def sampled(self) -> int:
        return len(self.texts["instruction"])

    def refusing(self) -> NDArray[np.int64]:
        """Responses that refuse, and others."""
        return np.array([self.refusals, self.sampled - self.refusals])


def measure_side(
    pairs: Sequence[Pair], labels: frozenset[str] | None, count: CountTexts, languages: bool
) -> Measured:
    """Measure ``pairs``. ``labels`` are the task's; others are counted together."""
    sample = [pairs[i] for i in spaced(len(pairs), SAMPLED)]
    texts = {field: [text_of(pair, field) for pair in sample] for field in FIELDS}
    return Measured(
        pairs=len(pairs),
        labels=None if labels is None else _uses(pairs, labels),
        lengths={f: np.array(count([text_of(p, f) for p in pairs]), np.int64) for f in FIELDS},
        texts=texts,
        scripts={f: Counter(map(script_of, texts[f])) for f in FIELDS},
        languages={f: _languages(texts[f]) for f in FIELDS} if languages else None,
        refusals=sum(map(refuses, texts["response"])),
    )


def words_in(texts: Sequence[str]) -> Sequence[int]:
    """How many words each text has."""
    return [int(size) for size in Vocabulary().read(texts).sizes()]


def spaced(count: int, most: int) -> range | list[int]:
    """At most ``most`` of ``range(count)``, evenly spaced."""
    return range(count) if count <= most else [i * count // most for i in range(most)]


def statistics(lengths: NDArray[np.int64]) -> TokenStatistics | None:
    """Table 4's figures; None where there is nothing to measure."""
    if not len(lengths):
        return None
    return TokenStatistics(
        pairs=len(lengths),
        shortest=int(lengths.min()),
        longest=int(lengths.max()),
        mean=float(lengths.mean()),
        deviation=float(lengths.std()),
    )


def _languages(texts: Sequence[str]) -> Counter[str]:
    return Counter(language_of([texts[i] for i in spaced(len(texts), TOLD)]))


def _uses(pairs: Sequence[Pair], labels: frozenset[str]) -> dict[str, int]:
    """How often each label is used, 0 included."""
    uses = Counter(label_of(pair.response) for pair in pairs)
    known = {label: uses[label] for label in sorted(labels)}
    other = uses.total() - sum(known.values())
    return {**known, OTHER_LABEL: other} if other else known
