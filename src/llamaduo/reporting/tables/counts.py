"""Counts of every stage: the funnel from rows read to pairs kept."""

from __future__ import annotations

from collections.abc import Iterator

from llamaduo.records import Scores
from llamaduo.reporting.answers import AnsweredSet, CycleEvidence
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import UNKNOWN, count, of, part
from llamaduo.reporting.tables.egress import personal_data
from llamaduo.reporting.tables.table import Column, Row, Table


def stage_counts(evidence: Evidence) -> tuple[Table, ...]:
    """The funnel: rows read to pairs split, then every cycle's pairs, responses, judgements."""
    return (*_coverage_counts(evidence), *_cycle_counts(evidence))


def _coverage_counts(evidence: Evidence) -> Iterator[Table]:
    rows = (*_import_rows(evidence), *_split_rows(evidence))
    if rows:
        columns = (Column("Coverage data", numeric=False), Column("Count"))
        yield Table("From rows to splits", columns, rows)
    if evidence.imported and evidence.imported.redacted:
        yield personal_data(evidence.imported)


def _import_rows(evidence: Evidence) -> Iterator[Row]:
    if imported := evidence.imported:
        yield "Rows read", count(imported.read)
        yield "Duplicates left out", part(imported.duplicates, imported.read)
        yield "Rows refused", part(len(imported.refused), imported.read)


def _split_rows(evidence: Evidence) -> Iterator[Row]:
    if split := evidence.split:
        read = evidence.imported.read if evidence.imported else None
        yield "Pairs accepted", part(split.accepted, read)
        yield "… in the train split", part(split.train, split.accepted)
        yield "… in the test split", part(split.test, split.accepted)
        yield "… in the final split", part(split.final, split.accepted)


_CYCLE_COLUMNS = (
    Column("Set", numeric=False),
    Column("trained on", group="Fine-tuning"),
    Column("set aside", group="Fine-tuning"),
    Column("prompts", group="Inference"),
    Column("set aside", group="Inference"),
    Column("responses", group="Inference"),
    Column("scored", group="Judgements"),
    Column("requests", group="Synthesis after it"),
    Column("unreadable", group="Synthesis after it"),
    Column("kept, of pairs", group="Synthesis after it"),
)


def _cycle_counts(evidence: Evidence) -> Iterator[Table]:
    rows = tuple(_cycle_row(one) for one in evidence.sets())
    if rows:
        yield Table("Every stage, by cycle", _CYCLE_COLUMNS, rows, _CYCLE_NOTE)


_CYCLE_NOTE = (
    "Set aside: longer than the local LLM’s window, counted and never cut. The batch synthesized"
    " after a cycle is trained on from the next cycle on, with all earlier ones and the train"
    " split. Unreadable: replies, or pairs in them, that could not be parsed."
)


def _cycle_row(one: AnsweredSet) -> Row:
    inference = one.answers.inference
    training = one.cycle.training if one.cycle else None
    return (
        one.name,
        count(training.pairs if training else None),
        count(training.set_aside if training else None),
        count(inference.prompts if inference else None),
        count(inference.too_long if inference else None),
        count(inference.responses if inference else None),
        _judgements(one.answers.scores),
        *_synthesis_counts(one.cycle),
    )


def _judgements(scores: Scores | None) -> str:
    """Judgements by all judges. One judgement scores every metric, so one counts them."""
    metric = next(iter(scores.panel.values()), None) if scores else None
    return of(metric.scored, metric.scored + metric.unscored) if metric else UNKNOWN


def _synthesis_counts(cycle: CycleEvidence | None) -> Row:
    made = cycle.synthesis if cycle else None
    if cycle is None or made is None:
        return (UNKNOWN,) * 3
    kept = count(cycle.curation.kept if cycle.curation else None)
    return count(made.requests), count(made.malformed), f"{kept} of {count(made.pairs)}"
