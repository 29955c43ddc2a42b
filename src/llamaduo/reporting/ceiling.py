"""The ceiling: the service LLM's own answers, judged like the local LLM's, and P-Match, how near
the local LLM comes to them (the paper's Table 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llamaduo.records import Metric, MetricScores, Scores
from llamaduo.reporting.answers import AnsweredSet
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import part

P_MATCH, P_MATCH_FINAL = "P-Match, %", "P-Match, final split, %"


@dataclass(frozen=True, slots=True)
class Match:
    """P-Match of one metric in percent: of the mean, and of each coverage percentage by ζ."""

    mean: float | None
    coverage: Mapping[int, float | None]


def performance_match(local: float | None, service: float | None) -> float | None:
    """The local LLM's score in percent of the service LLM's; None where it has none, or zero."""
    return None if local is None or not service else 100 * local / service


def matches(evidence: Evidence, judge: str = "") -> Iterator[tuple[str, dict[Metric, Match]]]:
    """P-Match of the best cycle on the test split, and on the final one, by the panel or by one
    judge, as far as both sides are scored."""
    best = evidence.best.answers.scores if evidence.best else None
    for name, local, service in (
        (P_MATCH, best, evidence.service.scores),
        (P_MATCH_FINAL, evidence.final.scores, evidence.service_final.scores),
    ):
        if local and service:
            yield name, _by_metric(_of(local, judge), _of(service, judge))


def _of(scores: Scores, judge: str) -> Mapping[Metric, MetricScores]:
    return scores.judges.get(judge, {}) if judge else scores.panel


def _by_metric(
    local: Mapping[Metric, MetricScores], service: Mapping[Metric, MetricScores]
) -> dict[Metric, Match]:
    return {
        metric: Match(
            performance_match(one.mean_score, service[metric].mean_score),
            {
                zeta: performance_match(share, service[metric].coverage_percentage.get(zeta))
                for zeta, share in one.coverage_percentage.items()
            },
        )
        for metric, one in local.items()
        if metric in service
    }


def set_name(one: AnsweredSet, evidence: Evidence) -> str:
    """The set's name, the ceiling marked where it was judged against its own replies."""
    return f"{one.name} (favoured)" if one.ceiling and evidence.own_references[0] else one.name


def favoured(evidence: Evidence) -> Iterator[str]:
    """What similarity is where the service LLM wrote the references, and whom that favours: one
    plain sentence, if any."""
    own, whole = evidence.own_references
    ceiling = any(one.ceiling for one in evidence.sets())
    if own and own == whole:
        row = ", and the service LLM’s row is favoured by that" if ceiling else ""
        yield (
            "Every reference is the service LLM’s own reply: “agreement” says how much a response"
            f" is like that reply, not how good it is{row}."
        )
    elif own and ceiling:
        yield (
            f"{part(own, whole)} references are the service LLM’s own replies: for those,"
            " similarity is agreement with it, which favours the service LLM’s row."
        )
