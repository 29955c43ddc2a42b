"""Scores and drops by language, or by script: shown where a run has more than one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from llamaduo.reporting.answers import KEPT, Answers
from llamaduo.reporting.evidence import MOST_TOLD, Evidence
from llamaduo.reporting.formatting import count, decimal
from llamaduo.reporting.panel import PanelScore
from llamaduo.reporting.tables.funnel import steps_of
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.tasks.showing import visible

Drops = Mapping[str, Mapping[str, int]]
"""Pairs by language, then by the step that dropped them or :data:`KEPT`."""


def scores_by_language(evidence: Evidence) -> Table | None:
    """The panel's scores by the language of the prompt; None where all prompts have the same."""
    if len(set(evidence.languages.values())) < 2:
        return None
    thresholds = evidence.setup.judging.score_thresholds
    names = ("mean", *(f"≥ {zeta}, %" for zeta in thresholds))
    columns = (
        Column("Set", numeric=False),
        Column("Prompts in", numeric=False),
        Column("Prompts"),
        Column("Responses scored"),
        *(
            Column(name, group=evidence.title(metric))
            for metric in evidence.metrics
            for name in names
        ),
    )
    rows = tuple(
        (one.name, *row)
        for one in evidence.sets()
        for row in _score_rows(one.answers, evidence, thresholds)
    )
    title = "Scores by language or script of the prompt"
    return Table(title, columns, rows, _TOLD) if rows else None


_TOLD = (
    "By the script that most letters are of; where curation.languages is on, by language, of texts"
    f" that are long enough to tell, in sets of at most {MOST_TOLD:,}."
)


def _score_rows(answers: Answers, evidence: Evidence, thresholds: Sequence[int]) -> Iterator[Row]:
    found: dict[str, list[tuple[str, PanelScore]]] = {}
    for response, score in answers.panel.items():
        pair = answers.pairs.get(response, "")
        if language := evidence.languages.get(pair):
            found.setdefault(language, []).append((pair, score))
    for language, scored in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        cells = [
            cell
            for metric in evidence.metrics
            for cell in _cells(_known(score.of(metric) for _, score in scored), thresholds)
        ]
        prompts = len({pair for pair, _ in scored})
        yield visible(language), count(prompts), count(len(scored)), *cells


def _known(scores: Iterable[float | None]) -> list[float]:
    return [score for score in scores if score is not None]


def _cells(scores: Sequence[float], thresholds: Sequence[int]) -> Iterator[str]:
    yield decimal(fmean(scores) if scores else None)
    for zeta in thresholds:
        reached = sum(score >= zeta for score in scores)
        yield decimal(100 * reached / len(scores) if scores else None)


def drops_by_language(batches: Sequence[tuple[str, Drops]]) -> Table | None:
    """What became of each batch's pairs by the language of their instruction; None where all
    have the same. A batch comes with its name."""
    if len({language for _, drops in batches for language in drops}) < 2:
        return None
    steps = steps_of({step for _, drops in batches for found in drops.values() for step in found})
    columns = (
        Column("Batch", numeric=False),
        Column("Instructions in", numeric=False),
        Column("Pairs"),
        *(Column(step, group="Dropped by") for step in steps),
        Column("Kept"),
    )
    rows = tuple(
        (name, *_drop_row(language, drops[language], steps))
        for name, drops in batches
        for language in sorted(drops, key=lambda one: (-sum(drops[one].values()), one))
    )
    return Table("Drops by language or script", columns, rows, _TOLD)


def _drop_row(language: str, found: Mapping[str, int], steps: Sequence[str]) -> Row:
    whole = sum(found.values())
    dropped = (count(found.get(step, 0)) for step in steps)
    return visible(language), count(whole), *dropped, count(found.get(KEPT, 0))
