"""Precision against similarity, one panel for each set of responses (Figure 3).

One hue: the iso-lines grow heavier and the ground darker towards the middle, and a key names the
share of responses that each line holds.
"""

from __future__ import annotations

from typing import Any

from llamaduo.reporting.answers import AnsweredSet
from llamaduo.reporting.density import POINTS, SHARES, Density, density
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.figures.drawing import COLOURS, FAINT, FONT, GROUND, INK, drawn_vega
from llamaduo.reporting.formatting import plural

SIDE = 142
"""Of a panel, in points of the drawing."""
COLUMNS = 4
GAP_ACROSS, GAP_DOWN = 26, 78
LEFT, TOP, KEY = 44, 34, 62
HUE = COLOURS["precision"]
WEIGHTS = (0.8, 1.5, 2.4)
"""Line widths for :data:`SHARES`."""
DOTS = (1, 3)
KEY_STEP = 142

Spec = dict[str, Any]


def density_figure(evidence: Evidence) -> str | None:
    """The panels as one SVG, or None while no response was scored.

    Raises:
        ExtraMissing: vl-convert is not installed.
    """
    panels = [(one.name, found) for one in evidence.sets() if (found := density_of(one))]
    return drawn_vega(_spec(panels, evidence.title("similarity"))) if panels else None


def density_of(one: AnsweredSet) -> Density | None:
    """The density of one set's responses, each at the panel's scores."""
    scores = one.answers.panel.values()
    both = [(score.of("similarity"), score.of("precision")) for score in scores]
    return density([(s, p) for s, p in both if s is not None and p is not None])


def _spec(panels: list[tuple[str, Density]], across: str) -> Spec:
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    height = TOP + rows * SIDE + (rows - 1) * GAP_DOWN + KEY
    return {
        "$schema": "https://vega.github.io/schema/vega/v6.json",
        "width": LEFT + max(columns * SIDE + (columns - 1) * GAP_ACROSS + 8, 4 * KEY_STEP - 40),
        "height": height,
        "padding": 4,
        "background": GROUND,
        "config": {"text": {"font": FONT}},
        "data": [one for n, (_, found) in enumerate(panels) for one in _contours(n, found)],
        "scales": [
            {"name": name, "type": "linear", "domain": [-0.5, POINTS - 0.5], "range": ends}
            for name, ends in (("x", [0, SIDE]), ("y", [SIDE, 0]))
        ],
        "marks": [
            *(_panel((n, columns), name, found, across) for n, (name, found) in enumerate(panels)),
            _key(height - KEY + 46),
        ],
    }


def _contours(number: int, found: Density) -> list[Spec]:
    """One data set for each iso-line. The grid's first row is the lowest precision: turned over."""
    values = [round(cell, 9) for row in reversed(found.grid) for cell in row]
    grid = {"width": POINTS, "height": POINTS, "values": values}
    return [
        {
            "name": f"contours{number}-{place}",
            "values": [grid],
            "transform": [
                {
                    "type": "isocontour",
                    "field": {"expr": "datum"},
                    "thresholds": [level],
                    "scale": SIDE / POINTS,
                }
            ],
        }
        for place, level in enumerate(found.levels)
    ]


def _panel(at: tuple[int, int], name: str, found: Density, across: str) -> Spec:
    """One panel, ``at`` a number and of so many columns; ``across`` names its x axis."""
    number, columns = at
    row, column = divmod(number, columns)
    place = {
        "x": {"value": LEFT + column * (SIDE + GAP_ACROSS)},
        "y": {"value": TOP + row * (SIDE + GAP_DOWN)},
        "width": {"value": SIDE},
        "height": {"value": SIDE},
        "stroke": {"value": FAINT},
        "strokeWidth": {"value": 0.75},
    }
    return {
        "type": "group",
        "encode": {"update": place},
        # An axis draws its grid as far as these say; the page's own are the whole drawing's.
        "signals": [{"name": side, "value": SIDE} for side in ("width", "height")],
        "axes": [
            _axis("bottom", "x", across, labels=True),
            _axis("left", "y", "Precision" if column == 0 else "", labels=column == 0),
        ],
        "marks": [
            *(_contour(number, level) for level in range(len(SHARES))),
            *_mean(found),
            _text(0, -18, name, weight="bold", size=12),
            _text(0, -5, plural(found.responses, "response"), size=10),
        ],
    }


def _axis(side: str, scale: str, title: str, *, labels: bool) -> Spec:
    return {
        "orient": side,
        "scale": scale,
        "values": [0, 25, 50, 75, 100],
        "grid": True,
        "gridColor": FAINT,
        "gridOpacity": 0.25,
        "domain": False,
        "tickColor": FAINT,
        "tickSize": 3 if labels else 0,
        "labels": labels,
        "labelColor": INK,
        "labelFontSize": 10,
        "labelFont": FONT,
        "title": title or None,
        "titleColor": INK,
        "titleFont": FONT,
        "titleFontWeight": "normal",
        "titleFontSize": 11,
        "titlePadding": 4,
    }


def _contour(number: int, level: int) -> Spec:
    return {
        "type": "path",
        "from": {"data": f"contours{number}-{level}"},
        "encode": {
            "enter": {
                "fill": {"value": HUE},
                "fillOpacity": {"value": 0.16},
                "stroke": {"value": HUE},
                "strokeWidth": {"value": WEIGHTS[level]},
            }
        },
        "transform": [{"type": "geopath", "field": "datum.contour"}],
    }


def _mean(found: Density) -> list[Spec]:
    """Dotted lines that meet at the means and hide nothing."""
    similarity, precision = found.means
    across = {"x": {"value": 0}, "x2": {"value": SIDE}, "y": {"scale": "y", "value": precision}}
    up = {"y": {"value": 0}, "y2": {"value": SIDE}, "x": {"scale": "x", "value": similarity}}
    return [_rule(ends, INK, 1.0, dash=DOTS) for ends in (across, up)]


def _rule(ends: Spec, colour: str, weight: float, dash: tuple[int, ...] = ()) -> Spec:
    look: Spec = {"stroke": {"value": colour}, "strokeWidth": {"value": weight}}
    if dash:
        look["strokeDash"] = {"value": dash}
    return {"type": "rule", "encode": {"enter": ends | look}}


def _key(y: int) -> Spec:
    """What each line means, below the panels."""
    lines = [
        (HUE, weight, (), f"{100 * share:.0f} % of the density")
        for share, weight in zip(SHARES, WEIGHTS, strict=True)
    ]
    marks: list[Spec] = []
    for place, (colour, weight, dash, text) in enumerate([*lines, (INK, 1.0, DOTS, "means")]):
        x = LEFT + KEY_STEP * place
        ends = {"x": {"value": x}, "x2": {"value": x + 24}, "y": {"value": y}}
        marks += [_rule(ends, colour, weight, dash), _text(x + 30, y + 4, text, size=11)]
    return {"type": "group", "marks": marks}


def _text(x: float, y: float, text: str, *, size: int, weight: str = "normal") -> Spec:
    return {
        "type": "text",
        "encode": {
            "enter": {
                "x": {"value": x},
                "y": {"value": y},
                "text": {"value": text},
                "font": {"value": FONT},
                "fontSize": {"value": size},
                "fontWeight": {"value": weight},
                "fill": {"value": INK},
            }
        },
    }
