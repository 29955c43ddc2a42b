"""Scores by cycle: the layout of the paper's Table 1, the ceiling and the target at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from llamaduo.records import Metric, MetricScores, Scores
from llamaduo.reporting.answers import AnsweredSet
from llamaduo.reporting.ceiling import favoured, matches, set_name
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import UNKNOWN, count, decimal, of, plural, ranged
from llamaduo.reporting.setup import MetricTarget
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.tasks.showing import visible


@dataclass(frozen=True, slots=True)
class _Line:
    """One row to be: a scored set, and the metrics of the panel or of one judge."""

    name: str
    best: bool
    scores: Scores
    metrics: Mapping[Metric, MetricScores]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which blocks a table has, and which columns each block: the mean, then these ζ."""

    metrics: tuple[Metric, ...]
    thresholds: tuple[int, ...]


def scores_by_cycle(evidence: Evidence) -> tuple[Table, ...]:
    """Scores of base, every cycle, the service LLM and final (Eq. 3 and 4).

    The panel first; with more than one judge, a table for each judge after it.
    """
    panel = [
        _Line(_name(one, evidence), _is_best(one, evidence), scores, scores.panel)
        for one in evidence.sets()
        if (scores := one.answers.scores) is not None
    ]
    judges = sorted({judge for line in panel for judge in line.scores.judges})
    if not panel:
        return ()
    note = " ".join(_notes(evidence, panel))
    if len(judges) < 2:
        return (_table(evidence, "Scores by cycle", panel, note),)
    title = f"Panel of {plural(len(judges), 'judge')}"
    if evidence.setup.judging.aggregate == "median":
        title += " (median)"
    blocks = (
        _table(evidence, f"Judge {visible(judge)}", _by_judge(panel, judge), judge=judge)
        for judge in judges
    )
    return _table(evidence, title, panel, note), *blocks


def _name(one: AnsweredSet, evidence: Evidence) -> str:
    return set_name(one, evidence) + (" (best)" if _is_best(one, evidence) else "")


def _is_best(one: AnsweredSet, evidence: Evidence) -> bool:
    return one.cycle is not None and one.cycle == evidence.best


def _by_judge(panel: Sequence[_Line], judge: str) -> list[_Line]:
    return [replace(line, metrics=line.scores.judges.get(judge, {})) for line in panel]


def _table(
    evidence: Evidence, title: str, lines: Sequence[_Line], note: str = "", judge: str = ""
) -> Table:
    layout = _layout(evidence, lines)
    rows = (
        *(_row(line, layout) for line in lines),
        *_match_rows(evidence, layout, judge),
        _target_row(evidence, layout),
    )
    emphasis = frozenset(i for i, line in enumerate(lines) if line.best)
    return Table(title, _columns(evidence, layout), rows, note, emphasis)


def _layout(evidence: Evidence, lines: Sequence[_Line]) -> _Layout:
    """Every metric, and every ζ that was scored or asked for."""
    scored = {z for line in lines for one in line.metrics.values() for z in one.coverage_percentage}
    targets = (evidence.setup.target_of(metric) for metric in evidence.metrics)
    asked = {zeta for target in targets for zeta in target.coverage_percentage}
    return _Layout(evidence.metrics, tuple(sorted(scored | asked)))


def _columns(evidence: Evidence, layout: _Layout) -> tuple[Column, ...]:
    names = ["mean", *(f"≥ {zeta}, %" for zeta in layout.thresholds)]
    blocks = [
        Column(name, group=evidence.title(metric), ranged=True)
        for metric in layout.metrics
        for name in names
    ]
    return (
        Column("Set", numeric=False),
        Column("Prompts"),
        Column("Responses"),
        *blocks,
        Column("Unscored"),
    )


def _row(line: _Line, layout: _Layout) -> Row:
    cells = [c for metric in layout.metrics for c in _cells(line.metrics.get(metric), layout)]
    first = next(iter(line.metrics.values()), None)
    return (
        line.name,
        count(line.scores.prompts),
        of(first.responses if first else 0, line.scores.responses),
        *cells,
        of(first.unscored, first.scored + first.unscored) if first else UNKNOWN,
    )


def _cells(scores: MetricScores | None, layout: _Layout) -> Iterator[str]:
    if scores is None:
        yield from [UNKNOWN] * (1 + len(layout.thresholds))
        return
    yield ranged(scores.mean_score, scores.interval)
    for zeta in layout.thresholds:
        yield ranged(scores.coverage_percentage.get(zeta), scores.intervals.get(zeta))


def _match_rows(evidence: Evidence, layout: _Layout, judge: str) -> Iterator[Row]:
    """P-Match: the local LLM's score over the service LLM's, in percent, where both have one."""
    for name, by_metric in matches(evidence, judge):
        found = [by_metric.get(metric) for metric in layout.metrics]
        cells = [
            decimal(value)
            for one in found
            for value in (
                one.mean if one else None,
                *(one.coverage.get(zeta) if one else None for zeta in layout.thresholds),
            )
        ]
        yield name, UNKNOWN, UNKNOWN, *cells, UNKNOWN


def _target_row(evidence: Evidence, layout: _Layout) -> Row:
    asked = [
        cell
        for metric in layout.metrics
        for cell in _target_cells(evidence.setup.target_of(metric), layout)
    ]
    return ("Target", UNKNOWN, UNKNOWN, *asked, UNKNOWN)


def _target_cells(target: MetricTarget, layout: _Layout) -> Iterator[str]:
    yield decimal(target.mean_score)
    for zeta in layout.thresholds:
        yield decimal(target.coverage_percentage.get(zeta))


def _notes(evidence: Evidence, lines: Sequence[_Line]) -> Iterator[str]:
    yield _legend(evidence)
    if any(True for _ in matches(evidence)):
        yield _MATCH
    yield from favoured(evidence)
    yield from (_bound(evidence, line) for line in lines if _unscored(line))


def _legend(evidence: Evidence) -> str:
    return (
        "Mean score from 0 to 100 (Eq. 3); “≥ ζ” is the coverage percentage, the share of responses"
        f" that score ζ or more (Eq. 4). In brackets the {evidence.interval_words}, clustered by"
        " prompt. Responses: those with at least one score, of all. Unscored: judgements that did"
        " not count, of all."
    )


_MATCH = "P-Match: the best cycle’s score in percent of the service LLM’s own."


def _unscored(line: _Line) -> bool:
    return any(one.unscored for one in line.metrics.values())


def _bound(evidence: Evidence, line: _Line) -> str:
    """What the unscored judgements could have done to the means, at worst and at best."""
    ranges = " and ".join(
        f"{evidence.words(metric)} between {decimal(one.lowest)} and {decimal(one.highest)}"
        for metric, one in line.metrics.items()
    )
    return f"{line.name}: had every unscored judgement been 0 or 100, the mean would be {ranges}."
