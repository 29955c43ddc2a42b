"""What the judges of one set of responses are worth: ``judges.json``.

Nothing here changes a score. Figures are means over a judge's repeats of one judgement.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from llamaduo.evaluation.agreement import krippendorff_alpha, spearman, weighted_kappa
from llamaduo.evaluation.biases import (
    NOTHING,
    doublings,
    family_bias,
    length_slope,
    position_preference,
)
from llamaduo.evaluation.families import judges_family
from llamaduo.evaluation.human import HumanScore
from llamaduo.evaluation.suspicion import suspicions
from llamaduo.records import (
    METRICS,
    PANEL,
    Comparisons,
    HumanAgreement,
    Judged,
    JudgeFinding,
    Judgement,
    Judgements,
    JudgeReport,
    Measure,
    Metric,
    Pair,
    PanelReport,
)

_BIASED = "precision"
"""Biases are looked for in how well a response answers. Similarity to a reference that the
generator wrote favours its family for a reason."""
_MATTERS = {"length": 2.0, "position": 10.0, "family": 2.0}
"""Points (per doubling of the words), percentage points and points that a bias must have, all of
its interval, to be worth a sentence."""

_ByMetric = Mapping[Metric, Mapping[str, float]]
"""Metric → response id → mean over repeats."""
_Marks = dict[str, dict[Metric, dict[str, list[int]]]]
"""Judge → metric → response id → the score of each repeat."""


@dataclass(frozen=True, slots=True)
class _Panel:
    """Everything that the reports of the judges have in common."""

    judged: Judged
    service: Judged | None
    comparisons: Comparisons
    controls: Sequence[Judgement]
    marks: _Marks
    scores: Mapping[str, _ByMetric]
    service_scores: Mapping[str, _ByMetric]
    doublings: Mapping[str, float]
    families: Mapping[str, str]
    generator: str
    generators_family: str
    own_references: bool


def report_on_judges(
    judged: Judged,
    pairs: Sequence[Pair],
    comparisons: Comparisons,
    *,
    models: Mapping[str, str],
    generator: str,
    controls: Sequence[Judgement] = (),
    service: Judged | None = None,
    human: Sequence[HumanScore] = (),
) -> PanelReport:
    """How the judges of ``judged`` behave, one by one and together.

    ``models`` has the configured model of each judge, by name and in the order of the report;
    ``generator`` is the service LLM's, which wrote synthetic pairs, perhaps references, and the
    responses of ``service``. Judgements must be in the order of asking. Scores by a person of
    responses that are not in ``judged`` are left out.
    """
    snapshots = _snapshots(judged.judgements.scored)
    marks = _marks(judged.judgements.scored)
    panel = _Panel(
        judged=judged,
        service=service,
        comparisons=comparisons,
        controls=controls,
        marks=marks,
        scores=_means(marks),
        service_scores=_means(_marks(service.judgements.scored)) if service else {},
        doublings=doublings(judged.responses),
        families={
            judge: judges_family(model, snapshots.get(judge, ())) for judge, model in models.items()
        },
        generator=generator,
        # The generator that judges, too, is the same model under the same snapshots.
        generators_family=judges_family(generator, snapshots.get(generator, ())),
        own_references=any(pair.reference_source == "service" for pair in pairs),
    )
    metrics = _metrics(panel.scores)
    return PanelReport(
        judges=tuple(_report(judge, snapshots.get(judge, {}), panel) for judge in models),
        alpha={metric: _alpha(panel.scores, metric) for metric in metrics},
        human=_with_person(panel.scores, metrics, human),
    )


def report_on_controls(
    controls: Judgements, pairs: Sequence[Pair], *, models: Mapping[str, str], generator: str
) -> PanelReport:
    """The same by the control responses alone, which is all that an unfit judge is asked about.

    They say nothing about how judges agree: any that look at all agree about right and wrong.
    """
    judged = Judged((), controls)
    report = report_on_judges(
        judged,
        pairs,
        Comparisons(),
        models=models,
        generator=generator,
        controls=controls.scored,
    )
    return replace(report, alpha={}, of_controls=True)


# --- one judge ----------------------------------------------------------------------------


def _report(judge: str, snapshots: Mapping[str, int], panel: _Panel) -> JudgeReport:
    judgements = panel.judged.judgements
    own = [one for one in judgements.scored if one.judge == judge]
    lost = Counter(one.kind for one in judgements.unscored if one.judge == judge)
    scores = panel.scores.get(judge, {}).get(_BIASED, {})
    slope = length_slope(scores, panel.doublings, panel.judged.responses)
    position = position_preference([c for c in panel.comparisons.scored if c.judge == judge])
    related = panel.families[judge] == panel.generators_family
    bias = _family_bias(judge, panel) if related else NOTHING
    return JudgeReport(
        judge=judge,
        family=panel.families[judge],
        related=related,
        snapshots=dict(snapshots),
        scored=len(own),
        refused=lost["refused"],
        malformed=lost["malformed"],
        repaired=sum(one.misread > 0 for one in own),
        repeat_deviation=_repeat_deviation(panel.marks.get(judge, {})),
        length_slope=slope,
        position_preference=position,
        family_bias=bias,
        findings=(
            *suspicions(judge, judgements, panel.controls),
            *(_related(judge, panel, bias) if related else ()),
            *_biases(judge, slope, position, bias),
        ),
    )


def _family_bias(judge: str, panel: _Panel) -> Measure:
    """Against the judges of other families; nothing where there are none."""
    others = [j for j, family in panel.families.items() if family != panel.families[judge]]
    every = [*panel.judged.responses, *(panel.service.responses if panel.service else ())]

    def scores(name: str) -> dict[str, float]:
        sides = (panel.scores, panel.service_scores)
        return {i: v for side in sides for i, v in side.get(name, {}).get(_BIASED, {}).items()}

    return family_bias(
        scores(judge),
        [scores(other) for other in others],
        akin=[response for response in every if response.author == "service"],
        strange=[response for response in every if response.author != "service"],
    )


def _related(judge: str, panel: _Panel, bias: Measure) -> Iterator[JudgeFinding]:
    what = "wrote the training pairs" + (" and the references" if panel.own_references else "")
    alone = all(family == panel.families[judge] for family in panel.families.values())
    if alone:
        advice = "add a judge of another family (judging.judges) to see whether it favours its own"
    elif bias.value is None:
        advice = "set judging.service_responses to 1 to see whether it favours its own"
    else:
        advice = (
            f"beside judges of other families it gives its own {bias.value:+.1f} points"
            f" ({_range(bias)})"
        )
    yield JudgeFinding(
        "related",
        f"{judge} is of the family ({panel.families[judge]}) of {panel.generator}, which {what}:"
        f" {advice}.",
        False,
    )


def _biases(
    judge: str, slope: Measure, position: Measure, family: Measure
) -> Iterator[JudgeFinding]:
    if _clears(slope, _MATTERS["length"]):
        kind = "longer" if (slope.value or 0) > 0 else "shorter"
        yield _bias(
            f"{judge} gives {slope.value:+.1f} points for twice the words ({_range(slope)}): see"
            f" in responses.jsonl whether the {kind} responses are the better ones."
        )
    if _clears(position, _MATTERS["position"]):
        place = "first" if (position.value or 0) > 0 else "second"
        yield _bias(
            f"{judge} prefers what it reads {place} by {abs(position.value or 0):.0f} percentage"
            f" points ({_range(position)}): both orders are asked, so win rates stand, but with"
            " more ties."
        )
    if _clears(family, _MATTERS["family"]):
        yield _bias(
            f"{judge} gives its own family's responses {family.value:+.1f} points"
            f" ({_range(family)}) beyond what other judges give: weigh it by a judge of another"
            " family (judging.judges)."
        )


def _bias(words: str) -> JudgeFinding:
    return JudgeFinding("bias", words, unfit=False)


def _clears(measure: Measure, margin: float) -> bool:
    found = measure.interval
    return found is not None and (found.low >= margin or found.high <= -margin)


def _range(measure: Measure) -> str:
    found = measure.interval
    return f"95 % interval {found.low:+.1f} to {found.high:+.1f}" if found else "no interval"


def _repeat_deviation(marks: Mapping[Metric, Mapping[str, Sequence[int]]]) -> dict[Metric, float]:
    """The standard deviation between repeats of one judgement, pooled over responses. A metric
    without repeats is left out."""
    found = {metric: _pooled(by_response.values()) for metric, by_response in marks.items()}
    return {metric: value for metric, value in found.items() if value is not None}


def _pooled(groups: Iterable[Sequence[int]]) -> float | None:
    squares, freedom = 0.0, 0
    for group in groups:
        total, count = sum(group), len(group)
        # Whole numbers, so that the difference of two sums is exact.
        squares += (count * sum(score * score for score in group) - total * total) / count
        freedom += count - 1
    return sqrt(squares / freedom) if freedom else None


# --- all of them --------------------------------------------------------------------------


def _alpha(scores: Mapping[str, _ByMetric], metric: Metric) -> float | None:
    by_judge = [metrics[metric] for metrics in scores.values() if metric in metrics]
    return krippendorff_alpha(_table(by_judge, _ids(by_judge))) if len(by_judge) > 1 else None


def agreement_with_person(
    judged: Judged, human: Sequence[HumanScore]
) -> tuple[HumanAgreement, ...]:
    """How every judge, and the panel, agrees with a person about the responses of ``judged`` that
    both scored. Scores of another text than the judges read count for nothing."""
    texts = {response.id: response.text for response in judged.responses}
    same = [one for one in human if one.is_about_one_of(texts)]
    scores = _means(_marks(judged.judgements.scored))
    return _with_person(scores, _metrics(scores), same)


def _with_person(
    scores: Mapping[str, _ByMetric], metrics: Sequence[Metric], human: Sequence[HumanScore]
) -> tuple[HumanAgreement, ...]:
    return tuple(_agreements(scores, metrics, human))


def _agreements(
    scores: Mapping[str, _ByMetric], metrics: Sequence[Metric], human: Sequence[HumanScore]
) -> Iterator[HumanAgreement]:
    for metric in metrics:
        theirs = {one.response_id: one.scores[metric] for one in human if metric in one.scores}
        if not theirs:
            continue
        by_judge = {judge: own[metric] for judge, own in scores.items() if metric in own}
        yield from (_agreement(judge, metric, own, theirs) for judge, own in by_judge.items())
        yield _agreement(PANEL, metric, _panel_means(list(by_judge.values())), theirs)


def _agreement(
    judge: str, metric: Metric, scores: Mapping[str, float], theirs: Mapping[str, float]
) -> HumanAgreement:
    both = [i for i in scores if i in theirs]
    left, right = [scores[i] for i in both], [theirs[i] for i in both]
    varied = len(set(left)) > 1 and len(set(right)) > 1
    return HumanAgreement(
        judge=judge,
        metric=metric,
        responses=len(both),
        spearman=spearman(left, right) if varied else None,
        kappa=weighted_kappa(left, right) if varied else None,
    )


def _panel_means(by_judge: Sequence[Mapping[str, float]]) -> dict[str, float]:
    ids = _ids(by_judge)
    means = np.nanmean(_table(by_judge, ids), axis=1)
    return dict(zip(ids, means.tolist(), strict=True))


def _ids(by_judge: Sequence[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(i for own in by_judge for i in own))


def _table(by_judge: Sequence[Mapping[str, float]], ids: Sequence[str]) -> NDArray[np.float64]:
    """Responses × judges, NaN where a judge has no score."""
    missing = float("nan")
    return np.array([[own.get(i, missing) for own in by_judge] for i in ids], dtype=np.float64)


# --- judgements by judge ------------------------------------------------------------------


def _marks(judgements: Iterable[Judgement]) -> _Marks:
    marks: _Marks = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for one in judgements:
        own = marks[one.judge]
        for metric, mark in one.marks.items():
            own[metric][one.response_id].append(mark.score)
    return marks


def _means(marks: _Marks) -> dict[str, dict[Metric, dict[str, float]]]:
    return {
        judge: {
            metric: {i: sum(scores) / len(scores) for i, scores in by_response.items()}
            for metric, by_response in by_metric.items()
        }
        for judge, by_metric in marks.items()
    }


def _metrics(scores: Mapping[str, _ByMetric]) -> list[Metric]:
    """Every metric that was judged: the paper's two first."""
    seen = dict.fromkeys(metric for own in scores.values() for metric in own)
    return [*(m for m in METRICS if m in seen), *(m for m in seen if m not in METRICS)]


def _snapshots(judgements: Iterable[Judgement]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in judgements:
        counts[one.judge][one.snapshot] += 1
    return counts
