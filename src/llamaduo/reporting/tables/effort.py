"""What the run took: money by stage, and time by cycle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from llamaduo.reporting.answers import Answers, CycleEvidence
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import UNKNOWN, count, decimal, gigabytes, seconds, usd
from llamaduo.reporting.migration_cost import migration_usd
from llamaduo.reporting.tables.spending import settled, total
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.service.ledger import SpendRow


def spend(evidence: Evidence) -> Table:
    """Paid calls by stage and model, with the total."""
    columns = (
        Column("Stage", numeric=False),
        Column("Model", numeric=False),
        Column("answered", group="Calls"),
        Column("in doubt", group="Calls"),
        Column("failed", group="Calls"),
        Column("in", group="Tokens"),
        Column("out", group="Tokens"),
        Column("USD"),
    )
    spent = [replace(row, priced=row.priced or evidence.rehearsed) for row in evidence.spend]
    rows = [_spend_row(row) for row in (*spent, *([total(spent)] if spent else []))]
    emphasis = frozenset({len(rows) - 1}) if rows else frozenset()
    return Table("Calls, tokens and dollars", columns, tuple(rows), _spend_note(evidence), emphasis)


def _spend_row(row: SpendRow) -> Row:
    return (
        row.stage,
        row.model,
        count(row.answered),
        count(row.in_doubt),
        count(row.failed),
        count(row.input_tokens),
        count(row.output_tokens),
        settled(row),
    )


def _spend_note(evidence: Evidence) -> str:
    notes = []
    if not evidence.spend:
        notes.append("No call to a service LLM is on record.")
    if evidence.rehearsed:
        notes.append("Free: this was a rehearsal, and its service LLM is a program.")
        notes.extend(_real_price(evidence))
    elif any(not row.priced for row in evidence.spend):
        notes.append("A dash, or at least: not every price is known; set service.price.")
    if any(row.in_doubt for row in evidence.spend):
        notes.append("In doubt: sent, but no answer arrived; it may be billed and is in no sum.")
    return " ".join(notes)


def _real_price(evidence: Evidence) -> Iterator[str]:
    """What the rehearsed calls would have cost, where the price of every model is known."""
    total, unknown = migration_usd(evidence)
    if evidence.spend and not unknown:
        yield (
            f"The same calls to {_models(evidence)} would have cost about"
            f" {usd(total)}, by an approximate count of tokens."
        )


def _models(evidence: Evidence) -> str:
    real = (evidence.setup.real(row.model) for row in evidence.spend)
    return " and ".join(dict.fromkeys(one.model for one in real if one))


def timings(evidence: Evidence) -> Table:
    """What fine-tuning and inference measured."""
    columns = (
        Column("Set", numeric=False),
        Column("time", group="Fine-tuning"),
        Column("tokens/s", group="Fine-tuning"),
        Column("loss, first → last", group="Fine-tuning"),
        Column("time", group="Inference"),
        Column("tokens/s", group="Inference"),
        Column("p50", group="Inference"),
        Column("p95", group="Inference"),
        Column("cut off", group="Inference"),
        Column("empty", group="Inference"),
        Column("memory", group="Inference"),
    )
    rows = tuple(
        (one.name, *_training_times(one.cycle), *_inference_times(one.answers))
        for one in evidence.sets()
        if not one.ceiling  # nothing of ours ran for it
    )
    return Table("Speed", columns, rows, _SPEED_NOTE if rows else "Nothing was measured yet.")


_SPEED_NOTE = (
    "Fine-tuning counts prompt and response tokens over all epochs; its loss is the mean"
    " cross-entropy of a response token, in nats. Inference counts new tokens; p50 and p95 are"
    " the time of the request that a response came by, or of the batch that it was made in. Cut off"
    " are responses that ended at the limit of tokens; memory is the most that the process, or its"
    " GPU, held."
)


def _training_times(cycle: CycleEvidence | None) -> Row:
    training = cycle.training if cycle else None
    if training is None:
        return (UNKNOWN,) * 3
    speed = training.tokens / training.seconds if training.seconds else None
    loss = f"{training.first_loss:.2f} → {training.last_loss:.2f}"
    return seconds(training.seconds), decimal(speed), loss


def _inference_times(answers: Answers) -> Row:
    figures = answers.inference
    if figures is None:
        return (UNKNOWN,) * 7
    speed = figures.tokens_per_second if figures.seconds else None
    return (
        seconds(figures.seconds),
        decimal(speed),
        seconds(figures.p50_seconds),
        seconds(figures.p95_seconds),
        count(figures.truncated),
        count(figures.empty),
        gigabytes(figures.peak_memory_bytes),
    )
