"""From synthesized to kept: one block of bars for each batch, every bar with its number."""

from __future__ import annotations

from typing import Any

from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.figures.drawing import COLOURS, FAINT, INK, altair, drawn, styled
from llamaduo.reporting.formatting import count
from llamaduo.reporting.tables.funnel import Funnel, funnels
from llamaduo.tasks.showing import visible

STEP = 20
"""Height of a bar's place."""
BARS = 300
LONGEST_NAME = 80
"""Characters of a step's name; ours have 22 at most."""
MAX_BATCHES = 6
"""The latest ones are drawn; the table has all."""


def funnel_figure(evidence: Evidence) -> str | None:
    """The funnel of every batch as one SVG, or None before the first batch.

    Raises:
        ExtraMissing: Altair or vl-convert is not installed.
    """
    found = funnels(evidence)[-MAX_BATCHES:]
    if not found:
        return None
    alt = altair()
    widest = max(one.whole for one in found) or 1
    blocks = [_block(alt, one, widest) for one in found]
    return drawn(styled(alt.vconcat(*blocks, spacing=26)))


def _block(alt: Any, funnel: Funnel, widest: int) -> Any:
    """The bars of one batch. A step's name is only ever data: in a sort order or a domain, Vega
    would read it as an expression."""
    rows = _rows(funnel)
    y = alt.Y("place:O", axis=None)
    x = alt.X("pairs:Q", scale=alt.Scale(domain=[0, widest]), axis=None)
    chart = alt.Chart(alt.Data(values=rows)).encode(y=y)
    tone = alt.Color("tone:N", scale=None)
    bars = chart.mark_bar(height=STEP - 6, stroke=INK, strokeWidth=0.5).encode(x=x, color=tone)
    text = chart.mark_text(fontSize=12, color=INK, align="left", dx=6)
    names = chart.mark_text(fontSize=12, color=INK, align="right")
    title = alt.Title(
        f"After cycle {funnel.cycle}",
        anchor="start",
        frame="group",
        fontSize=12,
        color=INK,
        offset=6,
    )
    return alt.layer(
        bars, text.encode(x=x, text="label:N"), names.encode(x=alt.value(-8), text="stage:N")
    ).properties(width=BARS, height=STEP * len(rows), title=title)


def _rows(funnel: Funnel) -> list[dict[str, Any]]:
    """A bar for each stage that was reached; what is kept stands out by its tone."""
    return [
        {
            "place": place,
            "stage": visible(stage.name)[:LONGEST_NAME],
            "pairs": stage.pairs,
            "tone": COLOURS["precision"] if last else FAINT,
            "label": _label(funnel, stage.pairs, last=last),
        }
        for place, stage in enumerate(funnel.stages)
        if stage.pairs is not None
        for last in [place == len(funnel.stages) - 1]
    ]


def _label(funnel: Funnel, pairs: int, *, last: bool) -> str:
    whole = funnel.stages[0].pairs
    share = f" ({100 * pairs / whole:.0f} %)" if whole and pairs != whole else ""
    trained = (
        f"; next fine-tuning: {count(funnel.trained)} pairs" if last and funnel.trained else ""
    )
    return count(pairs) + share + trained
