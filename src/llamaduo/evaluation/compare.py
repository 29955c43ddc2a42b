"""Pairwise comparison: which of two responses a judge prefers, in both orders (Section 3.4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from llamaduo.errors import StageFailed
from llamaduo.evaluation.asking import Turn, ask_all, check_judges, pairs_of
from llamaduo.evaluation.replies import read_comparison
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import (
    Comparison,
    Comparisons,
    Notify,
    Pair,
    Question,
    Reply,
    Response,
    silent,
)
from llamaduo.service.protocol import ServiceLLM
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import COMPARISON_SCHEMA, COMPARISON_SHAPE, compare_messages

ORDERS = (True, False)
"""Whether the local LLM's response stands first."""


async def compare(
    responses: Sequence[Response],
    rivals: Sequence[Response],
    pairs: Sequence[Pair],
    judges: Sequence[ServiceLLM],
    settings: JudgingSettings,
    task: TaskSettings,
    *,
    stage: str = "compare",
    notify: Notify = silent,
) -> Comparisons:
    """Have every judge compare every response with one of the service LLM's to the same prompt.

    The k-th response meets the k-th rival, beginning again with the first where there are fewer.
    Each two are compared M times in both orders: judges × responses × M × 2 calls. A response
    whose prompt the service LLM did not answer is not compared.

    Raises:
        UsageError: no judge, or two judges of one name.
        StageFailed: a response answers a prompt that is not among ``pairs``, or the service LLM
            answered none of the prompts.
        ServiceError: the first that a judge raised, refused questions aside.
    """
    check_judges(judges)
    of = pairs_of(responses, pairs)
    meetings = list(matched(responses, rivals))

    def turns(judge: ServiceLLM) -> Iterator[Turn]:
        for response, rival in meetings:
            for order, local_first in enumerate(ORDERS):
                texts = (response.text, rival.text) if local_first else (rival.text, response.text)
                messages = compare_messages(task, of[response.id], *texts, settings.max_characters)
                for repeat in range(settings.judgements_per_response):
                    question = Question(
                        stage=stage,
                        messages=messages,
                        sample=repeat,
                        shape=COMPARISON_SHAPE,
                        schema=COMPARISON_SCHEMA,
                        temperature=settings.temperature,
                        about=(response.pair_id,),
                    )
                    yield Turn(judge, response, 2 * repeat + order, question)

    rival_of = {response.id: rival for response, rival in meetings}

    def read(turn: Turn, reply: Reply, misread: int) -> Comparison:
        better, reason = read_comparison(reply)
        return Comparison(
            response_id=turn.response.id,
            rival_id=rival_of[turn.response.id].id,
            pair_id=turn.response.pair_id,
            judge=turn.judge.name,
            index=turn.index // 2,
            local_first=ORDERS[turn.index % 2],
            better=better,
            reason=reason,
            snapshot=reply.snapshot,
            call=reply.key,
            misread=misread,
        )

    asked = [list(turns(judge)) for judge in judges]
    return Comparisons(*await ask_all(asked, read, stage=stage, unit="comparisons", notify=notify))


def matched(
    responses: Sequence[Response], rivals: Sequence[Response]
) -> Iterator[tuple[Response, Response]]:
    """Every response with the rival that it meets, where its prompt has one.

    Raises:
        StageFailed: no response has a rival.
    """
    of_prompt: dict[str, list[Response]] = defaultdict(list)
    for rival in sorted(rivals, key=lambda rival: rival.index):
        of_prompt[rival.pair_id].append(rival)
    if responses and not any(response.pair_id in of_prompt for response in responses):
        raise StageFailed(
            "Comparing: the service LLM answered none of these prompts.",
            hint="judging.service_responses sets how often it is asked; 0 means not at all.",
        )
    for response in responses:
        if own := of_prompt.get(response.pair_id):
            yield response, own[response.index % len(own)]
