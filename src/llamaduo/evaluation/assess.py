"""One set of responses, from the first question to the judges to the scores.

The order is what protects the verdict: a judge that cannot tell right from wrong is found out by
the controls before it is asked about anything, and one that goes wrong on the way before its
scores are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from llamaduo.evaluation.adaptive import effort, judge_in_rounds, plan_looks, standing
from llamaduo.evaluation.breakdown import break_down
from llamaduo.evaluation.compare import compare
from llamaduo.evaluation.controls import judge_controls
from llamaduo.evaluation.free import measure_each
from llamaduo.evaluation.human import HumanScore
from llamaduo.evaluation.judge import Due, check_fit, check_unscored, judge_due
from llamaduo.evaluation.judge_report import report_on_controls, report_on_judges
from llamaduo.evaluation.scores import Beside, panel_values, score
from llamaduo.evaluation.settings import JudgingSettings, TargetSettings
from llamaduo.records import (
    Breakdown,
    Comparisons,
    Judged,
    Judgements,
    Notify,
    Pair,
    PanelReport,
    Response,
    Scores,
    silent,
)
from llamaduo.service.protocol import ServiceLLM
from llamaduo.tasks.settings import TaskSettings

Keep = Callable[[PanelReport], None]
"""Keeps what is known of the judges, before anything can fail by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """By what a set of responses is assessed. ``generator`` is the model that wrote synthetic
    pairs, ``models`` the configured model of each judge, ``script_of`` names what a text is
    written in. ``measured`` is ``task`` as free metrics take it, with its labels if it has some
    (:func:`llamaduo.tasks.labels.with_labels`); judges are told the ``task`` of the
    configuration."""

    judging: JudgingSettings
    target: TargetSettings
    task: TaskSettings
    measured: TaskSettings
    generator: str
    models: Mapping[str, str]
    script_of: Callable[[str], str]
    human: Sequence[HumanScore] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What the judges said about ``responses``, the answers to ``pairs``, and beside what.

    ``rounds`` is how many rounds of judging it took; ``ceiling`` are the service LLM's own
    answers, which the local LLM's are compared with.
    """

    responses: tuple[Response, ...]
    pairs: Sequence[Pair]
    controls: Judgements
    judgements: Judgements
    rounds: int
    comparisons: Comparisons = field(default_factory=Comparisons)
    ceiling: Judged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusions:
    """What follows from a :class:`Material`, by arithmetic alone."""

    scores: Scores
    breakdown: Breakdown
    report: PanelReport


async def assess(
    responses: Sequence[Response],
    pairs: Sequence[Pair],
    judges: Sequence[ServiceLLM],
    rules: Rules,
    *,
    where: str,
    keep: Keep,
    ceiling: Judged | None = None,
    notify: Notify = silent,
) -> tuple[Material, Conclusions]:
    """Judge ``responses``, the answers to ``pairs`` that the run keeps under ``where``.

    ``keep`` gets the report on the judges, also where the stage fails by what it says.

    Raises:
        StageFailed: a judge's scores are no evidence, or too much could not be scored.
        ServiceError: the first that a judge raised, refused questions aside.
    """
    judging, task = rules.judging, rules.task
    controls = await judge_controls(pairs, judges, judging, task, occasion=where, notify=notify)
    by_controls = report_on_controls(
        controls, pairs, models=rules.models, generator=rules.generator
    )
    if by_controls.unfit:
        keep(by_controls)
    check_fit(by_controls, where)
    comparisons = Comparisons()
    if judging.pairwise and ceiling is not None:
        comparisons = await compare(
            responses, ceiling.responses, pairs, judges, judging, task, notify=notify
        )
        check_unscored(len(comparisons.scored), comparisons.unscored, judging)

    async def ask(due: Sequence[Due]) -> Judgements:
        return await judge_due(due, pairs, judges, judging, task, notify=notify)

    each = measure_each(responses, pairs, rules.measured)

    def look(so_far: Judgements, number: int) -> Scores:
        judged, beside = Judged(tuple(responses), so_far), Beside(ceiling, comparisons)
        confidence = looks.confidence(number)
        return score(
            judged,
            pairs,
            judging,
            rules.measured,
            each=each,
            beside=beside,
            confidence=confidence,
        )

    looks = plan_looks(responses, judging)
    judgements, rounds = await judge_in_rounds(looks, ask, look, rules.target)
    material = Material(
        responses=tuple(responses),
        pairs=pairs,
        controls=controls,
        judgements=judgements,
        rounds=rounds,
        comparisons=comparisons,
        ceiling=ceiling,
    )
    conclusions = conclude(material, rules)
    keep(conclusions.report)
    check_fit(conclusions.report, where)  # first: it tells what kind of judge that is
    check_unscored(len(judgements.scored), judgements.unscored, judging)
    return material, conclusions


def conclude(material: Material, rules: Rules) -> Conclusions:
    """Scores, slices and the report on the judges.

    Raises:
        StageFailed: a judgement is not of one of the responses.
    """
    judging, judgements = rules.judging, material.judgements
    judged = Judged(material.responses, judgements)
    looks = plan_looks(material.responses, judging)
    each = measure_each(material.responses, material.pairs, rules.measured)
    scores = score(
        judged,
        material.pairs,
        judging,
        rules.measured,
        each=each,
        beside=Beside(material.ceiling, material.comparisons),
        confidence=looks.confidence(material.rounds - 1),
    )
    took = effort(judgements, looks, judging, material.rounds, standing(scores, rules.target))
    panel = panel_values(judgements, judging)
    return Conclusions(
        scores=replace(scores, effort=took),
        breakdown=break_down(
            material.responses, material.pairs, panel, rules.measured, rules.script_of, each
        ),
        report=report_on_judges(
            judged,
            material.pairs,
            material.comparisons,
            models=rules.models,
            generator=rules.generator,
            controls=material.controls.scored,
            service=material.ceiling,
            human=rules.human,
        ),
    )
