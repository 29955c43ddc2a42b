"""Eq. 3 to 6 as arithmetic: judgements in, mean scores and coverage percentages out.

Sums are exact fractions until the last step, so the order of judgements never matters and a
response whose score equals ζ reaches ζ.

For one judge and one metric, with n scored and u unscored judgements of response j:

* V^j (Eq. 5) is the mean of the n scores, and exists where n > 0;
* V (Eq. 3) is the mean of V^j over the responses that have one;
* C at ζ (Eq. 4) is the share of these responses with V^j ≥ ζ, in percent;
* the lowest and highest V are what Eq. 3 and 5 would give, over all responses that a judge was
  asked about, if each of the u missing scores had been 0, or 100.

For the panel, V^j is the mean over the judges that scored j of each judge's V^j, so that a
judge that was unscored more often has no less say in the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from llamaduo.errors import StageFailed
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import METRICS, Judgements, Metric, MetricScores, Pair, Response, Scores
from llamaduo.tasks.metrics import exact_match


@dataclass(slots=True)
class _Tally:
    """One judge's judgements of one response: scores by metric, and how many were unscored."""

    similarity: int = 0
    precision: int = 0
    scored: int = 0
    unscored: int = 0

    def score(self, metric: Metric) -> Fraction:
        """V^j (Eq. 5), where there is a score."""
        return Fraction(self._sum(metric), self.scored)

    def score_if(self, metric: Metric, assumed: int) -> Fraction:
        """V^j if every unscored judgement had been ``assumed``."""
        filled = self._sum(metric) + assumed * self.unscored
        return Fraction(filled, self.scored + self.unscored)

    def _sum(self, metric: Metric) -> int:
        return self.precision if metric == "precision" else self.similarity


_ByResponse = Mapping[str, Sequence[_Tally]]
"""Response id → the tallies of the judges that were asked about it."""


def score(
    responses: Sequence[Response],
    pairs: Sequence[Pair],
    judgements: Judgements,
    settings: JudgingSettings,
) -> Scores:
    """The scores of one set of responses, for each judge and for the panel.

    ``prompts`` counts the ``pairs`` that were answered and ``set_aside`` those that were not;
    ``exact_match`` is a share of all responses, judged or not (0 when there is none).

    Raises:
        StageFailed: a judgement is not of one of these responses.
    """
    tallies = _tally(judgements)
    _check_belong(tallies, responses)
    panel: dict[str, list[_Tally]] = defaultdict(list)
    for by_response in tallies.values():
        for response_id, tally in by_response.items():
            panel[response_id].append(tally)
    answered = {response.pair_id for response in responses}
    return Scores(
        prompts=len(answered),
        responses=len(responses),
        judges={
            name: _all_metrics({i: [t] for i, t in by_response.items()}, settings)
            for name, by_response in sorted(tallies.items())
        },
        panel=_all_metrics(panel, settings),
        exact_match=_exact_match(responses, pairs),
        set_aside=len({pair.id for pair in pairs} - answered),
    )


def _tally(judgements: Judgements) -> dict[str, dict[str, _Tally]]:
    """Judge → response id → tally."""
    tallies: dict[str, dict[str, _Tally]] = defaultdict(lambda: defaultdict(_Tally))
    for judgement in judgements.scored:
        tally = tallies[judgement.judge][judgement.response_id]
        tally.similarity += judgement.similarity
        tally.precision += judgement.precision
        tally.scored += 1
    for unscored in judgements.unscored:
        tallies[unscored.judge][unscored.response_id].unscored += 1
    return tallies


def _check_belong(
    tallies: Mapping[str, Mapping[str, _Tally]], responses: Sequence[Response]
) -> None:
    known = {response.id for response in responses}
    strangers = {i for by_response in tallies.values() for i in by_response} - known
    if strangers:
        raise StageFailed(
            f"Scoring: {len(strangers)} judged responses are not among the {len(known)} given,"
            f" {min(strangers)} for one.",
            hint="The judgements belong to other responses; judge these again.",
        )


def _all_metrics(tallies: _ByResponse, settings: JudgingSettings) -> dict[Metric, MetricScores]:
    return {metric: _scores(tallies, metric, settings.score_thresholds) for metric in METRICS}


def _scores(tallies: _ByResponse, metric: Metric, thresholds: Iterable[int]) -> MetricScores:
    values = [
        _mean([t.score(metric) for t in judges if t.scored])
        for judges in tallies.values()
        if any(t.scored for t in judges)
    ]
    lowest, highest = (_mean_if(tallies, metric, assumed) for assumed in (0, 100))
    return MetricScores(
        mean_score=float(_mean(values)) if values else None,
        coverage_percentage={
            threshold: _share(values, threshold) for threshold in thresholds if values
        },
        responses=len(values),
        scored=sum(t.scored for judges in tallies.values() for t in judges),
        unscored=sum(t.unscored for judges in tallies.values() for t in judges),
        lowest=lowest,
        highest=highest,
    )


def _mean_if(tallies: _ByResponse, metric: Metric, assumed: int) -> float:
    """V if every unscored judgement had been ``assumed``; that itself if nothing was judged."""
    values = [_mean([t.score_if(metric, assumed) for t in judges]) for judges in tallies.values()]
    return float(_mean(values)) if values else float(assumed)


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction()) / len(values)


def _share(values: Sequence[Fraction], threshold: int) -> float:
    """The percentage of ``values`` that reach ``threshold`` (the sum in Eq. 4)."""
    return 100 * sum(value >= threshold for value in values) / len(values)


def _exact_match(responses: Sequence[Response], pairs: Sequence[Pair]) -> float:
    references = {pair.id: pair.response for pair in pairs}
    hits = sum(exact_match(r.text, references[r.pair_id]) for r in responses)
    return 100 * hits / len(responses) if responses else 0.0
