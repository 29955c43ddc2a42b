"""What other thresholds would drop: each is varied alone, on pairs that were read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from llamaduo.curation.curate import STEPS, Prepared, sift
from llamaduo.curation.settings import CurationSettings
from llamaduo.likeness.sieve import Fate
from llamaduo.records import Event, Notify, silent

THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.8, 0.9)
VARIED: Final[Mapping[str, str]] = {
    "near_duplicate": STEPS[Fate.NEARLY_SAME],
    "novelty": STEPS[Fate.ALIKE],
    "contamination": STEPS[Fate.EXCLUDED],
}
"""The settings that are varied, each with the step that it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one threshold comes to: ``dropped`` pairs by its own step, ``kept`` after all steps.
    ``current`` is the threshold that the settings have."""

    setting: str
    step: str
    threshold: float
    dropped: int
    kept: int
    current: bool


def what_if(
    prepared: Prepared, settings: CurationSettings, notify: Notify = silent
) -> tuple[Trial, ...]:
    """Each of :data:`VARIED` at :data:`THRESHOLDS` and as it is set, the others as they are set.

    A pair that one step no longer drops may be dropped by a later one, so fewer drops by a step
    are not as many more pairs kept.
    """
    variants = list(_variants(settings))
    trials: list[Trial] = []
    found: dict[CurationSettings, tuple[Mapping[str, int], int]] = {}
    for done, (setting, varied) in enumerate(variants):
        words = f"{setting} {_of(varied, setting):g}"
        notify(Event("dry run", done, len(variants), "thresholds", words))
        if varied not in found:
            found[varied] = _counts(prepared, varied)
        drops, kept = found[varied]
        trials.append(
            Trial(
                setting=setting,
                step=VARIED[setting],
                threshold=_of(varied, setting),
                dropped=drops.get(VARIED[setting], 0),
                kept=kept,
                current=varied == settings,
            )
        )
    notify(Event("dry run", len(variants), len(variants), "thresholds"))
    return tuple(trials)


def _variants(settings: CurationSettings) -> Iterator[tuple[str, CurationSettings]]:
    for setting in VARIED:
        for threshold in sorted({*THRESHOLDS, _of(settings, setting)}):
            yield setting, settings.model_copy(update={setting: threshold})


def _counts(prepared: Prepared, settings: CurationSettings) -> tuple[Mapping[str, int], int]:
    """Drops by step, and what is kept."""
    curated = sift(prepared, settings)
    return Counter(drop.step for drop in curated.dropped), len(curated.kept)


def _of(settings: CurationSettings, setting: str) -> float:
    return float(getattr(settings, setting))
