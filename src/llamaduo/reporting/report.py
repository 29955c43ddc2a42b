"""The report of a run: ``report.md`` and one self-contained ``report.html``.

Text from pairs, responses and judges is shown, never interpreted: Jinja2 escapes it in HTML, the
Markdown filters do so in Markdown, and the page's content security policy allows no script and
nothing remote.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from llamaduo.errors import ExtraMissing
from llamaduo.records import Event, Notify, silent
from llamaduo.reporting import formatting, tables
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.figures import scores_figure
from llamaduo.reporting.headline import REHEARSAL, headline
from llamaduo.reporting.method import caveats, method_facts
from llamaduo.reporting.tables import Column
from llamaduo.storage.atomic import write_atomic

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_SHOWN = 6000
"""Characters of one prompt, reference, response or reason that a report prints."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The drawing, or what to do to get it. Both are empty while nothing was scored."""

    svg: str = ""
    missing: str = ""


def write_report(evidence: Evidence, into: Path, *, notify: Notify = silent) -> Path:
    """Write ``report.html``, ``report.md`` and the figure into ``into``; the HTML's path.

    Without the extra ``report`` the figure is left out: the reports say so, and so does the
    event that ``notify`` gets.
    """
    figure = _figure(evidence)
    files = {name: _render(f"{name}.j2", evidence, figure) for name in ("report.md", "report.html")}
    if figure.svg:
        files = {"scores.svg": figure.svg, **files}
    for done, (name, text) in enumerate(files.items(), start=1):
        write_atomic(into / name, text)
        notify(Event("report", done, len(files), "files", figure.missing))
    return into / "report.html"


def _figure(evidence: Evidence) -> Figure:
    try:
        return Figure(svg=scores_figure(evidence) or "")
    except ExtraMissing as error:
        return Figure(missing=f"{error.message} {error.hint}")


def _render(template: str, evidence: Evidence, figure: Figure) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            evidence=evidence,
            figure=figure,
            headline=headline(evidence),
            rehearsal=REHEARSAL if evidence.rehearsed else "",
            scores=tables.scores_by_cycle(evidence),
            counts=tables.stage_counts(evidence),
            drops=tables.drops_by_reason(evidence),
            spend=tables.spend(evidence),
            timings=tables.timings(evidence),
            facts=method_facts(evidence),
            caveats=caveats(evidence),
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(("html", "html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        shown=shown,
        decimal=formatting.decimal,
        visible=formatting.visible,
        inline=formatting.markdown_inline,
        block=formatting.markdown_block,
        embedded=_embedded,
        groupruns=_runs,
    )
    return environment


def shown(text: str) -> str:
    """Text as a report prints it: whole if it is short, else its beginning and how much is left."""
    text = formatting.visible(text)
    if len(text) <= MAX_SHOWN:
        return text
    left = formatting.count(len(text) - MAX_SHOWN)
    return f"{text[:MAX_SHOWN]}\n[… {left} more characters are in the run directory]"


def _runs(columns: tuple[Column, ...]) -> list[list[Column]]:
    """Neighbouring columns with one heading, for the line above the columns' own names."""
    return [list(run) for _, run in groupby(columns, key=lambda column: column.group)]


def _embedded(svg: str) -> str:
    """An SVG as a part of an HTML page, where the names of its namespaces go without saying."""
    from markupsafe import Markup

    for namespace in ("2000/svg", "1999/xlink"):
        for prefix in ("xmlns", "xmlns:xlink"):
            svg = svg.replace(f' {prefix}="http://www.w3.org/{namespace}"', "")
    svg = svg.replace("<svg ", '<svg role="img" aria-label="Scores by cycle" ', 1)
    return Markup(svg)  # noqa: S704  drawn by us; its text is escaped by the drawing library
