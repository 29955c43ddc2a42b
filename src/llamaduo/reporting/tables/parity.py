"""Does every form of the model answer like the one that was judged?"""

from __future__ import annotations

from llamaduo.records import METRICS, Metric, Parity, ParityCheck
from llamaduo.reporting.formatting import count, of, part, plural, points
from llamaduo.reporting.metric_names import words_of
from llamaduo.reporting.tables.table import Column, Row, Table


def parity_table(parity: Parity | None) -> Table | None:
    """One row for each form that was checked; None where no check was made."""
    if parity is None:
        return None
    metrics = _metrics(parity)
    columns = (
        Column("Form", numeric=False),
        Column("Result", numeric=False),
        Column("Identical answers"),
        Column("exact match", group="Difference in points"),
        *(Column(words_of(metric), group="Difference in points") for metric in metrics),
        Column("Chat template", numeric=False),
        Column("Reason", numeric=False),
    )
    rows = tuple(_row(check, metrics) for check in parity.checks)
    return Table("Parity with the training-time model", columns, rows, _note(parity))


def parity_result(parity: Parity) -> str:
    """What the gate decided, and over how many prompts, in a sentence."""
    passed = sum(check.passed for check in parity.checks)
    return (
        f"{of(passed, len(parity.checks))} forms passed the parity gate, over"
        f" {plural(parity.prompts, 'test prompt')}."
    )


def _metrics(parity: Parity) -> tuple[Metric, ...]:
    """The paper's two, then what else was scored."""
    scored = (metric for check in parity.checks for metric in check.score_difference)
    return tuple(dict.fromkeys((*METRICS, *scored)))


def _row(check: ParityCheck, metrics: tuple[Metric, ...]) -> Row:
    return (
        check.form,
        "passed" if check.passed else "missed",
        part(check.identical, check.prompts),
        points(check.exact_match_difference),
        *(points(check.score_difference.get(metric)) for metric in metrics),
        "equal" if check.templates_equal else check.template_note or "differs",
        check.reason,
    )


def _note(parity: Parity) -> str:
    model = "the base model" if parity.cycle is None else f"cycle {parity.cycle}"
    asked = (
        f"{count(parity.prompts)} prompts, greedy, {model}. Required:"
        f" {100 * parity.required:g} % identical answers, or scores as close where the form is"
        " quantized. Differences are this form’s points minus the training-time model’s."
    )
    found = (_divergence(check) for check in parity.checks if check.first_divergence)
    return " ".join([asked, *found])


def _divergence(check: ParityCheck) -> str:
    found = check.first_divergence
    if found is None:
        return ""
    return (
        f"{check.form} first differs at prompt {found.pair_id}, after"
        f" {count(found.at)} characters in common."
    )
