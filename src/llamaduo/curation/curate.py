"""ψ of Eq. 7: which synthetic pairs are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.balance import over_caps
from llamaduo.curation.decontamination import contaminated
from llamaduo.curation.duplicates import same_prompt, same_prompts
from llamaduo.curation.norms import label_of, norms_of
from llamaduo.curation.novelty import ALIKE, compared
from llamaduo.curation.objection import Objection
from llamaduo.curation.reading import Reading, read_pairs
from llamaduo.curation.rules import broken_rules
from llamaduo.curation.settings import CurationSettings
from llamaduo.likeness import minhash, rouge
from llamaduo.likeness.compiled import Workers, is_compiled
from llamaduo.likeness.limits import limit_of
from llamaduo.likeness.sieve import Candidates, Fate, Sieved, sieve
from llamaduo.likeness.texts import joined
from llamaduo.records import (
    Curated,
    Dropped,
    Event,
    FinalSplit,
    Notify,
    Pair,
    TestSplit,
    TrainSplit,
    silent,
)
from llamaduo.tasks.settings import TaskSettings

STEPS: Mapping[Fate, str] = {
    Fate.SAME: "exact duplicates",
    Fate.BARRED: "quality rules",
    Fate.NEARLY_SAME: "near-duplicates",
    Fate.ALIKE: "novelty",
    Fate.EXCLUDED: "decontamination",
}
BALANCE = "balance"
COMPILING = "Compiling, once on this machine: less than a minute."
NO_LABELS = (
    "curation.max_per_label caps nothing: the train responses are no closed set of labels."
    " Name the labels in task.labels."
)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """All that curation needs to know of the pairs, whatever its thresholds: ``same`` numbers
    the prompts of known and raw pairs, ``broken`` has the rule that each raw pair breaks, and
    ``labels`` its label where the task has some."""

    known: Sequence[Pair]
    raw: Sequence[Pair]
    held_out: Sequence[Pair]
    reading: Reading
    same: NDArray[np.int64]
    broken: Sequence[Objection | None]
    labels: Sequence[str | None]

    def pair(self, row: int) -> Pair:
        """The known or raw pair of that row."""
        known = len(self.known)
        return self.known[row] if row < known else self.raw[row - known]


def curate(
    raw: Sequence[Pair],
    *,
    train: TrainSplit,
    earlier: Sequence[Pair],
    test: TestSplit,
    final: FinalSplit,
    settings: CurationSettings,
    task: TaskSettings,
    notify: Notify = silent,
    threads: int | None = None,
) -> Curated:
    """Keep the pairs of ``raw``, in their order, to which no step objects.

    The steps: exact duplicates, quality rules, near-duplicates, novelty, decontamination, and
    caps for template families and labels where some are set. The first that objects is the one
    that a dropped pair names. A pair must differ from the train split, from ``earlier`` (what
    earlier cycles kept, which is not curated again) and from those of ``raw`` that are kept
    before it; a dropped pair costs no other its place. What more than ``settings.shared_frame``
    of the train prompts share does not count as likeness; the result shows it.

    The result does not depend on ``threads``, as many as there are cores unless said otherwise.

    Raises:
        ExtraMissing: a setting needs a package that is not installed.
    """
    prepared = prepare(
        raw,
        train=train,
        earlier=earlier,
        test=test,
        final=final,
        settings=settings,
        task=task,
        notify=notify,
    )
    return sift(prepared, settings, notify, threads)


def prepare(
    raw: Sequence[Pair],
    *,
    train: TrainSplit,
    earlier: Sequence[Pair],
    test: TestSplit,
    final: FinalSplit,
    settings: CurationSettings,
    task: TaskSettings,
    notify: Notify = silent,
) -> Prepared:
    """Read the pairs once, and hold each raw one to the quality rules: what stays the same when
    the thresholds of :func:`sift` change.

    Raises:
        ExtraMissing: ``settings.languages`` is on, and llamaduo[languages] is not installed.
    """
    if not is_compiled():
        notify(Event("curate", 0, None, "notice", COMPILING))
    norms = norms_of(train.pairs, task, settings)
    if settings.max_per_label is not None and norms.labels is None:
        notify(Event("curate", 0, None, "warning", NO_LABELS))
    known, held_out = (*train.pairs, *earlier), (*test.pairs, *final.pairs)
    notify(Event("curate", 0, None, "pairs", "reading"))
    reading = read_pairs(train.pairs, earlier, raw, held_out, settings.shared_frame)
    notify(Event("curate", 0, None, "pairs", "quality rules"))
    return Prepared(
        known=known,
        raw=raw,
        held_out=held_out,
        reading=reading,
        same=same_prompts((*known, *raw)),
        broken=broken_rules(raw, norms),
        labels=[label_of(p.response) if norms.labels is not None else None for p in raw],
    )


def sift(
    prepared: Prepared,
    settings: CurationSettings,
    notify: Notify = silent,
    threads: int | None = None,
) -> Curated:
    """Decide what is kept at the thresholds of ``settings``.

    Raises:
        ExtraMissing: ``settings.stemming`` is on, and llamaduo[stemming] is not installed.
    """
    reading = prepared.reading
    with Workers(threads) as workers:
        notify(Event("curate", 0, None, "pairs", "held-out pairs"))
        ids = [pair.id for pair in prepared.held_out]
        unclean = contaminated(reading, ids, settings, workers)
        candidates = _candidates(prepared, unclean, settings, workers)
        total = len(prepared.raw)

        def told(done: int) -> None:
            notify(Event("curate", done, total, "pairs"))

        sieved = sieve(candidates, workers, told)
    found = dict(_objections(prepared, unclean, candidates, sieved, settings))
    kept = [row for row in range(total) if row not in found]
    for row, excess in over_caps(reading, kept, prepared.labels, settings).items():
        leader = excess.lost_to
        lost_to = None if leader is None else prepared.raw[leader].id
        found[row] = (BALANCE, Objection(excess.reason, lost_to))
    return Curated(
        kept=tuple(pair for row, pair in enumerate(prepared.raw) if row not in found),
        dropped=tuple(
            Dropped(
                pair=prepared.raw[row],
                step=step,
                reason=objection.reason,
                lost_to=objection.lost_to,
            )
            for row, (step, objection) in sorted(found.items())
        ),
        discounted=reading.discounted,
    )


def _candidates(
    prepared: Prepared,
    unclean: Sequence[Objection | None],
    settings: CurationSettings,
    workers: Workers,
) -> Candidates:
    reading = prepared.reading
    count = reading.known + reading.raw
    fates = np.zeros(count, np.int8)
    for row, (rule, likeness) in enumerate(zip(prepared.broken, unclean, strict=True)):
        if rule or likeness:
            fates[reading.known + row] = Fate.BARRED if rule else Fate.EXCLUDED
    instruction, response = reading.instruction, reading.response
    remaining = joined(instruction.remaining.part(0, count), response.remaining.part(0, count))
    whole = joined(instruction.whole.part(0, count), response.whole.part(0, count))
    views = compared(reading, settings)
    words = len(reading.vocabulary)
    return Candidates(
        known=reading.known,
        same=prepared.same,
        fates=fates,
        runs=minhash.runs_of(remaining, whole, limit_of(settings.near_duplicate), workers),
        rouge=rouge.prepared(*views, limit_of(settings.novelty), words, workers),
        words=words,
    )


def _objections(
    prepared: Prepared,
    unclean: Sequence[Objection | None],
    candidates: Candidates,
    sieved: Sieved,
    settings: CurationSettings,
) -> Iterator[tuple[int, tuple[str, Objection]]]:
    """The step that objects to each raw row, and why."""
    shares = _shares(candidates, sieved)
    for row, fate in enumerate(map(Fate, sieved.fates.tolist())):
        other = int(sieved.lost_to[row])
        if fate is Fate.KEPT:
            continue
        if fate is Fate.SAME:
            objection = same_prompt(prepared.raw[row], prepared.pair(other))
        elif fate in (Fate.NEARLY_SAME, Fate.ALIKE):
            objection = _too_close(fate, shares[row], prepared.pair(other), settings)
        else:
            objection = (prepared.broken if fate is Fate.BARRED else unclean)[row] or Objection("")
        yield row, (STEPS[fate], objection)


def _too_close(fate: Fate, share: float, other: Pair, settings: CurationSettings) -> Objection:
    if fate is Fate.NEARLY_SAME:
        detail = f"Jaccard {share:.2f}, limit {settings.near_duplicate:g}"
        return Objection(f"nearly the same as another pair ({detail})", other.id)
    detail = f"ROUGE-L {share:.2f}, limit {settings.novelty:g}"
    return Objection(f"{ALIKE[settings.novelty_field]} ({detail})", other.id)


def _shares(candidates: Candidates, sieved: Sieved) -> NDArray[np.float64]:
    """How alike each raw row is to the one that it lost to, where that was a matter of degree."""
    shares = np.zeros(len(sieved.fates))
    for fate in (Fate.NEARLY_SAME, Fate.ALIKE):
        rows = np.flatnonzero(sieved.fates == fate)
        found = np.zeros(len(rows))
        pairs = (rows + candidates.known, sieved.lost_to[rows])
        if fate is Fate.NEARLY_SAME:
            minhash.measure(*pairs, candidates.runs, minhash.run_scratch(candidates.runs), found)
        else:
            space = rouge.scratch(candidates.rouge, candidates.words)
            rouge.measure(*pairs, candidates.rouge, space, found)
        shares[rows] = found
    return shares
