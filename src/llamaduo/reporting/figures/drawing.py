"""From a specification to SVG and PNG, in this process and with no network.

Altair writes Vega-Lite, vl-convert draws it; both are the extra ``report``.
"""

from __future__ import annotations

from typing import Any

from llamaduo.errors import ExtraMissing

GROUND = "#ffffff"
INK = "#26241f"
FAINT = "#8a857a"
COLOURS = {"precision": "#0b5a8f", "similarity": "#a8480f"}
MORE_COLOURS = ("#3f6b2a", "#6a3f8f", "#7a5a00")
"""For further metrics, in their order."""
LOCAL, SERVICE = "#0b5a8f", "#a8480f"
"""The page's style sheet knows these and swaps them in the dark: see ``report.css``."""

FONT = "sans-serif"
WIDTH = 560
PADDING = {"left": 24, "top": 8, "right": 40, "bottom": 4}
"""More than measured at the sides: a page may set the labels in a wider font."""
PNG_SCALE = 2.0


def altair() -> Any:
    """The module.

    Raises:
        ExtraMissing: it or vl-convert is not installed.
    """
    _vl_convert()
    try:
        import altair
    except ImportError as error:
        raise _missing() from error
    return altair


def _vl_convert() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise _missing() from error
    return vl_convert


def _missing() -> ExtraMissing:
    return ExtraMissing(
        "The figures are left out: they need altair and vl-convert-python.",
        hint="pip install 'llamaduo[report]', then write the report again.",
    )


def styled(chart: Any) -> Any:
    """A chart in the report's type and colours."""
    return (
        chart.properties(padding=PADDING)
        .configure(background=GROUND, font=FONT)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK,
            titleColor=INK,
            titleFontWeight="normal",
            labelFontSize=12,
            titleFontSize=12,
            labelAngle=0,
            gridColor=FAINT,
            gridOpacity=0.3,
            domainColor=FAINT,
            tickColor=FAINT,
        )
    )


def drawn(chart: Any) -> str:
    """An Altair chart as SVG."""
    version = ".".join(altair().SCHEMA_VERSION.split(".")[:2])
    return str(
        _vl_convert().vegalite_to_svg(chart.to_dict(), vl_version=version, allowed_base_urls=[])
    )


def drawn_vega(spec: dict[str, Any]) -> str:
    """A Vega specification as SVG."""
    return str(_vl_convert().vega_to_svg(spec, allowed_base_urls=[]))


def png(svg: str) -> bytes:
    """An SVG as PNG, :data:`PNG_SCALE` pixels to a point."""
    return bytes(_vl_convert().svg_to_png(svg, scale=PNG_SCALE))
