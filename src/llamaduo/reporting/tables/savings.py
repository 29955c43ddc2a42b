"""The service LLM against the local one in dollars: the user's case, and the paper's mended."""

from __future__ import annotations

from collections.abc import Sequence

from llamaduo.reporting.formatting import UNKNOWN, count, decimal, dollars, plural, price
from llamaduo.reporting.migration_cost import OwnCase
from llamaduo.reporting.paper_case import (
    CASES,
    DAYS,
    HEAVY,
    L4_USD,
    LIGHT,
    POWER_USD,
    RATE,
    TUNING_USD,
    Case,
)
from llamaduo.reporting.savings import Comparison, Traffic
from llamaduo.reporting.tables.table import Column, Row, Table

MONTHS = (1, 2, 6, 12)

_ITEM = (Column("", numeric=False), Column("Service LLM"), Column("Local LLM"))


def own_costs(case: OwnCase) -> tuple[Table, ...]:
    """What the user's traffic costs on either side, and what it comes to over a year."""
    costs = Table("What is paid", _ITEM, _items(case), _items_note(case), frozenset({3, 6}))
    if case.comparison is None:
        return (costs,)
    return costs, _over_time(case.comparison, _bound_note(case))


def _items(case: OwnCase) -> tuple[Row, ...]:
    local, traffic = case.local, case.traffic
    least = "≥ " if case.unpriced else ""
    service = dollars(case.comparison.service_monthly) if case.comparison else UNKNOWN
    return (
        ("Once: synthesis and judging of this run", "", least + dollars(local.migration_usd)),
        ("Once: fine-tuning", "", dollars(local.tuning_usd)),
        (f"Once: hardware, {plural(local.servers, 'server')}", "", dollars(local.hardware_usd)),
        ("Once, together", "$0", least + dollars(local.at_once)),
        (
            f"A month: {count(traffic.input_tokens)} tokens in",
            *_tokens(case, Traffic(traffic.input_tokens, 0)),
        ),
        (
            f"A month: {count(traffic.output_tokens)} tokens out",
            *_tokens(case, Traffic(0, traffic.output_tokens)),
        ),
        ("A month, together; local: power", service, dollars(local.monthly)),
    )


def _tokens(case: OwnCase, traffic: Traffic) -> tuple[str, str]:
    return (dollars(case.rate.usd(traffic)) if case.rate else UNKNOWN), ""


def _items_note(case: OwnCase) -> str:
    notes = []
    if case.rate:
        notes.append(
            f"{case.model} at ${price(case.rate.input)} in and ${price(case.rate.output)} out per"
            " million tokens."
        )
    else:
        notes.append(f"No price is known for {case.model}: set service.price.")
    if case.rehearsed:
        notes.append(
            "This was a rehearsal: synthesis and judging stand with what the same calls would have"
            " cost, by an approximate count of tokens."
        )
    if case.unpriced:
        notes.append(f"Not in the sum, for want of a price: {', '.join(case.unpriced)}.")
    notes.append("Traffic, hardware, power and fine-tuning are the user’s own figures.")
    notes.append(
        "The local LLM is taken to answer all of that traffic; whether"
        f" {plural(case.local.servers, 'server')} can was not measured."
    )
    return " ".join(notes)


def _over_time(comparison: Comparison, note: str) -> Table:
    columns = (
        Column("After", numeric=False),
        Column("Service LLM"),
        Column("Local LLM"),
        Column("Saved"),
    )
    rows = [
        (
            plural(months, "month"),
            dollars(comparison.service_after(months)),
            dollars(comparison.local_after(months)),
            dollars(comparison.saved_after(months)),
        )
        for months in MONTHS
    ]
    return Table("Added up", columns, tuple(rows), note)


def _bound_note(case: OwnCase) -> str:
    return "Local costs are a lower bound: see above." if case.unpriced else ""


def break_even(comparison: Comparison) -> str:
    """When the local LLM has paid for itself, in a sentence."""
    reached = comparison.break_even
    if reached is None:
        return (
            "Never: a month of the local LLM costs"
            f" {dollars(comparison.local.monthly)}, one of the service LLM"
            f" {dollars(comparison.service_monthly)}."
        )
    saved = f"every month saves {dollars(comparison.saved_monthly)} from then on"
    if not reached:
        return f"At once: nothing has to be paid first, and {saved}."
    return f"After {decimal(reached)} months, in month {count(comparison.first_month)}; {saved}."


# --- the paper's case -----------------------------------------------------------------------

_PAPER_COLUMNS = (
    Column("Workload", numeric=False),
    Column("GPT-4o", group="A month"),
    Column("local", group="A month"),
    Column("GPT-4o", group="After 2 months"),
    Column("local", group="After 2 months"),
    Column("GPT-4o", group="After 12 months"),
    Column("local", group="After 12 months"),
    Column("Break-even, months"),
)


def paper_case() -> Table:
    """Table 2 computed anew, and what the paper printed below each case that it printed."""
    rows = tuple(row for case in CASES for row in (_mended(case), *_printed(case)))
    emphasis = frozenset(n for n, row in enumerate(rows) if row[0] != _AS_PRINTED)
    return Table("The paper’s case (Table 2), mended", _PAPER_COLUMNS, rows, _ABOUT, emphasis)


def paper_errata() -> tuple[str, ...]:
    """Where the paper's arithmetic fails, case by case."""
    return tuple(case.note for case in CASES)


_AS_PRINTED = "… as printed"
_ABOUT = (
    f"Gemma 7B on {LIGHT.comparison.local.servers} (light) or"
    f" {HEAVY.comparison.local.servers} (heavy) L4 GPUs at {dollars(L4_USD)} each, fine-tuning"
    f" {dollars(TUNING_USD)}, power {dollars(POWER_USD)} a server and month; GPT-4o at"
    f" ${price(RATE.input)} and ${price(RATE.output)} per million tokens (August 2024), months of"
    f" {DAYS} days. The paper does not count synthesis and judging."
)


def _mended(case: Case) -> Row:
    found = case.comparison
    return (
        case.name,
        dollars(found.service_monthly),
        dollars(found.local.monthly),
        *_after(found, MONTHS[1::2]),
        decimal(found.break_even),
    )


def _after(comparison: Comparison, months: Sequence[int]) -> list[str]:
    pairs = ((comparison.service_after(m), comparison.local_after(m)) for m in months)
    return [dollars(value) for pair in pairs for value in pair]


def _printed(case: Case) -> tuple[Row, ...]:
    printed, found = case.printed, case.comparison
    if printed is None:
        return ()
    row = (
        _AS_PRINTED,
        dollars(printed.service_monthly),
        dollars(found.local.monthly),
        dollars(2 * printed.service_monthly),
        dollars(printed.local_two_months),
        dollars(12 * printed.service_monthly),
        dollars(printed.local_twelve_months),
        "under 2",
    )
    return (row,)
