"""Putting many questions to many judges: each answered, mended once, or set aside by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from llamaduo.errors import QuestionRefused, StageFailed, UsageError
from llamaduo.records import Event, Message, Notify, Pair, Question, Reply, Response, Unscored
from llamaduo.service.lanes import Lane, work_through
from llamaduo.service.parsing import MalformedReply
from llamaduo.service.persistence import ask_until_read
from llamaduo.service.protocol import ServiceLLM
from llamaduo.tasks.templates import repair_messages


@dataclass(frozen=True, slots=True)
class Turn:
    """One question to one judge about one response. ``index`` tells its repeats apart."""

    judge: ServiceLLM
    response: Response
    index: int
    question: Question


Answer = TypeVar("Answer")
Read = Callable[[Turn, Reply, int], Answer]
"""From a turn, a reply and how many replies before it were of the wrong shape to a record.
Raises MalformedReply over one that is of the wrong shape itself."""


async def ask_all(
    turns: Sequence[Sequence[Turn]],
    read: Read[Answer],
    *,
    stage: str,
    unit: str,
    notify: Notify,
) -> tuple[tuple[Answer, ...], tuple[Unscored, ...]]:
    """Put every turn to its judge; ``turns`` has one sequence for each of them.

    A reply of the wrong shape gets one repair call, then the question is asked again, five
    attempts in all; if none is better, or if the judge refuses, there is an :class:`Unscored`.
    Both results come in the order of ``turns``, whatever the order of arrival.

    Raises:
        ServiceError: the first that a judge raised, refused questions aside. Replies that
            have come are in the ledger, so the same call made again goes on from there.
    """
    lanes = [
        Lane(own, own[0].judge.concurrency, own[0].judge.leave) for own in turns if len(own) > 0
    ]
    total = sum(len(lane.items) for lane in lanes)
    done: Counter[bool] = Counter()

    async def take(turn: Turn) -> Answer | Unscored:
        outcome = await _ask(turn, read)
        done[isinstance(outcome, Unscored)] += 1
        detail = f"{done[True]} unscored" if done[True] else ""
        notify(Event(stage, done.total(), total, unit, detail))
        return outcome

    results = await work_through(lanes, take)
    return (
        tuple(one for one in results if not isinstance(one, Unscored)),
        tuple(one for one in results if isinstance(one, Unscored)),
    )


async def _ask(turn: Turn, read: Read[Answer]) -> Answer | Unscored:
    misread = 0

    def attempt(reply: Reply) -> Answer:
        nonlocal misread
        try:
            return read(turn, reply, misread)
        except MalformedReply:
            misread += 1
            raise

    def mend(reply: Reply, reason: str) -> tuple[Message, ...]:
        return repair_messages(turn.question.messages, reply.text, reason)

    try:
        return await ask_until_read(turn.judge, turn.question, attempt, mend)
    except QuestionRefused as refused:
        return _unscored(turn, refused)


def _unscored(turn: Turn, refused: QuestionRefused) -> Unscored:
    malformed = isinstance(refused.__cause__, MalformedReply)
    kind: Literal["malformed", "refused"] = "malformed" if malformed else "refused"
    return Unscored(
        response_id=turn.response.id,
        pair_id=turn.response.pair_id,
        judge=turn.judge.name,
        index=turn.index,
        kind=kind,
        reason=refused.reason,
        call=refused.call,
    )


def check_judges(judges: Sequence[ServiceLLM]) -> None:
    """Refuse to ask nobody, or somebody twice.

    Raises:
        UsageError: no judge, or two judges of one name.
    """
    if not judges:
        raise UsageError("There is no judge.", hint="Name one under judging.judges, or a service.")
    name, count = Counter(judge.name for judge in judges).most_common(1)[0]
    if count > 1:
        raise UsageError(
            f"The judge {name} is listed {count} times.",
            hint="List each model once under judging.judges;"
            " judging.judgements_per_response makes one judge repeat itself.",
        )


def pairs_of(responses: Sequence[Response], pairs: Sequence[Pair]) -> dict[str, Pair]:
    """The pair that each response answers, by response id.

    Raises:
        StageFailed: a response answers a prompt that is not among ``pairs``.
    """
    by_id = {pair.id: pair for pair in pairs}
    for response in responses:
        if response.pair_id not in by_id:
            raise StageFailed(
                f"Response {response.id} answers prompt {response.pair_id},"
                " which is not in the split that is judged.",
                hint="The responses belong to another split; run inference again.",
            )
    return {response.id: by_id[response.pair_id] for response in responses}
