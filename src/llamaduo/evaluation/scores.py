"""Eq. 3 to 6 as arithmetic: judgements in, mean scores and coverage percentages out.

For one judge and one metric, with n scored and u unscored judgements of response j:

* V^j (Eq. 5) is the mean (or median) of the n scores, and exists where n > 0;
* V (Eq. 3) is the mean of V^j over the responses that have one;
* C at ζ (Eq. 4) is the share of these responses with V^j ≥ ζ, in percent;
* the lowest and highest V are what Eq. 3 and 5 would give, over all responses that a judge was
  asked about, if each of the u missing scores had been 0, or 100.

For the panel, V^j is the mean (or median) over the judges that scored j of each judge's V^j.
Intervals treat the prompts as the sample: see :mod:`llamaduo.evaluation.intervals`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from llamaduo.errors import StageFailed
from llamaduo.evaluation.free import Each, free_measures, measure_each
from llamaduo.evaluation.intervals import (
    difference_of,
    mean_of,
)
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.evaluation.tallies import (
    Tallies,
    aggregate_of,
    mean,
    mean_if,
    of_panel,
    tally,
    values,
)
from llamaduo.evaluation.win_rates import win_rates
from llamaduo.records import (
    Comparisons,
    Interval,
    Judged,
    Judgements,
    JudgingEffort,
    Measure,
    Metric,
    MetricScores,
    Pair,
    Response,
    Scores,
)
from llamaduo.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Beside:
    """What a set of responses is scored beside: the service LLM's own answers to the same
    prompts, and the comparisons with them."""

    service: Judged | None = None
    comparisons: Comparisons = field(default_factory=Comparisons)


def score(
    judged: Judged,
    pairs: Sequence[Pair],
    settings: JudgingSettings,
    task: TaskSettings,
    *,
    each: Each | None = None,
    beside: Beside | None = None,
    effort: JudgingEffort | None = None,
    confidence: float = CONFIDENCE,
) -> Scores:
    """The scores of one set of responses, for each judge and for the panel.

    ``each`` is what the responses measure by free metrics, where that is known already.
    ``prompts`` counts the ``pairs`` that were answered and ``set_aside`` those that were not;
    free metrics are of all responses, judged or not. ``confidence`` is that of the intervals of
    what judges said; free metrics, which are the same at every look, have 95 % ones.

    Raises:
        StageFailed: a judgement is not of one of these responses, or a response of another split.
    """
    responses, tallies = judged.responses, tally(judged.judgements)
    _check_belong(tallies, responses)
    prompts = _numbered(responses)
    answered = {response.pair_id for response in responses}

    def metrics(of: Tallies) -> dict[Metric, MetricScores]:
        return {
            metric: _scores(of, metric, prompts, settings, confidence)
            for metric in settings.all_metrics
        }

    beside = beside or Beside()
    each = measure_each(responses, pairs, task) if each is None else each
    return Scores(
        prompts=len(answered),
        responses=len(responses),
        judges={
            name: metrics({i: [one] for i, one in by_response.items()})
            for name, by_response in sorted(tallies.items())
        },
        panel=metrics(of_panel(tallies)),
        free=free_measures(responses, each, task),
        set_aside=len({pair.id for pair in pairs} - answered),
        judged_prompts=len({one.pair_id for one in judged.judgements.scored}),
        versus_service=_versus(
            _Side(judged, each),
            _Side(beside.service, measure_each(beside.service.responses, pairs, task)),
            settings,
            confidence,
        )
        if beside.service
        else {},
        win_rates=win_rates(beside.comparisons, confidence),
        effort=effort,
    )


def panel_values(
    judgements: Judgements, settings: JudgingSettings
) -> dict[str, dict[Metric, float]]:
    """The panel's score of every response that has one: response id → metric → score."""
    panel, aggregate = of_panel(tally(judgements)), aggregate_of(settings.aggregate)
    found: dict[str, dict[Metric, float]] = {}
    for metric in settings.all_metrics:
        for response_id, value in values(panel, metric, aggregate).items():
            found.setdefault(response_id, {})[metric] = float(value)
    return found


def _check_belong(
    tallies: Mapping[str, Mapping[str, object]], responses: Sequence[Response]
) -> None:
    known = {response.id for response in responses}
    strangers = {i for by_response in tallies.values() for i in by_response} - known
    if strangers:
        raise StageFailed(
            f"Scoring: {len(strangers)} judged responses are not among the {len(known)} given,"
            f" {min(strangers)} for one.",
            hint="The judgements belong to other responses; judge these again.",
        )


def _numbered(responses: Iterable[Response]) -> dict[str, int]:
    """Response id → the number of its prompt."""
    numbers: dict[str, int] = {}
    return {one.id: numbers.setdefault(one.pair_id, len(numbers)) for one in responses}


def _scores(
    tallies: Tallies,
    metric: Metric,
    prompts: Mapping[str, int],
    settings: JudgingSettings,
    confidence: float,
) -> MetricScores:
    aggregate = aggregate_of(settings.aggregate)
    found = values(tallies, metric, aggregate)
    average = float(mean(list(found.values()))) if found else None
    unscored = sum(one.unscored for judges in tallies.values() for one in judges)
    lowest, highest = (
        mean_if(tallies, metric, aggregate, assumed) if unscored or average is None else average
        for assumed in (0, 100)
    )
    shares: dict[int, float] = {}
    intervals: dict[int, Interval] = {}
    clusters = _array([prompts[i] for i in found], whole=True)
    for threshold in settings.score_thresholds if found else ():
        hits = [100.0 * (value >= threshold) for value in found.values()]
        shares[threshold] = sum(hits) / len(hits)
        intervals[threshold] = mean_of(_array(hits), clusters, confidence=confidence)
    return MetricScores(
        mean_score=average,
        coverage_percentage=shares,
        responses=len(found),
        scored=sum(one.scored for judges in tallies.values() for one in judges),
        unscored=unscored,
        lowest=lowest,
        highest=highest,
        interval=mean_of(_array(found.values()), clusters, confidence=confidence)
        if found
        else None,
        intervals=intervals,
    )


def _array(items: Iterable[float | Fraction], *, whole: bool = False) -> NDArray[Any]:
    import numpy as np

    kind = np.int64 if whole else np.float64
    return np.array([float(item) for item in items]).astype(kind)


# --- beside the service LLM -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Side:
    """A judged set of responses, and what each measures by free metrics."""

    judged: Judged
    each: Each


def _versus(
    local: _Side, service: _Side, settings: JudgingSettings, confidence: float
) -> dict[str, Measure]:
    """How much higher the panel's scores and the free metrics are than the service LLM's, in
    points, over the prompts that both answered."""
    ours, theirs = (_by_name(one, settings) for one in (local, service))
    found = {
        name: _difference(ours[name], local.judged, theirs[name], service.judged, confidence)
        for name in ours
        if name in theirs
    }
    return {name: measure for name, measure in found.items() if measure}


def _by_name(side: _Side, settings: JudgingSettings) -> dict[str, dict[str, float]]:
    """Metric, judged or free → response id → value from 0 to 100."""
    found: dict[str, dict[str, float]] = {metric: {} for metric in settings.all_metrics}
    for response_id, scores in panel_values(side.judged.judgements, settings).items():
        for metric, value in scores.items():
            found[metric][response_id] = value
    for response, values_of in zip(side.judged.responses, side.each, strict=True):
        for name, value in values_of.items():
            found.setdefault(name, {})[response.id] = value
    return found


def _difference(
    ours: Mapping[str, float],
    judged: Judged,
    theirs: Mapping[str, float],
    service: Judged,
    confidence: float,
) -> Measure | None:
    prompts = {pair_id: n for n, pair_id in enumerate(dict.fromkeys(_prompts(judged, service)))}
    sides = []
    for values_of, one in ((ours, judged), (theirs, service)):
        known = [r for r in one.responses if r.id in values_of]
        sides.append(_array(values_of[r.id] for r in known))
        sides.append(_array((prompts[r.pair_id] for r in known), whole=True))
    if not set(sides[1].tolist()) & set(sides[3].tolist()):
        return None  # no prompt in common: nothing to compare
    value, interval, both = difference_of(*sides, confidence=confidence)
    return Measure(value, interval, both, len(sides[0]))


def _prompts(judged: Judged, service: Judged) -> Iterable[str]:
    return (response.pair_id for one in (judged, service) for response in one.responses)
