"""Asking again when a reply is of no use: five attempts at one question, over all lives of a run.

A well-formed reply that cannot be used was paid for and stays answered in the ledger, so that a
better reader finds it there. The question is asked again under another key, with ``again`` saying
how many attempts came before; a run that is started again walks the same chain and buys nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from llamaduo.errors import QuestionRefused
from llamaduo.records import Message, Question, Reply
from llamaduo.service.parsing import MalformedReply
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.setbacks import MOST_ATTEMPTS

Read = TypeVar("Read")
Mend = Callable[[Reply, str], tuple[Message, ...]]
"""From a reply of no use and the reason to the messages that ask for it to be mended."""


async def ask_until_read(
    service: ServiceLLM, question: Question, read: Callable[[Reply], Read], mend: Mend | None = None
) -> Read:
    """What ``read`` makes of the first reply that it can use, out of five at most.

    ``read`` raises MalformedReply over a reply of no use. With ``mend``, the second attempt shows
    the model its reply and what is wrong with it; every other one asks ``question`` afresh.

    Raises:
        QuestionRefused: the service refused it, or no attempt brought a reply of use; then
            ``reason`` is what was wrong with the last one and ``call`` its key.
        ServiceError: as ``service`` raises it.
    """
    asked = question
    while True:
        reply = await service.ask(asked)
        try:
            return read(reply)
        except MalformedReply as problem:
            used = asked.again + reply.spoiled + 1
            if used >= MOST_ATTEMPTS:
                raise _set_aside(service, reply, problem.reason) from problem
            first = asked.again == 0
            messages = mend(reply, problem.reason) if mend and first else question.messages
        asked = replace(question, messages=messages, again=used, instead_of=reply.key)


def _set_aside(service: ServiceLLM, reply: Reply, reason: str) -> QuestionRefused:
    return QuestionRefused(
        f"{service.name}: {MOST_ATTEMPTS} attempts at one question brought no reply of use; the"
        f" last: {reason}.",
        reason=reason,
        call=reply.key,
        hint="Their replies are in the run's ledger.",
    )
