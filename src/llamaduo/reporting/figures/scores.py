"""Scores by cycle with the target: shape, dash and a label tell each series without colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from llamaduo.records import METRICS, Metric, MetricScores, Scores
from llamaduo.reporting.evidence import FINAL, AnsweredSet, Evidence
from llamaduo.reporting.figures.drawing import COLOURS, WIDTH, altair, drawn, styled
from llamaduo.reporting.formatting import decimal

HEIGHT = 300
DASHES = ([1, 0], [7, 4], [12, 3, 2, 3], [3, 3])
SHAPES = ("circle", "diamond", "triangle-up", "square")
LABEL_GAP = 6.0
"""Points of score between two labels, so that none covers another."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line: mean score or coverage percentage of one metric, and its target if it has one.

    ``values`` has a score, or None where nothing was scored, for each set of responses.
    """

    name: str
    metric: Metric
    zeta: int | None
    values: tuple[float | None, ...]
    target: float | None

    def written(self, value: float) -> str:
        return decimal(value) + ("" if self.zeta is None else " %")


def series_of(evidence: Evidence, sets: Sequence[AnsweredSet]) -> tuple[Series, ...]:
    """The mean scores of both metrics, and every coverage percentage that has a target."""
    scores = [one.answers.scores for one in sets]
    means = [_series(evidence, metric, None, scores) for metric in METRICS]
    asked = [(metric, zeta) for metric in METRICS for zeta in _asked(evidence, metric)]
    return (*means, *(_series(evidence, metric, zeta, scores) for metric, zeta in asked))


def _asked(evidence: Evidence, metric: Metric) -> list[int]:
    return sorted(evidence.setup.target_of(metric).coverage_percentage)


def _series(
    evidence: Evidence, metric: Metric, zeta: int | None, scores: Sequence[Scores | None]
) -> Series:
    target = evidence.setup.target_of(metric)
    panels = [one.panel.get(metric) if one else None for one in scores]
    return Series(
        name=metric.capitalize() + (f" ≥ {zeta}" if zeta is not None else ""),
        metric=metric,
        zeta=zeta,
        values=tuple(_value(panel, zeta) for panel in panels),
        target=target.mean_score if zeta is None else target.coverage_percentage[zeta],
    )


def _value(scores: MetricScores | None, zeta: int | None) -> float | None:
    if scores is None:
        return None
    return scores.mean_score if zeta is None else scores.coverage_percentage.get(zeta)


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
    return drawn(_chart(altair(), [one.name for one in sets], series))


def _chart(alt: Any, sets: list[str], series: Sequence[Series]) -> Any:
    layers = [_targets(alt, series), *_labels(alt, series)]
    for number, one in enumerate(series):
        layers += _line(alt, sets, one, number)
    return styled(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT))


def _line(alt: Any, sets: list[str], one: Series, number: int) -> list[Any]:
    """The line through base and cycles, and a mark for every set, final too."""
    rows = [
        {"set": name, "score": value, "loop": name != FINAL}
        for name, value in zip(sets, one.values, strict=True)
        if value is not None
    ]
    x = alt.X("set:N", sort=sets, scale=alt.Scale(domain=sets, padding=0.3), title=None)
    chart = alt.Chart(alt.Data(values=rows)).encode(x=x, y=_height(alt))
    dash = DASHES[number % len(DASHES)]
    line = chart.mark_line(color=COLOURS[one.metric], strokeWidth=2, strokeDash=dash)
    return [line.transform_filter("datum.loop"), _marks(chart, one, number)]


def _labels(alt: Any, series: Sequence[Series]) -> list[Any]:
    """Each series named where it ends, on the right, with its mark: no legend is needed."""
    ends = [[value for value in one.values if value is not None][-1] for one in series]
    layers = []
    for number, (one, end, height) in enumerate(zip(series, ends, spread(ends), strict=True)):
        row = {"label": f"{one.name}: {one.written(end)}", "score": height}
        chart = alt.Chart(alt.Data(values=[row])).encode(y=_height(alt))
        text = chart.mark_text(
            align="left", fontSize=12, fontWeight="bold", color=COLOURS[one.metric]
        )
        layers += [
            _marks(chart, one, number).encode(x=alt.value(WIDTH + 10)),
            text.encode(x=alt.value(WIDTH + 20), text="label:N"),
        ]
    return layers


def _marks(chart: Any, one: Series, number: int) -> Any:
    shape = SHAPES[number % len(SHAPES)]
    return chart.mark_point(shape=shape, size=70, filled=True, fill=COLOURS[one.metric], opacity=1)


def _targets(alt: Any, series: Sequence[Series]) -> Any:
    """A dotted line for every target, named on the left."""
    asked = [(one, one.target) for one in series if one.target is not None]
    heights = spread([target for _, target in asked])
    rows = [
        {
            "label": f"target: {one.name}: {one.written(target)}",
            "score": target,
            "height": min(height + 2.5, 99),
            "colour": COLOURS[one.metric],
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
