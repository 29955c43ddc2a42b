"""What was found inside a run, as tables: every cell one line of text that a terminal can show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llamaduo.records import METRICS, Dropped, Judgement, Metric, Pair, Unscored
from llamaduo.reporting.formatting import UNKNOWN, count, decimal, usd
from llamaduo.reporting.inside import Marks, ScoredResponse, scores_of
from llamaduo.reporting.metric_names import title_of
from llamaduo.reporting.tables import Column, Row, Table
from llamaduo.service.calls import CallRecord
from llamaduo.tasks.showing import visible


def one_line(text: str, longest: int | None = None) -> str:
    """Text on one line, no control character left, cut to ``longest`` characters."""
    line = " ".join(visible(text).split())
    return line if longest is None or len(line) <= longest else f"{line[: longest - 1]}…"


def more_than(shown: int, found: int, noun: str) -> str:
    """How many there are beyond those shown."""
    if shown >= found:
        return f"{count(found)} {noun}."
    return f"{count(shown)} of {count(found)} {noun}; --limit 0 shows all."


def response_table(
    title: str, found: Sequence[ScoredResponse], limit: int, longest: int | None
) -> Table:
    shown = found[:limit]
    metrics = _metrics(one.scores for one in found)
    columns = (
        Column("Response", numeric=False),
        *(Column(title_of(metric)) for metric in metrics),
        Column("Prompt", numeric=False),
        Column("Reference", numeric=False),
        Column("Answer", numeric=False),
    )
    rows = tuple(_response_row(one, metrics, longest) for one in shown)
    return Table(title, columns, rows, more_than(len(shown), len(found), "responses"))


def _metrics(scored: Iterable[Marks | None]) -> tuple[Metric, ...]:
    """The metrics that anything has a score for; the paper's two where nothing has."""
    named = (metric for one in scored if one for metric in scores_of(one))
    return tuple(dict.fromkeys(named)) or METRICS


def _response_row(one: ScoredResponse, metrics: Sequence[Metric], longest: int | None) -> Row:
    return (
        one.response.id,
        *(decimal(one.scores.of(metric) if one.scores else None) for metric in metrics),
        one_line(one.pair.instruction, longest) if one.pair else UNKNOWN,
        one_line(one.pair.response, longest) if one.pair else UNKNOWN,
        one_line(one.response.text, longest),
    )


def judgement_table(
    title: str, found: Sequence[Judgement | Unscored], limit: int, longest: int | None
) -> Table:
    shown = found[:limit]
    metrics = _metrics(one for one in found if isinstance(one, Judgement))
    columns = (
        Column("Response", numeric=False),
        Column("Judge", numeric=False),
        Column("No."),
        *(Column(title_of(metric)) for metric in metrics),
        Column("Reasons", numeric=False),
        Column("Call", numeric=False),
    )
    rows = tuple(_judgement_row(one, metrics, longest) for one in shown)
    return Table(title, columns, rows, more_than(len(shown), len(found), "judgements"))


def _judgement_row(
    one: Judgement | Unscored, metrics: Sequence[Metric], longest: int | None
) -> Row:
    marks = one.marks if isinstance(one, Judgement) else {}
    scores = (str(marks[metric].score) if metric in marks else UNKNOWN for metric in metrics)
    if isinstance(one, Judgement):
        reasons = " / ".join(mark.reason for mark in marks.values())
    else:
        reasons = f"unscored: {one.reason}"
    call = one.call[:12] if one.call else UNKNOWN
    name = one_line(one.judge)
    text = one_line(reasons, longest)
    return one.response_id, name, str(one.index), *scores, text, call


def pair_table(title: str, found: Sequence[Pair], limit: int, longest: int | None) -> Table:
    columns = (
        Column("Pair", numeric=False),
        Column("Source", numeric=False),
        Column("Messages"),
        Column("Prompt", numeric=False),
        Column("Response", numeric=False),
    )
    shown = found[:limit]
    rows = tuple(
        (
            one.id,
            one_line(one.provenance.source, longest),
            str(len(one.messages)),
            one_line(one.instruction, longest),
            one_line(one.response, longest),
        )
        for one in shown
    )
    return Table(title, columns, rows, more_than(len(shown), len(found), "pairs"))


def dropped_table(
    title: str, found: Sequence[tuple[int, Dropped]], limit: int, longest: int | None
) -> Table:
    columns = (
        Column("Cycle"),
        Column("Step", numeric=False),
        Column("Reason", numeric=False),
        Column("Lost to", numeric=False),
        Column("Pair", numeric=False),
        Column("Prompt", numeric=False),
        Column("Response", numeric=False),
    )
    shown = found[:limit]
    rows = tuple(
        (
            str(cycle),
            one.step,
            one_line(one.reason, longest),
            one.lost_to or UNKNOWN,
            one.pair.id,
            one_line(one.pair.instruction, longest),
            one_line(one.pair.response, longest),
        )
        for cycle, one in shown
    )
    return Table(title, columns, rows, more_than(len(shown), len(found), "dropped pairs"))


def call_table(title: str, shown: Sequence[CallRecord], note: str) -> Table:
    columns = (
        Column("Call", numeric=False),
        Column("Try"),
        Column("Stage", numeric=False),
        Column("Model", numeric=False),
        Column("State", numeric=False),
        Column("in", group="Tokens"),
        Column("out", group="Tokens"),
        Column("USD"),
        Column("Sent", numeric=False),
        Column("Error", numeric=False),
    )
    return Table(title, columns, tuple(_call_row(one) for one in shown), note)


def _call_row(one: CallRecord) -> Row:
    return (
        one.key[:12],
        str(one.attempt),
        one_line(one.stage),
        one_line(one.model),
        one.state,
        count(one.input_tokens),
        count(one.output_tokens),
        UNKNOWN if one.usd is None else usd(one.usd),
        one.sent_at[:19],
        one_line(one.error or "", 60),
    )


class CallSums:
    """Counts, tokens and dollars of calls that pass by."""

    def __init__(self) -> None:
        self.calls = self.input_tokens = self.output_tokens = 0
        self.usd = 0.0

    def watch(self, calls: Iterable[CallRecord]) -> Iterable[CallRecord]:
        for one in calls:
            self.calls += 1
            self.input_tokens += one.input_tokens or 0
            self.output_tokens += one.output_tokens or 0
            self.usd += one.usd or 0.0
            yield one

    def words(self, shown: int) -> str:
        tokens = f"{count(self.input_tokens)} tokens in, {count(self.output_tokens)} out"
        return f"{more_than(shown, self.calls, 'calls')} All of them: {tokens}, {usd(self.usd)}."
