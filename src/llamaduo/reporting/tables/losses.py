"""What was refused, dropped or left unscored, by reason: nothing gets lost without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import part, plural
from llamaduo.reporting.tables.table import Column, Row, Table

MAX_REASONS = 8
"""Reasons shown for one step; the rest is summed up in a row of its own."""


def drops_by_reason(evidence: Evidence) -> Table:
    """Everything that was refused, dropped or left unscored, by reason."""
    columns = (
        Column("Stage", numeric=False),
        Column("Step", numeric=False),
        Column("Reason", numeric=False),
        Column("Lost"),
    )
    rows = (*_refused(evidence), *_dropped(evidence), *_unscored(evidence))
    note = "" if rows else "So far nothing was refused, dropped or left unscored."
    return Table("Refused, dropped and unscored, by reason", columns, rows, note)


def _refused(evidence: Evidence) -> Iterator[Row]:
    imported = evidence.imported
    if imported:
        same = {"the same pair was read before": imported.duplicates}
        yield from _rows("Import", "duplicates", same, imported.read)
        reasons = Counter(row.reason for row in imported.refused)
        yield from _rows("Import", "refused", reasons, imported.read)


def _dropped(evidence: Evidence) -> Iterator[Row]:
    for cycle in evidence.cycles:
        whole = cycle.curation.pairs if cycle.curation else sum(cycle.dropped.values())
        for step in dict.fromkeys(step for step, _ in cycle.dropped):
            reasons = {why: n for (at, why), n in cycle.dropped.items() if at == step}
            yield from _rows(f"Curation after cycle {cycle.cycle}", step, reasons, whole)


def _unscored(evidence: Evidence) -> Iterator[Row]:
    for one in evidence.sets():
        panel = one.answers.scores.panel if one.answers.scores else {}
        # One judgement scores both metrics, so one metric counts them all.
        metric = next(iter(panel.values()), None)
        whole = metric.scored + metric.unscored if metric else 0
        yield from _rows("Judging", one.name.lower(), one.answers.unscored, whole)


def _rows(stage: str, step: str, reasons: Mapping[str, int], whole: int) -> Iterator[Row]:
    """The commonest reasons first; what does not fit is summed up, never left out."""
    ordered = [(reason, n) for reason, n in Counter(reasons).most_common() if n]
    for reason, number in ordered[:MAX_REASONS]:
        yield stage, step, reason, part(number, whole)
    if rest := ordered[MAX_REASONS:]:
        total = sum(number for _, number in rest)
        yield stage, step, plural(len(rest), "other reason"), part(total, whole)
