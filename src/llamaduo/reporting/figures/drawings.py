"""Every figure of a report that its evidence is enough for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from llamaduo.errors import ExtraMissing
from llamaduo.reporting.density import NARROWEST
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.figures.density import density_figure
from llamaduo.reporting.figures.funnel import funnel_figure
from llamaduo.reporting.figures.savings import savings_figure
from llamaduo.reporting.figures.scores import scores_figure
from llamaduo.reporting.migration_cost import own_case
from llamaduo.reporting.paper_case import HEAVY, LIGHT


@dataclass(frozen=True, slots=True)
class Figure:
    """One drawing. ``name`` is its file's, without an ending; ``title`` and ``caption`` are ours
    and hold no text of the run."""

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True, slots=True)
class Drawings:
    """The figures by name; or what to do to get them."""

    figures: dict[str, Figure] = field(default_factory=dict)
    missing: str = ""


def draw(evidence: Evidence) -> Drawings:
    """Draw what can be drawn. A figure that nothing was measured for is left out."""
    try:
        return Drawings({figure.name: figure for figure in _figures(evidence)})
    except ExtraMissing as error:
        return Drawings(missing=f"{error.message} {error.hint}")


def _figures(evidence: Evidence) -> Iterator[Figure]:
    if svg := scores_figure(evidence):
        yield Figure("scores", "Scores by cycle, with the target", _SCORES, svg)
    if svg := density_figure(evidence):
        yield Figure("density", "Precision against similarity", _DENSITY, svg)
    if svg := funnel_figure(evidence):
        yield Figure("funnel", "From synthesized to kept", _FUNNEL, svg)
    own = own_case(evidence)
    if own is None:
        cases = tuple((case.name, case.comparison) for case in (LIGHT, HEAVY))
        svg = savings_figure(cases, service="GPT-4o")
        yield Figure("cost", "The paper’s case: cost by month", _PAPER, svg)
    elif own.comparison:
        svg = savings_figure((("Your traffic", own.comparison),))
        yield Figure("cost", "Cost by month", _COST, svg)


_SCORES = (
    "Every set of responses from the base model on. Lines join the cycles, which are judged on the"
    " test split; bars are the intervals of the table, clustered by prompt; dotted lines are"
    " targets."
)
_DENSITY = (
    "Where the responses of each set lie, by the panel’s score of each response. A line encloses"
    " the smallest region that holds that share of the density: a Gaussian kernel density, its"
    f" bandwidth Scott’s rule and at least {NARROWEST:g} points. Dotted: the mean of each metric."
)
_FUNNEL = "What each step of curation left of a batch; shares are of the pairs asked for."
_COST = "Everything paid until then. Dashed: the service LLM. Solid: the local LLM."
_PAPER = (
    "The paper’s Figure 4, its arithmetic mended: everything paid until then. Dashed: GPT-4o."
    " Solid: the local LLM."
)
