"""E_LLM: service LLMs score every response M times (Section 3.4, Eq. 5 and 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from llamaduo.errors import QuestionRefused, StageFailed, UsageError
from llamaduo.evaluation.replies import read_judgement
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import (
    Event,
    Judgement,
    Judgements,
    Message,
    Notify,
    Pair,
    Question,
    Reply,
    Response,
    Unscored,
    silent,
)
from llamaduo.service.lanes import Lane, work_through
from llamaduo.service.persistence import ask_until_read
from llamaduo.service.protocol import ServiceLLM
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import (
    JUDGEMENT_SCHEMA,
    JUDGEMENT_SHAPE,
    judge_messages,
    repair_messages,
)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One judgement to get: this judge, this response, the ``index``-th of M times."""

    judge: ServiceLLM
    response: Response
    index: int
    messages: tuple[Message, ...]


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
    questions, which the ledger answers once. A reply of the wrong shape gets one repair call,
    then the question is asked again, five attempts in all; if none is better, or if the judge
    refuses the question, the judgement is an :class:`Unscored`. Scored and unscored come in the
    order of judges, responses and index, whatever the order of arrival.

    Raises:
        UsageError: no judge, or two judges of one name.
        StageFailed: a response answers a prompt that is not among ``pairs``.
        ServiceError: the first that a judge raised, refused questions aside. Replies that
            have come are in the ledger, so the same call made again goes on from there.
    """
    _check_judges(judges)
    asked = _messages(responses, pairs, task)
    repeats = range(settings.judgements_per_response)
    lanes = [
        Lane(
            [_Turn(j, r, m, asked[r.id]) for r in responses for m in repeats],
            j.concurrency,
            j.leave,
        )
        for j in judges
    ]
    total = sum(len(lane.items) for lane in lanes)
    outcomes: Counter[type] = Counter()

    async def take(turn: _Turn) -> Judgement | Unscored:
        outcome = await _judge_once(turn, stage, settings.temperature)
        outcomes[type(outcome)] += 1
        detail = f"{outcomes[Unscored]} unscored" if outcomes[Unscored] else ""
        notify(Event(stage, outcomes.total(), total, "judgements", detail))
        return outcome

    results = await work_through(lanes, take)
    return Judgements(
        scored=tuple(r for r in results if isinstance(r, Judgement)),
        unscored=tuple(r for r in results if isinstance(r, Unscored)),
    )


def check_unscored(judgements: Judgements, settings: JudgingSettings) -> None:
    """Refuse to go on when too many judgements did not count.

    Raises:
        StageFailed: the unscored share of all judgements is above ``max_unscored``.
    """
    unscored = len(judgements.unscored)
    total = unscored + len(judgements.scored)
    if unscored <= Fraction(str(settings.max_unscored)) * total:
        return
    reasons = Counter(f"{u.reason} ({u.judge})" for u in judgements.unscored).most_common(3)
    raise StageFailed(
        f"Judging: {unscored} of {total} judgements ({unscored / total:.1%}) could not be scored;"
        f" at most {settings.max_unscored:.1%} may be. Most frequent: "
        + "; ".join(f"{count} × {reason}" for reason, count in reasons)
        + ".",
        hint="Use a judge that keeps to a JSON schema (judging.judges), or, if this share is"
        " acceptable, raise judging.max_unscored. Every reply is in the run's ledger.",
    )


def _check_judges(judges: Sequence[ServiceLLM]) -> None:
    if not judges:
        raise UsageError("There is no judge.", hint="Name one under judging.judges, or a service.")
    name, count = Counter(judge.name for judge in judges).most_common(1)[0]
    if count > 1:
        raise UsageError(
            f"The judge {name} is listed {count} times.",
            hint="List each model once under judging.judges;"
            " judging.judgements_per_response makes one judge repeat itself.",
        )


def _messages(
    responses: Sequence[Response], pairs: Sequence[Pair], task: TaskSettings
) -> dict[str, tuple[Message, ...]]:
    """What the judges are asked, by response id."""
    by_id = {pair.id: pair for pair in pairs}
    for response in responses:
        if response.pair_id not in by_id:
            raise StageFailed(
                f"Response {response.id} answers prompt {response.pair_id},"
                " which is not in the split that is judged.",
                hint="The responses belong to another split; run inference again.",
            )
    return {r.id: judge_messages(task, by_id[r.pair_id], r.text) for r in responses}


async def _judge_once(turn: _Turn, stage: str, temperature: float | None) -> Judgement | Unscored:
    question = Question(
        stage=stage,
        messages=turn.messages,
        sample=turn.index,
        shape=JUDGEMENT_SHAPE,
        schema=JUDGEMENT_SCHEMA,
        temperature=temperature,
        about=(turn.response.pair_id,),
    )

    def mend(reply: Reply, reason: str) -> tuple[Message, ...]:
        return repair_messages(turn.messages, reply.text, reason)

    try:
        return await ask_until_read(turn.judge, question, partial(_judgement, turn), mend)
    except QuestionRefused as refused:
        return _unscored(turn, refused.reason, refused.call)


def _unscored(turn: _Turn, reason: str, call: str | None) -> Unscored:
    return Unscored(
        response_id=turn.response.id,
        pair_id=turn.response.pair_id,
        judge=turn.judge.name,
        index=turn.index,
        reason=reason,
        call=call,
    )


def _judgement(turn: _Turn, reply: Reply) -> Judgement:
    marks = read_judgement(reply)
    return Judgement(
        response_id=turn.response.id,
        pair_id=turn.response.pair_id,
        judge=turn.judge.name,
        index=turn.index,
        similarity=marks["similarity"].score,
        precision=marks["precision"].score,
        similarity_reason=marks["similarity"].reason,
        precision_reason=marks["precision"].reason,
        snapshot=reply.snapshot,
        call=reply.key,
    )
