"""What was refused, dropped or left unscored, by reason: nothing gets lost without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from llamaduo.records import Dropped, Refused
from llamaduo.reporting.answers import kind_of
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import count, part, plural
from llamaduo.reporting.tables.funnel import steps_of
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.tasks.showing import visible

MAX_REASONS = 8
"""Reasons shown for one step; the rest is summed up in a row of its own."""
MAX_PLACES = 3


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


def drops_of_batch(dropped: Iterable[Dropped], whole: int) -> Table:
    """What curation dropped of ``whole`` pairs, by step and reason."""
    counts = Counter((drop.step, kind_of(drop.reason)) for drop in dropped)
    rows: list[Row] = []
    for step in steps_of({step for step, _ in counts}):
        reasons = {why: n for (at, why), n in counts.items() if at == step}
        rows += (row[1:] for row in _rows("", step, reasons, whole))
    columns = (Column("Step", numeric=False), Column("Reason", numeric=False), Column("Dropped"))
    return Table("Dropped, by step and reason", columns, tuple(rows))


def refused_rows(refused: Sequence[Refused]) -> Table:
    """Rows of a file that hold no pair, by reason, and where the first of them are."""
    places: dict[str, list[str]] = {}
    for row in refused:
        places.setdefault(kind_of(row.reason), []).append(row.place)
    rows = tuple(
        (visible(reason), count(len(found)), visible(", ".join(_first(found))))
        for reason, found in sorted(places.items(), key=lambda item: -len(item[1]))
    )
    columns = (Column("Reason", numeric=False), Column("Rows"), Column("Where", numeric=False))
    return Table("Refused rows", columns, rows)


def _first(places: Sequence[str]) -> list[str]:
    return [*places[:MAX_PLACES], "…"] if len(places) > MAX_PLACES else list(places)


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
        # One judgement scores every metric, so one of them counts them all.
        metric = next(iter(panel.values()), None)
        whole = metric.scored + metric.unscored if metric else 0
        yield from _rows("Judging", one.words, one.answers.unscored, whole)
        lost = one.answers.uncompared
        yield from _rows("Comparing", one.words, lost, one.answers.compared + sum(lost.values()))


def _rows(stage: str, step: str, reasons: Mapping[str, int], whole: int) -> Iterator[Row]:
    """The commonest reasons first; what does not fit is summed up, never left out."""
    ordered = [(reason, n) for reason, n in Counter(reasons).most_common() if n]
    for reason, number in ordered[:MAX_REASONS]:
        yield stage, step, reason, part(number, whole)
    if rest := ordered[MAX_REASONS:]:
        total = sum(number for _, number in rest)
        yield stage, step, plural(len(rest), "other reason"), part(total, whole)
