"""Scores by cycle with the target: shape, dash and a label tell each series without colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from llamaduo.records import METRICS, Interval, Metric, MetricScores, Scores
from llamaduo.reporting.answers import AnsweredSet
from llamaduo.reporting.evidence import BASE, Evidence
from llamaduo.reporting.figures.drawing import (
    COLOURS,
    MORE_COLOURS,
    WIDTH,
    altair,
    drawn,
    styled,
)
from llamaduo.reporting.formatting import decimal

HEIGHT = 300
DASHES = ([1, 0], [7, 4], [12, 3, 2, 3], [3, 3])
SHAPES = ("circle", "diamond", "triangle-up", "square")
LABEL_GAP = 6.0
"""Points of score between two labels, so that none covers another."""
ASIDE = 7
"""Points of the drawing between two series, so that their interval bars stand side by side."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line: mean score or coverage percentage of one metric, and its target if it has one.

    ``values`` has a score, or None where nothing was scored, for each set of responses, and
    ``intervals`` what that score is known to.
    """

    name: str
    metric: Metric
    zeta: int | None
    values: tuple[float | None, ...]
    target: float | None
    intervals: tuple[Interval | None, ...]
    colour: str

    def written(self, value: float) -> str:
        return decimal(value) + ("" if self.zeta is None else " %")


def series_of(evidence: Evidence, sets: Sequence[AnsweredSet]) -> tuple[Series, ...]:
    """The mean score of every metric, and every coverage percentage that has a target."""
    scores = [one.answers.scores for one in sets]
    means = [_series(evidence, metric, None, scores) for metric in evidence.metrics]
    asked = [(metric, zeta) for metric in evidence.metrics for zeta in _asked(evidence, metric)]
    return (*means, *(_series(evidence, metric, zeta, scores) for metric, zeta in asked))


def _asked(evidence: Evidence, metric: Metric) -> list[int]:
    return sorted(evidence.setup.target_of(metric).coverage_percentage)


def _series(
    evidence: Evidence, metric: Metric, zeta: int | None, scores: Sequence[Scores | None]
) -> Series:
    target = evidence.setup.target_of(metric)
    panels = [one.panel.get(metric) if one else None for one in scores]
    return Series(
        name=evidence.title(metric) + (f" ≥ {zeta}" if zeta is not None else ""),
        metric=metric,
        zeta=zeta,
        values=tuple(_value(panel, zeta) for panel in panels),
        target=target.mean_score if zeta is None else target.coverage_percentage[zeta],
        intervals=tuple(_interval(panel, zeta) for panel in panels),
        colour=_colour(evidence, metric),
    )


def _value(scores: MetricScores | None, zeta: int | None) -> float | None:
    if scores is None:
        return None
    return scores.mean_score if zeta is None else scores.coverage_percentage.get(zeta)


def _interval(scores: MetricScores | None, zeta: int | None) -> Interval | None:
    if scores is None:
        return None
    return scores.interval if zeta is None else scores.intervals.get(zeta)


def _colour(evidence: Evidence, metric: Metric) -> str:
    others = [one for one in evidence.metrics if one not in METRICS]
    if metric in others:
        return MORE_COLOURS[others.index(metric) % len(MORE_COLOURS)]
    return COLOURS[metric]


def spread(heights: Sequence[float], gap: float = LABEL_GAP) -> list[float]:
    """Heights moved apart, in their order, until no two are closer than ``gap``, from 0 to 100."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = list(heights)
    for below, above in pairwise(order):
        placed[above] = max(placed[above], placed[below] + gap)
    ceiling = 100.0
    for index in reversed(order):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def scores_figure(evidence: Evidence) -> str | None:
    """Scores by cycle as one SVG, or None while nothing was scored.

    Raises:
        ExtraMissing: Altair or vl-convert is not installed.
    """
    sets = [one for one in evidence.sets() if one.answers.scores is not None]
    series = [one for one in series_of(evidence, sets) if any(v is not None for v in one.values)]
    if not series:
        return None
    return drawn(_chart(altair(), sets, series))


def _chart(alt: Any, sets: Sequence[AnsweredSet], series: Sequence[Series]) -> Any:
    layers = [_targets(alt, series), *_labels(alt, sets, series)]
    for number, one in enumerate(series):
        layers += _line(alt, sets, one, (number, ASIDE * (number - (len(series) - 1) / 2)))
    return styled(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT))


def _line(
    alt: Any, sets: Sequence[AnsweredSet], one: Series, place: tuple[int, float]
) -> list[Any]:
    """The line through base and cycles, and for every set, final and service LLM too, a mark with
    its interval. ``place`` is the series' number, and how far aside it stands."""
    number, aside = place
    chart = alt.Chart(alt.Data(values=list(_rows(sets, one)))).encode(
        x=_across(alt, [found.name for found in sets]), y=_height(alt)
    )
    look = {"color": one.colour, "xOffset": aside}
    line = chart.mark_line(strokeWidth=2, strokeDash=DASHES[number % len(DASHES)], **look)
    bar = chart.mark_rule(strokeWidth=1.5, opacity=0.75, **look)
    return [
        line.transform_filter("datum.loop"),
        bar.encode(y=_height(alt, "low"), y2="high:Q").transform_filter("isValid(datum.low)"),
        _marks(chart, one, number, aside),
    ]


def _across(alt: Any, names: list[str]) -> Any:
    """The sets side by side; what follows a comma in a name goes to a second line."""
    axis = alt.Axis(labelExpr="split(datum.label, ', ')")
    scale = alt.Scale(domain=names, padding=0.3)
    return alt.X("set:N", sort=names, scale=scale, title=None, axis=axis)


def _rows(sets: Sequence[AnsweredSet], one: Series) -> Iterator[dict[str, Any]]:
    for found, value, interval in zip(sets, one.values, one.intervals, strict=True):
        if value is not None:
            yield {
                "set": found.name,
                "score": value,
                "loop": found.cycle is not None or found.name == BASE,
                "low": interval.low if interval else None,
                "high": interval.high if interval else None,
            }


def _labels(alt: Any, sets: Sequence[AnsweredSet], series: Sequence[Series]) -> list[Any]:
    """Each series named on the right, with its mark and the local LLM's latest score: no legend is
    needed."""
    ends = [_latest(sets, one) for one in series]
    layers = []
    for number, (one, end, height) in enumerate(zip(series, ends, spread(ends), strict=True)):
        row = {"label": f"{one.name}: {one.written(end)}", "score": height}
        chart = alt.Chart(alt.Data(values=[row])).encode(y=_height(alt))
        text = chart.mark_text(align="left", fontSize=12, fontWeight="bold", color=one.colour)
        layers += [
            _marks(chart, one, number).encode(x=alt.value(WIDTH + 10)),
            text.encode(x=alt.value(WIDTH + 20), text="label:N"),
        ]
    return layers


def _latest(sets: Sequence[AnsweredSet], one: Series) -> float:
    """The last score of the local LLM, or the service LLM's where it alone has one."""
    known = [
        (not found.ceiling, value)
        for found, value in zip(sets, one.values, strict=True)
        if value is not None
    ]
    return next((value for local, value in reversed(known) if local), known[-1][1])


def _marks(chart: Any, one: Series, number: int, aside: float = 0) -> Any:
    shape = SHAPES[number % len(SHAPES)]
    return chart.mark_point(
        shape=shape, size=70, filled=True, fill=one.colour, opacity=1, xOffset=aside
    )


def _targets(alt: Any, series: Sequence[Series]) -> Any:
    """A dotted line for every target, named on the left."""
    asked = [(one, one.target) for one in series if one.target is not None]
    heights = spread([target for _, target in asked])
    rows = [
        {
            "label": f"target: {one.name}: {one.written(target)}",
            "score": target,
            "height": min(height + 2.5, 99),
            "colour": one.colour,
        }
        for (one, target), height in zip(asked, heights, strict=True)
    ]
    colour = alt.Color("colour:N", scale=None)
    chart = alt.Chart(alt.Data(values=rows)).encode(color=colour)
    rule = chart.mark_rule(strokeDash=[1, 4], strokeWidth=2, strokeCap="round")
    text = chart.mark_text(align="left", fontSize=11)
    return alt.layer(
        rule.encode(y=_height(alt)),
        text.encode(x=alt.value(4), y=_height(alt, "height"), text="label:N"),
    )


def _height(alt: Any, name: str = "score") -> Any:
    return alt.Y(f"{name}:Q", scale=alt.Scale(domain=[0, 100]), title="Score, 0–100")
