"""E_LLM: service LLMs score every response M times (Section 3.4, Eq. 5 and 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

from llamaduo.errors import StageFailed
from llamaduo.evaluation.asking import Turn, ask_all, check_judges, pairs_of
from llamaduo.evaluation.replies import read_judgement
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import (
    Judgement,
    Judgements,
    Notify,
    Pair,
    PanelReport,
    Question,
    Reply,
    Response,
    Unscored,
    silent,
)
from llamaduo.service.protocol import ServiceLLM
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import JUDGEMENT_SHAPE, judge_messages, judgement_schema

Due = tuple[Response, int]
"""A judgement to get: of this response, the so-many-th from 0."""


async def judge(
    responses: Sequence[Response],
    pairs: Sequence[Pair],
    judges: Sequence[ServiceLLM],
    settings: JudgingSettings,
    task: TaskSettings,
    *,
    stage: str = "judge",
    notify: Notify = silent,
) -> Judgements:
    """Have every judge score every response M times: judges × responses × M judgements.

    An empty response is judged like any other. Equal responses to one prompt make equal
    questions, which the ledger answers once. A judgement that cannot be had is an
    :class:`Unscored`. Scored and unscored come in the order of judges, responses and index.

    Raises:
        UsageError: no judge, or two judges of one name.
        StageFailed: a response answers a prompt that is not among ``pairs``.
        ServiceError: the first that a judge raised, refused questions aside. Replies that
            have come are in the ledger, so the same call made again goes on from there.
    """
    repeats = range(settings.judgements_per_response)
    due = [(response, index) for response in responses for index in repeats]
    return await judge_due(due, pairs, judges, settings, task, stage=stage, notify=notify)


async def judge_due(
    due: Sequence[Due],
    pairs: Sequence[Pair],
    judges: Sequence[ServiceLLM],
    settings: JudgingSettings,
    task: TaskSettings,
    *,
    stage: str = "judge",
    notify: Notify = silent,
) -> Judgements:
    """Like :func:`judge`, for the judgements that are ``due``, from every judge."""
    check_judges(judges)
    responses = list({response.id: response for response, _ in due}.values())
    asked = {
        response.id: judge_messages(
            task, pair, response.text, settings.metrics, settings.max_characters
        )
        for response, pair in zip(responses, pairs_of(responses, pairs).values(), strict=True)
    }
    schema = judgement_schema(settings.all_metrics)

    def turn(one: ServiceLLM, response: Response, index: int) -> Turn:
        question = Question(
            stage=stage,
            messages=asked[response.id],
            sample=index,
            shape=JUDGEMENT_SHAPE,
            schema=schema,
            temperature=settings.temperature,
            about=(response.pair_id,),
        )
        return Turn(one, response, index, question)

    def read(turn: Turn, reply: Reply, misread: int) -> Judgement:
        return Judgement(
            response_id=turn.response.id,
            pair_id=turn.response.pair_id,
            judge=turn.judge.name,
            index=turn.index,
            marks=read_judgement(reply, settings.all_metrics),
            snapshot=reply.snapshot,
            call=reply.key,
            misread=misread,
        )

    turns = [[turn(one, response, index) for response, index in due] for one in judges]
    return Judgements(*await ask_all(turns, read, stage=stage, unit="judgements", notify=notify))


def check_unscored(scored: int, unscored: Iterable[Unscored], settings: JudgingSettings) -> None:
    """Refuse to go on when too many judgements did not count, beside so many that did.

    Raises:
        StageFailed: the unscored share of all judgements is above ``max_unscored``.
    """
    lost = tuple(unscored)
    total = scored + len(lost)
    if len(lost) <= Fraction(str(settings.max_unscored)) * total:
        return
    reasons = Counter(f"{one.reason} ({one.judge})" for one in lost).most_common(3)
    raise StageFailed(
        f"Judging: {len(lost)} of {total} judgements ({len(lost) / total:.1%}) could not be scored;"
        f" at most {settings.max_unscored:.1%} may be. Most frequent: "
        + "; ".join(f"{count} × {reason}" for reason, count in reasons)
        + ".",
        hint="Use a judge that keeps to a JSON schema (judging.judges), or, if this share is"
        " acceptable, raise judging.max_unscored. Every reply is in the run's ledger.",
    )


def check_fit(report: PanelReport, where: str) -> None:
    """Refuse to go on with a judge whose scores are no evidence.

    Raises:
        StageFailed: ``report`` calls a judge unfit. Nothing may pass by such scores.
    """
    if report.unfit:
        raise StageFailed(
            f"Judging {where}: " + " ".join(finding.words for finding in report.unfit),
            hint="Name another judge under judging.judges and start a run with --name; the base"
            " model's judging can be repeated in this one. `llamaduo report` shows what was found;"
            " every reply is in the run's ledger.",
        )
