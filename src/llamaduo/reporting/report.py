"""The report of a run: ``report.md`` and one self-contained ``report.html``.

Text from pairs, responses and judges is shown, never interpreted: Jinja2 escapes it in HTML, the
Markdown filters do so in Markdown, and the page's content security policy allows no script and
nothing remote.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaduo.records import Event, Notify, silent
from llamaduo.reporting import formatting, tables
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.figures import png
from llamaduo.reporting.figures.drawings import Drawings, Figure, draw
from llamaduo.reporting.headline import REHEARSAL, headline
from llamaduo.reporting.method import caveats, method_facts
from llamaduo.reporting.migration_cost import own_case
from llamaduo.reporting.tables import Column, Table
from llamaduo.storage.atomic import write_atomic
from llamaduo.tasks.showing import markdown_block, markdown_inline, visible

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_SHOWN = 6000
"""Characters of one prompt, reference, response or reason that a report prints."""

ADD_COST = """\
cost:
  input_tokens_per_month: …    # what the application sends to the service LLM
  output_tokens_per_month: …   # what it answers
  hardware_usd: …              # bought once
  power_usd_per_month: …       # power or rent of one server"""
"""What is missing from llamaduo.yaml where no traffic was stated; we never guess it."""


def write_report(evidence: Evidence, into: Path, *, notify: Notify = silent) -> Path:
    """Write ``report.html``, ``report.md`` and the figures, each as SVG and PNG, into ``into``;
    the path of the HTML.

    Without the extra ``report`` the figures are left out: the reports say so, and so does the
    event that ``notify`` gets.
    """
    drawings = draw(evidence)
    files: dict[str, str | bytes] = {}
    for figure in drawings.figures.values():
        files |= {f"{figure.name}.svg": figure.svg, f"{figure.name}.png": png(figure.svg)}
    for name in ("report.md", "report.html"):
        files[name] = _render(f"{name}.j2", evidence, drawings)
    for done, (name, content) in enumerate(files.items(), start=1):
        write_atomic(into / name, content)
        notify(Event("report", done, len(files), "files", drawings.missing))
    return into / "report.html"


def _render(template: str, evidence: Evidence, drawings: Drawings) -> str:
    return _environment().get_template(template).render(_content(evidence, drawings))


def _content(evidence: Evidence, drawings: Drawings) -> dict[str, Any]:
    """Everything that the templates show, by the names they know it by."""
    own = own_case(evidence)
    portraits = tables.portraits_of(evidence)
    batches = [(f"after cycle {c.cycle}", c.by_language) for c in evidence.cycles]
    return {
        "evidence": evidence,
        "figures": drawings.figures,
        "missing": drawings.missing,
        "headline": headline(evidence),
        "rehearsal": REHEARSAL if evidence.rehearsed else "",
        "scores": tables.scores_by_cycle(evidence),
        "together": evidence.setup.judging.aggregate,
        "beside": [found for found in _beside(evidence) if found],
        "weakness": tables.weakness(evidence),
        "findings": tables.findings(evidence),
        "judges": tables.judge_report(evidence),
        "effort": tables.judging_effort(evidence),
        "scores_by_language": tables.scores_by_language(evidence),
        "drops_by_language": tables.drops_by_language(batches),
        "portraits": tables.portrait_tables(portraits),
        "warnings": tables.warnings_of(portraits),
        "funnel": tables.funnel_table(evidence),
        "counts": tables.stage_counts(evidence),
        "drops": tables.drops_by_reason(evidence),
        "tokens": tables.token_statistics(evidence),
        "spend": tables.spend(evidence),
        "egress": tables.egress(evidence.egress),
        "timings": tables.timings(evidence),
        "recipes": tables.recipes(evidence),
        "parity": tables.parity_table(evidence.parity),
        "parity_result": tables.parity_result(evidence.parity) if evidence.parity else "",
        "own": own,
        "own_costs": tables.own_costs(own) if own else (),
        "break_even": tables.break_even(own.comparison) if own and own.comparison else "",
        "add_cost": ADD_COST,
        "paper_case": tables.paper_case(),
        "paper_errata": tables.paper_errata(),
        "facts": method_facts(evidence),
        "caveats": caveats(evidence),
    }


def _beside(evidence: Evidence) -> tuple[Table | None, ...]:
    """What stands beside the judges' scores, as far as there is any."""
    return (
        tables.free_scores(evidence),
        tables.differences(evidence),
        tables.win_rates(evidence),
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
        visible=visible,
        inline=markdown_inline,
        block=markdown_block,
        embedded=_embedded,
        groupruns=_runs,
        weighed=tables.finding_words,
    )
    return environment


def shown(text: str) -> str:
    """Text as a report prints it: whole if it is short, else its beginning and how much is left."""
    text = visible(text)
    if len(text) <= MAX_SHOWN:
        return text
    left = formatting.count(len(text) - MAX_SHOWN)
    return f"{text[:MAX_SHOWN]}\n[… {left} more characters are in the run directory]"


def _runs(columns: tuple[Column, ...]) -> list[list[Column]]:
    """Neighbouring columns with one heading, for the line above the columns' own names."""
    return [list(run) for _, run in groupby(columns, key=lambda column: column.group)]


def _embedded(figure: Figure) -> str:
    """An SVG as a part of an HTML page, where the names of its namespaces go without saying."""
    from markupsafe import Markup

    svg = figure.svg
    for namespace in ("2000/svg", "1999/xlink"):
        for prefix in ("xmlns", "xmlns:xlink"):
            svg = svg.replace(f' {prefix}="http://www.w3.org/{namespace}"', "")
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{figure.title}" ', 1)
    return Markup(svg)  # noqa: S704  drawn by us; its text is escaped by the drawing library
