"""What stands beside the judges' scores, each with its interval: the metrics that cost nothing,
the differences from the service LLM, and the win rates against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from llamaduo.records import PANEL, Measure, WinRate
from llamaduo.reporting.ceiling import set_name
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import (
    UNKNOWN,
    count,
    decimal,
    measured,
    measured_points,
)
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.tasks.showing import visible

Measures = Mapping[str, Measure]


def free_scores(evidence: Evidence) -> Table | None:
    """The metrics that cost nothing, of every set; None where none was measured."""
    lines = [
        (set_name(one, evidence), scores.free)
        for one in evidence.sets()
        if (scores := one.answers.scores) and scores.free
    ]
    if not lines:
        return None
    names = _names(evidence, [measures for _, measures in lines])
    asked = evidence.setup.target.free
    target = ("Target", *(decimal(asked.get(name)) for name in names), *[UNKNOWN] * 2)
    rows = (*_rows(lines, names, measured), *([target] if asked else []))
    held = any(name.startswith("unconstrained") for name in names)
    note = f"{_FREE} {_UNCONSTRAINED}" if held else _FREE
    return Table("Metrics that cost nothing", _columns(evidence, names), rows, note)


_FREE = (
    "From 0 to 100, without a judge. In brackets the 95 % interval, clustered by prompt. Prompts"
    " and responses: those that a metric applies to."
)
_UNCONSTRAINED = (
    "Answers were held to their JSON schema; unconstrained is what the model would have said"
    " by itself."
)


def differences(evidence: Evidence) -> Table | None:
    """How much better or worse than the service LLM every set is; None where that is unknown."""
    lines = [
        (one.name, scores.versus_service)
        for one in evidence.sets()
        if (scores := one.answers.scores) and scores.versus_service
    ]
    if not lines:
        return None
    names = _names(evidence, [measures for _, measures in lines])
    rows = tuple(_rows(lines, names, measured_points))
    columns = _columns(evidence, names)
    return Table("Difference from the service LLM, in points", columns, rows, _apart(evidence))


def _apart(evidence: Evidence) -> str:
    return (
        "Higher is better than the service LLM’s own answers to the same prompts. In brackets the"
        f" {evidence.interval_words}: where it holds 0, the two cannot be told apart."
    )


def _names(evidence: Evidence, lines: Sequence[Measures]) -> tuple[str, ...]:
    """Everything that was measured, what judges gave first."""
    found = dict.fromkeys(name for measures in lines for name in measures)
    judged = [metric for metric in evidence.metrics if metric in found]
    return tuple(dict.fromkeys((*judged, *found)))


def _columns(evidence: Evidence, names: Sequence[str]) -> tuple[Column, ...]:
    return (
        Column("Set", numeric=False),
        *(Column(evidence.title(name), ranged=True) for name in names),
        Column("Prompts"),
        Column("Responses"),
    )


def _rows(
    lines: Sequence[tuple[str, Measures]],
    names: Sequence[str],
    written: Callable[[Measure | None], str],
) -> Iterator[Row]:
    for name, measures in lines:
        yield name, *(written(measures.get(one)) for one in names), *_rests_on(measures)


def _rests_on(measures: Measures) -> Row:
    """Prompts and responses, from the fewest to the most where metrics differ in that."""
    prompts = [measure.prompts for measure in measures.values()]
    return _span(prompts), _span([measure.responses for measure in measures.values()])


def _span(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return count(least) if least == most else f"{count(least)}–{count(most)}"


# --- win rates ----------------------------------------------------------------------------


def win_rates(evidence: Evidence) -> Table | None:
    """Pairwise comparison with the service LLM, by judge; None where nothing was compared."""
    columns = (
        Column("Set", numeric=False),
        Column("Judge", numeric=False),
        Column("Won, tied, lost"),
        Column("Win rate, %", ranged=True),
        Column("Prompts"),
        Column("Unscored"),
    )
    rows = [
        row
        for one in evidence.sets()
        if one.answers.scores
        for row in _win_rows(one.name, one.answers.scores.win_rates)
    ]
    if not rows:
        return None
    if (asked := evidence.setup.target.win_rate) is not None:
        rows.append(("Target", UNKNOWN, UNKNOWN, decimal(asked), UNKNOWN, UNKNOWN))
    return Table("Win rate against the service LLM", columns, tuple(rows), _WINS)


_WINS = (
    "Which of two responses to one prompt is the better, the service LLM’s or this one’s. Asked in"
    " both orders: where the two answers disagree it is a tie, and a tie is half a win."
)


def _win_rows(name: str, rates: Mapping[str, WinRate]) -> Iterator[Row]:
    """The panel first, then every judge; with one judge the panel says it all."""
    judges = [judge for judge in rates if judge != PANEL]
    shown = [PANEL, *judges] if PANEL in rates and len(judges) > 1 else judges or [*rates]
    for judge in shown:
        rate = rates[judge]
        yield (
            name,
            "the panel" if judge == PANEL else visible(judge),
            ", ".join(map(count, (rate.wins, rate.ties, rate.losses))),
            measured(rate.rate),
            count(rate.rate.prompts),
            count(rate.unscored),
        )
