"""Where the best model is weak: its scores by label, language and length, and what it confuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from llamaduo.records import Confusion, Slice
from llamaduo.reporting.answers import Answers
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import count, measured
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.tasks.showing import visible

WEAKEST = 10
"""Slices in the short table."""
FEW = 10
"""Prompts below which a slice says little."""
NO_LABEL = "none, or several"
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Weakness:
    """The weakest slices; all of them, where those are not all; and the confusion matrix."""

    weakest: Table | None = None
    every: Table | None = None
    confusion: Table | None = None


def weakness(evidence: Evidence) -> Weakness:
    """Of the best cycle, or of the last set that was broken down where there is no verdict yet."""
    name, answers = _looked_at(evidence)
    found = answers.breakdown
    if found is None:
        return Weakness()
    slices = sorted(found.slices, key=lambda one: (_level(one, evidence), one.by, one.name))
    weakest, every = slices[:WEAKEST], slices if len(slices) > WEAKEST else []
    title = f"The weakest slices of {name}"
    return Weakness(
        weakest=_slices(title, weakest, evidence) if weakest else None,
        every=_slices(f"Every slice of {name}, the weakest first", every, evidence)
        if every
        else None,
        confusion=_confusion(found.confusion, name) if found.confusion else None,
    )


def _looked_at(evidence: Evidence) -> tuple[str, Answers]:
    """The set that is shown, by its name in a sentence."""
    if evidence.best:
        return f"cycle {evidence.best.cycle}", evidence.best.answers
    local = [one for one in evidence.sets() if one.answers.breakdown and not one.ceiling]
    return (local[-1].words, local[-1].answers) if local else ("", Answers())


def _level(one: Slice, evidence: Evidence) -> float:
    """What slices are ordered by: the mean of the judged metrics, or of the free ones."""
    known = {name: m.value for name, m in one.measures.items() if m.value is not None}
    judged = [value for name, value in known.items() if name in evidence.metrics]
    return fmean(judged or known.values()) if known else 101.0  # nothing known is not weak


def _slices(title: str, slices: Sequence[Slice], evidence: Evidence) -> Table:
    names = tuple(dict.fromkeys(name for one in slices for name in one.measures))
    ordered = [*(m for m in evidence.metrics if m in names)]
    ordered += [name for name in names if name not in evidence.metrics]
    columns = (
        Column("By", numeric=False),
        Column("Slice", numeric=False),
        Column("Prompts"),
        Column("Responses"),
        *(Column(evidence.title(name), ranged=True) for name in ordered),
    )
    rows = tuple(_slice_row(one, ordered) for one in slices)
    few = sum(one.prompts < FEW for one in slices)
    note = [_SLICES, f"{count(few)} of these rest on fewer than {FEW} prompts." if few else ""]
    return Table(title, columns, rows, " ".join(part for part in note if part))


_SLICES = (
    "By the label of the reference, and the language and length of the prompt; the weakest first,"
    " by the mean of the judged metrics. With many slices some look weak by chance: mind the"
    " intervals."
)


def _slice_row(one: Slice, names: Sequence[str]) -> Row:
    figures = (measured(one.measures.get(name)) for name in names)
    return one.by, _short(one.name), count(one.prompts), count(one.responses), *figures


def _confusion(found: Confusion, name: str) -> Table:
    heads = [*map(_short, found.labels), NO_LABEL]
    columns = (
        Column("Reference", numeric=False),
        *(Column(head, group="Given") for head in heads),
    )
    rows = tuple(
        (_short(label), *(count(number) if number else "·" for number in counts))
        for label, counts in zip(found.labels, found.counts, strict=True)
    )
    return Table(f"Labels that {name} confuses", columns, rows, _CONFUSION)


_CONFUSION = "Responses by the label of their reference and the one that they give."


def _short(text: str) -> str:
    line = " ".join(visible(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
