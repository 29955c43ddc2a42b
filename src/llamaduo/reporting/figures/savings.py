"""What either side has cost after each month (Figure 4): a solid line, a dashed one, and where
they cross."""

from __future__ import annotations

from math import ceil
from typing import Any

from llamaduo.reporting.figures.drawing import (
    GROUND,
    INK,
    LOCAL,
    SERVICE,
    WIDTH,
    altair,
    drawn,
    styled,
)
from llamaduo.reporting.formatting import decimal, dollars
from llamaduo.reporting.savings import Comparison

HEIGHT = 190
LEAST_MONTHS, MOST_MONTHS = 12, 60
"""How far the lines are drawn: a year, or half as far again as the break-even."""
APART = 7.0
"""Per cent of the height between two labels at the right."""


def savings_figure(
    cases: tuple[tuple[str, Comparison], ...], *, service: str = "service LLM"
) -> str:
    """The costs of each (title, comparison), one chart below the other, as one SVG.

    Raises:
        ExtraMissing: Altair or vl-convert is not installed.
    """
    alt = altair()
    blocks = [_block(alt, title, one, service) for title, one in cases]
    return drawn(styled(alt.vconcat(*blocks, spacing=30)))


def months_shown(comparison: Comparison) -> int:
    """A year; longer where the break-even comes later, and five years at most."""
    reached = comparison.break_even or 0.0
    return min(MOST_MONTHS, max(LEAST_MONTHS, ceil(1.5 * reached)))


def _block(alt: Any, title: str, one: Comparison, service: str) -> Any:
    months = months_shown(one)
    top = max(one.service_after(months), one.local_after(months), 1.0)
    layers = [
        _line(alt, one.service_after, months, SERVICE, [7, 4]),
        _line(alt, one.local_after, months, LOCAL, [1, 0]),
        *_names(alt, one, months, top, service),
        *_crossing(alt, one, months),
    ]
    heading = alt.Title(
        title,
        subtitle=_reached(one),
        anchor="start",
        frame="group",
        fontSize=12,
        color=INK,
        subtitleColor=INK,
        subtitleFontSize=12,
        offset=10,
    )
    return alt.layer(*layers).properties(width=WIDTH - 60, height=HEIGHT, title=heading)


def _line(alt: Any, after: Any, months: int, colour: str, dash: list[int]) -> Any:
    rows = [{"month": month, "usd": after(month)} for month in (0, months)]
    chart = alt.Chart(alt.Data(values=rows)).mark_line(color=colour, strokeWidth=2, strokeDash=dash)
    ticks = alt.Axis(tickMinStep=1, format="d", grid=False, labelFlush=False)
    x = alt.X("month:Q", title="Months", scale=alt.Scale(domain=[0, months]), axis=ticks)
    return chart.encode(x=x, y=_height(alt))


def _height(alt: Any) -> Any:
    return alt.Y("usd:Q", title="US dollars in all", axis=alt.Axis(format="$,.0f", tickCount=5))


def _names(alt: Any, one: Comparison, months: int, top: float, service: str) -> list[Any]:
    """Both lines named where they end, moved apart where they end together."""
    ends = [
        (one.service_after(months), service, SERVICE),
        (one.local_after(months), "local", LOCAL),
    ]
    ends.sort()
    low, high = ends[0][0], ends[1][0]
    high = max(high, low + top * APART / 100)
    return [
        alt.Chart(alt.Data(values=[{"usd": height, "label": f"{name}: {dollars(value)}"}]))
        .mark_text(align="left", fontSize=12, fontWeight="bold", color=colour)
        .encode(x=alt.value(WIDTH - 52), y=_height(alt), text="label:N")
        for height, (value, name, colour) in zip((low, high), ends, strict=True)
    ]


def _reached(one: Comparison) -> str:
    if one.break_even is None:
        return "No break-even: the local LLM costs more every month."
    return f"Break-even after {decimal(one.break_even)} months."


def _crossing(alt: Any, one: Comparison, months: int) -> list[Any]:
    """A ring where both have cost the same, with a line down to its month."""
    reached = one.break_even
    if not reached or reached > months:
        return []
    row = {"month": reached, "usd": one.service_after(reached), "zero": 0}
    chart = alt.Chart(alt.Data(values=[row]))
    x = alt.X("month:Q", scale=alt.Scale(domain=[0, months]))
    down = chart.mark_rule(strokeDash=[1, 3], stroke=INK)
    ring = chart.mark_point(size=80, filled=True, fill=GROUND, stroke=INK, strokeWidth=1.5)
    return [
        down.encode(x=x, y=_height(alt), y2="zero:Q"),
        ring.encode(x=x, y=_height(alt), opacity=alt.value(1)),
    ]
