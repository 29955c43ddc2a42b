"""What a run is going to ask, pay and work: before it does."""

from __future__ import annotations

from collections.abc import Sequence

from llamaduo.reporting.cost import Calls, Span, together, total
from llamaduo.reporting.formatting import UNKNOWN, count, seconds, usd
from llamaduo.reporting.local_work import LocalStage, Speed
from llamaduo.reporting.tables.table import Column, Row, Table

_SOURCES = {
    "probe": "a short probe of this machine",
    "run": "this run's finished stages",
    "rehearsal": "the finished stages of its rehearsal",
}


def calls_ahead(calls: Sequence[Calls]) -> Table:
    """Calls that are left to make, their tokens and their price, with the total."""
    columns = (
        Column("Stage", numeric=False),
        Column("Model", numeric=False),
        Column("expected", group="Calls"),
        Column("at most", group="Calls"),
        Column("in", group="Tokens a call"),
        Column("out", group="Tokens a call"),
        Column("expected", group="USD"),
        Column("at most", group="USD"),
    )
    shown = [one for one in calls if one.calls.at_most]
    rows = [_calls_row(one) for one in shown]
    if rows:
        rows.append(_calls_total(shown))
    emphasis = frozenset({len(rows) - 1}) if rows else frozenset()
    return Table("Calls to service LLMs", columns, tuple(rows), _calls_note(shown), emphasis)


def _calls_row(one: Calls) -> Row:
    return (
        one.stage,
        one.model,
        *_both(one.calls),
        count(round(one.size.input.expected)) + ("" if one.size.measured else " ≈"),
        count(round(one.size.output.expected)) + ("" if one.size.measured else " ≈"),
        *(map(usd, (one.usd.expected, one.usd.at_most)) if one.usd else (UNKNOWN, UNKNOWN)),
    )


def _calls_total(calls: Sequence[Calls]) -> Row:
    dollars, unpriced = together(calls)
    words = "at least " if unpriced else ""
    sums = (words + usd(dollars.expected), words + usd(dollars.at_most))
    return ("Total", "", *_both(total(one.calls for one in calls)), "", "", *sums)


def _calls_note(calls: Sequence[Calls]) -> str:
    if not calls:
        return ""
    notes = ["≈: counted by rule of thumb; the calls that a run has made are counted instead."]
    if any(one.usd is None for one in calls):
        notes.append("A dash: no price is known for that model; set service.price.")
    return " ".join(notes)


def work_ahead(stages: Sequence[LocalStage], speed: Speed | None) -> Table:
    """How long the local LLM is going to work."""
    columns = (
        Column("Stage", numeric=False),
        Column("expected", group="Tokens"),
        Column("at most", group="Tokens"),
        Column("expected", group="Time"),
        Column("at most", group="Time"),
    )
    shown = [stage for stage in stages if stage.tokens.at_most]
    rows = tuple((one.stage, *_both(one.tokens), *_times(one.seconds)) for one in shown)
    note = (
        f"By {_SOURCES[speed.source]}: {speed.training:,.0f} tokens a second in training,"
        f" {speed.writing:,.0f} new ones in inference."
        if speed
        else "How fast this machine is was not measured."
    )
    return Table("Work of the local LLM", columns, rows, note)


def _times(span: Span | None) -> tuple[str, str]:
    if span is None:
        return UNKNOWN, UNKNOWN
    return seconds(span.expected), seconds(span.at_most)


def _both(span: Span) -> tuple[str, str]:
    return count(round(span.expected)), count(round(span.at_most))
