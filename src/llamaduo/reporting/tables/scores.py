"""Scores by cycle: the layout of the paper's Table 1, with the target as its last row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llamaduo.records import METRICS, Metric, MetricScores, Scores
from llamaduo.reporting.evidence import AnsweredSet, Evidence
from llamaduo.reporting.formatting import UNKNOWN, count, decimal, of, plural
from llamaduo.reporting.setup import TargetFacts
from llamaduo.reporting.tables.table import Column, Row, Table


@dataclass(frozen=True, slots=True)
class _Line:
    """One row to be: a scored set, and the metrics of the panel or of one judge."""

    name: str
    best: bool
    scores: Scores
    metrics: dict[Metric, MetricScores]


def scores_by_cycle(evidence: Evidence) -> tuple[Table, ...]:
    """Scores of base, every cycle and final (Eq. 3 and 4).

    The panel first; with more than one judge, a table for each judge after it.
    """
    panel = [
        _Line(one.name, _is_best(one, evidence), scores, scores.panel)
        for one in evidence.sets()
        if (scores := one.answers.scores) is not None
    ]
    judges = sorted({judge for line in panel for judge in line.scores.judges})
    if not panel:
        return ()
    if len(judges) < 2:
        return (_table(evidence, "Scores by cycle", panel, _note(panel)),)
    blocks = (_table(evidence, f"Judge {judge}", _by_judge(panel, judge)) for judge in judges)
    return (
        _table(evidence, f"Panel of {plural(len(judges), 'judge')}", panel, _note(panel)),
        *blocks,
    )


def _is_best(one: AnsweredSet, evidence: Evidence) -> bool:
    return one.cycle is not None and one.cycle == evidence.best


def _by_judge(panel: Sequence[_Line], judge: str) -> list[_Line]:
    return [replace(line, metrics=line.scores.judges.get(judge, {})) for line in panel]


def _table(evidence: Evidence, title: str, lines: Sequence[_Line], note: str = "") -> Table:
    thresholds = _thresholds(evidence, lines)
    rows = [_row(line, thresholds) for line in lines]
    emphasis = frozenset(i for i, line in enumerate(lines) if line.best)
    target = _target_row(evidence, thresholds)
    return Table(title, _columns(thresholds), (*rows, target), note, emphasis)


def _thresholds(evidence: Evidence, lines: Sequence[_Line]) -> tuple[int, ...]:
    """Every ζ that was scored or asked for."""
    scored = {z for line in lines for one in line.metrics.values() for z in one.coverage_percentage}
    asked = {z for metric in METRICS for z in evidence.setup.target_of(metric).coverage_percentage}
    return tuple(sorted(scored | asked))


def _columns(thresholds: Sequence[int]) -> tuple[Column, ...]:
    names = ["mean", *(f"≥ {zeta}, %" for zeta in thresholds)]
    blocks = [Column(name, group=metric.capitalize()) for metric in METRICS for name in names]
    return (
        Column("Set", numeric=False),
        Column("Prompts"),
        Column("Responses"),
        *blocks,
        Column("Exact match, %"),
        Column("Unscored"),
    )


def _row(line: _Line, thresholds: Sequence[int]) -> Row:
    cells = [c for metric in METRICS for c in _cells(line.metrics.get(metric), thresholds)]
    first = next(iter(line.metrics.values()), None)
    return (
        f"{line.name} (best)" if line.best else line.name,
        count(line.scores.prompts),
        of(first.responses if first else 0, line.scores.responses),
        *cells,
        decimal(line.scores.exact_match),
        of(first.unscored, first.scored + first.unscored) if first else UNKNOWN,
    )


def _cells(scores: MetricScores | TargetFacts | None, thresholds: Sequence[int]) -> list[str]:
    if scores is None:
        return [UNKNOWN] * (1 + len(thresholds))
    shares = (scores.coverage_percentage.get(zeta) for zeta in thresholds)
    return [decimal(scores.mean_score), *(decimal(share) for share in shares)]


def _target_row(evidence: Evidence, thresholds: Sequence[int]) -> Row:
    setup = evidence.setup
    asked = [c for metric in METRICS for c in _cells(setup.target_of(metric), thresholds)]
    return ("Target", UNKNOWN, UNKNOWN, *asked, UNKNOWN, UNKNOWN)


def _note(lines: Sequence[_Line]) -> str:
    return " ".join([_LEGEND, *(_bound(line) for line in lines if _unscored(line))])


_LEGEND = (
    "Mean score from 0 to 100 (Eq. 3); “≥ ζ” is the coverage percentage, the share of responses"
    " that score ζ or more (Eq. 4). Responses: those with at least one score, of all. Unscored:"
    " judgements that did not count, of all."
)


def _unscored(line: _Line) -> bool:
    return any(one.unscored for one in line.metrics.values())


def _bound(line: _Line) -> str:
    """What the unscored judgements could have done to the means, at worst and at best."""
    ranges = " and ".join(
        f"{metric} between {decimal(one.lowest)} and {decimal(one.highest)}"
        for metric, one in line.metrics.items()
    )
    return f"{line.name}: had every unscored judgement been 0 or 100, the mean would be {ranges}."
