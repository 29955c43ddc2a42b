"""Money by stage, model and state: settled, not known yet, and lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from llamaduo.reporting.formatting import UNKNOWN, count, usd
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.service.ledger import SpendRow

_NOTE = (
    "Settled: replies that were read, at their price. In batches: with the provider, collected when"
    " the run goes on. In doubt: sent, and no reply was stored; lost to retries: failed, and may be"
    " charged all the same. These are in no sum: the provider's bill decides. Not used: paid, part"
    " of settled, and of no use, so the question was asked again."
)


def spending(rows: Sequence[SpendRow], *, in_flight: bool = False) -> Table:
    """``in_flight``: the run is under way, so that what is in doubt may still be answered."""
    columns = (
        Column("Stage", numeric=False),
        Column("Model", numeric=False),
        Column("calls", group="Settled"),
        Column("USD", group="Settled"),
        Column("in batches"),
        Column("in doubt or in flight" if in_flight else "in doubt"),
        Column("lost to retries"),
        Column("not used"),
    )
    shown = [_row(row) for row in rows]
    if rows:
        shown.append(_row(total(rows)))
    emphasis = frozenset({len(shown) - 1}) if rows else frozenset()
    return Table("Money by state", columns, tuple(shown), _note(rows), emphasis)


def total(rows: Sequence[SpendRow]) -> SpendRow:
    """All of ``rows`` in one: the stage is ``Total``; priced only if each of them is."""
    names = [field.name for field in fields(SpendRow)][2:]
    sums = {name: sum(getattr(row, name) for row in rows) for name in names}
    added = SpendRow("Total", "", **sums)
    return replace(added, priced=all(row.priced for row in rows))


def unpriced(rows: Sequence[SpendRow]) -> tuple[str, ...]:
    """The models of which some answers have no known price."""
    return tuple(dict.fromkeys(row.model for row in rows if not row.priced))


def _row(row: SpendRow) -> Row:
    return (
        row.stage,
        row.model,
        count(row.answered),
        settled(row),
        _some(row, row.waiting, f"up to {usd(row.waiting_usd_at_most)}"),
        _some(row, row.in_doubt, f"up to {usd(row.in_doubt_usd_at_most)}"),
        _some(row, row.charged, f"up to {usd(row.charged_usd_at_most)}"),
        _some(row, row.unused, usd(row.unused_usd)),
    )


def settled(row: SpendRow) -> str:
    """The price of the replies of ``row``, as far as it is known."""
    if row.priced:
        return usd(row.usd)
    return f"at least {usd(row.usd)}" if row.usd else UNKNOWN


def _some(row: SpendRow, number: int, dollars: str) -> str:
    """How many calls, and their dollars where the price is known."""
    if not number:
        return "0"
    return f"{count(number)}, {dollars}" if row.priced else count(number)


def _note(rows: Sequence[SpendRow]) -> str:
    if not rows:
        return "No call to a service LLM is on record."
    if not (models := unpriced(rows)):
        return _NOTE
    return f"{_NOTE} No price is known for {', '.join(models)}: set `price` beside the model."
