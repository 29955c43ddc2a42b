"""Judgements, scores, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from llamaduo.records.coverage import ReferenceSource
from llamaduo.records.local import InferenceFigures, Response

Metric = str
"""A judged metric: similarity, precision, or one of ``judging.metrics``."""
METRICS: tuple[Metric, ...] = ("similarity", "precision")
"""The paper's two, which every judge is asked for (Section 3.4)."""
Outcome = Literal["passed", "undecided", "continue", "stopped"]
Standing = Literal["met", "missed", "undecided"]
"""Whether a bound is met, as far as the evidence tells."""


# --- judgements ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """One metric's part of a judgement: a whole score from 0 to 100, and why."""

    score: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One E_LLM call that counted: a mark for every metric."""

    response_id: str
    pair_id: str
    judge: str
    index: int
    marks: Mapping[Metric, Mark]
    snapshot: str
    call: str
    misread: int = 0
    """Replies to the same question before it that were of the wrong shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored:
    """One E_LLM call that did not count, and why. Never a zero.

    ``kind`` tells a judge that would not answer from one that never kept to the form.
    """

    response_id: str
    pair_id: str
    judge: str
    index: int
    kind: Literal["refused", "malformed"]
    reason: str
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Judgements:
    """All judgements of one set of responses, the unscored ones beside them."""

    scored: tuple[Judgement, ...]
    unscored: tuple[Unscored, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A set of responses with everything that the judges made of it."""

    responses: tuple[Response, ...]
    judgements: Judgements


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One pairwise call that counted: which of two responses to one prompt is the better.

    ``response_id`` is the local LLM's, ``rival_id`` the service LLM's; ``local_first`` says in
    which order the judge saw them, ``better`` which one it preferred.
    """

    response_id: str
    rival_id: str
    pair_id: str
    judge: str
    index: int
    local_first: bool
    better: Literal["first", "second", "tie"]
    reason: str
    snapshot: str
    call: str
    misread: int = 0


@dataclass(frozen=True, slots=True)
class Comparisons:
    """All pairwise calls about one set of responses. An :class:`Unscored` has the local LLM's
    response; its ``index`` counts both orders: 2 · repeat, and one more where it came second."""

    scored: tuple[Comparison, ...] = ()
    unscored: tuple[Unscored, ...] = ()


# --- scores -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval, clustered by prompt: responses to one prompt are not independent. Where
    judging was adaptive, those of what was judged are as much wider as it takes for the intervals
    of all looks to hold together in 95 of 100 runs: see :attr:`JudgingEffort.confidence`."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure with its interval. Both are None where there is nothing to take it from."""

    value: float | None
    interval: Interval | None
    prompts: int
    responses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricScores:
    """Eq. 3 and 4 for one judge (or the panel) and one metric.

    ``mean_score`` is 0–100, ``coverage_percentage`` maps ζ to 0–100. Both are None and empty
    when nothing was scored. ``scored`` and ``unscored`` count judgements, ``responses`` those
    with at least one score: the denominator. ``lowest`` and ``highest`` bound the mean score
    if every unscored judgement had been 0 or 100. ``interval`` is the mean score's, ``intervals``
    has those of the coverage percentages by ζ.
    """

    mean_score: float | None
    coverage_percentage: dict[int, float]
    responses: int
    scored: int
    unscored: int
    lowest: float
    highest: float
    interval: Interval | None = None
    intervals: dict[int, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """Pairwise comparison with the service LLM. A tie, which a disagreement between the two
    orders is too, is half a win. ``rate`` is 0–100."""

    wins: int
    ties: int
    losses: int
    rate: Measure
    unscored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingEffort:
    """What judging one set of responses took, in judgements: ``fixed`` is what K · M judgements
    for every prompt by every judge would have been. ``standing`` is where the whole intervals of
    the last of the ``rounds`` left the target; ``stopping`` is ``judging.stopping``;
    ``confidence`` what each interval of that look has by itself."""

    stopping: Literal["fixed", "adaptive"]
    rounds: int
    asked: int
    fixed: int
    standing: Standing
    confidence: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of one set of responses: per judge, for the panel, and what costs nothing.

    The panel's score of a response is the mean (or median: ``judging.aggregate``) over judges of
    each judge's score. ``free`` has the metrics that cost nothing, by name, 0–100;
    ``versus_service`` how much higher the panel's scores and the free metrics are than those of
    the service LLM's own answers to the same prompts, in points; ``win_rates`` the pairwise
    comparison by judge and for the :data:`PANEL`.
    """

    prompts: int
    responses: int
    judges: dict[str, dict[Metric, MetricScores]]
    panel: dict[Metric, MetricScores]
    free: dict[str, Measure]
    set_aside: int = 0
    """Prompts beside ``prompts`` that have no response, because they do not fit the window."""
    judged_prompts: int = 0
    """Those of ``prompts`` that have a score: all, unless judging stopped early."""
    versus_service: dict[str, Measure] = field(default_factory=dict)
    win_rates: dict[str, WinRate] = field(default_factory=dict)
    effort: JudgingEffort | None = None


PANEL = "panel"
"""The name under which all judges together stand beside each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The scores of the prompts that have something in common.

    ``by`` says what: the label of their reference, the language (or script) of their
    instruction, or its length; ``measures`` has the panel's metrics and the free ones.
    """

    by: Literal["label", "language", "length"]
    name: str
    prompts: int
    responses: int
    measures: dict[str, Measure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Responses by the label of their reference (rows) and the label that they give (columns).
    The last column counts responses that give none of the labels, or more than one."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """``breakdown.json``: one set of responses in slices, the weakest of each kind first."""

    slices: tuple[Slice, ...]
    confusion: Confusion | None = None


# --- what the judges are worth ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JudgeFinding:
    """What is wrong with a judge. ``kind`` is a word to look for; ``unfit`` says that its scores
    are no evidence, so that nothing can pass by them."""

    kind: Literal["constant", "blind", "scale", "refusals", "prose", "snapshot", "related", "bias"]
    words: str
    unfit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanAgreement:
    """How a judge, or the :data:`PANEL`, agrees with a person about the same responses.

    ``spearman`` and ``kappa`` (quadratic weights, five equal grades of 20 points) are from −1 to
    1, None where either side gave only one score.
    """

    judge: str
    metric: Metric
    responses: int
    spearman: float | None
    kappa: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReport:
    """One judge over one set of responses.

    ``snapshots`` counts judgements by the model that the replies name. ``repeat_deviation`` has
    the standard deviation between repeats of one judgement by metric, in points. ``length_slope``
    is in points for twice the words, among responses to one prompt; ``position_preference`` is how
    much more often the first of two responses wins than the second, in percentage points;
    ``family_bias`` how many points more it gives than the judges of other families do, beyond
    what it gives more for other authors' responses.
    """

    judge: str
    family: str
    related: bool
    snapshots: dict[str, int]
    scored: int
    refused: int
    malformed: int
    repaired: int
    repeat_deviation: dict[Metric, float]
    length_slope: Measure
    position_preference: Measure
    family_bias: Measure
    findings: tuple[JudgeFinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelReport:
    """``judges.json``: the judges of one set of responses. ``alpha`` is Krippendorff's (interval
    level) between judges, by metric; None with one judge, or where nothing varies.

    ``of_controls`` says that judging went no further than the control responses, because a judge
    is unfit by them: every figure is then of those.
    """

    judges: tuple[JudgeReport, ...]
    alpha: dict[Metric, float | None]
    human: tuple[HumanAgreement, ...] = ()
    of_controls: bool = False

    @property
    def unfit(self) -> tuple[JudgeFinding, ...]:
        """The findings by which a judge's scores are no evidence."""
        return tuple(one for judge in self.judges for one in judge.findings if one.unfit)


# --- the verdict --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """Whether the local LLM is worse than the service LLM by no more than ``margin`` points on
    the final split. ``difference`` is local minus service, the panel's mean of ``metric``."""

    metric: Metric
    margin: float
    difference: Measure
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """passed, undecided, continue or stopped, with the reason (Section 3.5, Eq. 9).

    ``prompts_needed`` is how many test prompts a decision would take, where the evidence is too
    thin for one.
    """

    outcome: Outcome
    reason: str
    cycle: int
    best_cycle: int
    reference_sources: tuple[ReferenceSource, ...]
    shortfalls: tuple[str, ...] = ()
    """Targets not met by the best cycle, each in words with its numbers."""
    prompts_needed: int | None = None
    non_inferiority: NonInferiority | None = None
    inference: InferenceFigures | None = None
    """How fast the local LLM of the best cycle answered the test split, and with what memory."""
