"""The service LLM answers the prompts itself: what the local LLM is measured against.

Each prompt is sent as the application would send it, system prompt and earlier turns included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llamaduo.errors import QuestionRefused, StageFailed
from llamaduo.records import Event, Notify, Pair, Question, Response, silent
from llamaduo.service.lanes import Lane, work_through
from llamaduo.service.protocol import ServiceLLM

STAGE = "answer"


@dataclass(frozen=True, slots=True)
class _Turn:
    pair: Pair
    index: int


async def answer(
    pairs: Sequence[Pair],
    service: ServiceLLM,
    responses_per_prompt: int,
    *,
    notify: Notify = silent,
) -> tuple[Response, ...]:
    """Have the service LLM answer every prompt ``responses_per_prompt`` times.

    An answer that it refuses is left out: there is nothing to judge. The responses come in the
    order of ``pairs`` and index. Their ``seconds`` are 0: how long a call waits for its turn says
    nothing about the model.

    Raises:
        StageFailed: every prompt was refused.
        ServiceError: as ``service`` raises it, refused questions aside.
    """
    turns = [_Turn(pair, index) for pair in pairs for index in range(responses_per_prompt)]
    done: Counter[bool] = Counter()

    async def take(turn: _Turn) -> Response | QuestionRefused:
        outcome = await _answer(turn, service)
        done[isinstance(outcome, QuestionRefused)] += 1
        detail = f"{done[True]} refused" if done[True] else ""
        notify(Event(STAGE, done.total(), len(turns), "responses", detail))
        return outcome

    results = await work_through([Lane(turns, service.concurrency, service.leave)], take)
    refused = [one for one in results if isinstance(one, QuestionRefused)]
    if refused and len(refused) == len(results):
        raise StageFailed(
            f"{service.name} refused to answer every one of {len(pairs)} held-out prompts;"
            f" the last: {refused[-1].reason}.",
            hint="Its replies are in the run's ledger. Without a service LLM to compare with:"
            " judging.service_responses: 0.",
        )
    return tuple(one for one in results if isinstance(one, Response))


async def _answer(turn: _Turn, service: ServiceLLM) -> Response | QuestionRefused:
    question = Question(
        stage=STAGE, messages=turn.pair.messages, sample=turn.index, about=(turn.pair.id,)
    )
    try:
        reply = await service.ask(question)
    except QuestionRefused as refused:
        return refused
    return Response(
        id=f"{turn.pair.id}-service-{turn.index}",  # no local response has it
        pair_id=turn.pair.id,
        index=turn.index,
        author="service",
        text=reply.text,
        finish=reply.finish,
        prompt_tokens=reply.input_tokens,
        new_tokens=reply.output_tokens,
        seconds=0.0,
    )
