"""The figures of a report, as SVG: what to draw is decided here, how is in ``drawing``."""

from llamaduo.reporting.figures.density import density_figure
from llamaduo.reporting.figures.drawing import COLOURS, png
from llamaduo.reporting.figures.funnel import funnel_figure
from llamaduo.reporting.figures.savings import savings_figure
from llamaduo.reporting.figures.scores import LABEL_GAP, scores_figure, series_of, spread

__all__ = [
    "COLOURS",
    "LABEL_GAP",
    "density_figure",
    "funnel_figure",
    "png",
    "savings_figure",
    "scores_figure",
    "series_of",
    "spread",
]
