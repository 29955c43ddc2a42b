"""Control responses: right and wrong ones that a judge must tell apart before it is believed.

A judge that gives everything 100, whatever it reads, makes every local LLM pass. So each set of
responses is judged together with some whose worth is known: references, which are right, and
references of other prompts, which are not.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from llamaduo.evaluation.judge import judge_due
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Judgements, Notify, Pair, Response, silent
from llamaduo.service.protocol import ServiceLLM
from llamaduo.tasks.metrics import exact_match
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.words import rouge_l, words

RIGHT, WRONG = "right:", "wrong:"
"""What the ids of control responses begin with; the id of their pair follows."""
_LOOKED_AT = 200
"""References among which a wrong one is looked for."""


async def judge_controls(
    pairs: Sequence[Pair],
    judges: Sequence[ServiceLLM],
    settings: JudgingSettings,
    task: TaskSettings,
    *,
    occasion: str,
    notify: Notify = silent,
) -> Judgements:
    """Have every judge mark ``settings.controls`` right and as many wrong responses, once.

    The same controls are marked again on every ``occasion``: its name makes the questions other
    ones, so that a judge which has changed since is noticed and not read from the ledger.

    Raises:
        ServiceError: as :func:`llamaduo.evaluation.judge.judge` does.
    """
    once = zlib.crc32(occasion.encode()) & 0x7FFF_FFFF  # a seed has 31 bits
    due = [(response, once) for response in controls(pairs, settings.controls)]
    return await judge_due(due, pairs, judges, settings, task, notify=notify)


def controls(pairs: Sequence[Pair], count: int) -> tuple[Response, ...]:
    """Right and wrong responses to ``count`` prompts at most, evenly spaced over ``pairs``.

    A prompt's wrong response is, of other prompts' references, the least like its own; an empty
    one where all are the same.
    """
    some = min(count, len(pairs))
    chosen = [pairs[i * len(pairs) // some] for i in range(some)]
    return tuple(
        _control(mark, pair, text)
        for pair in chosen
        for mark, text in ((RIGHT, pair.response), (WRONG, _wrong(pair, pairs)))
    )


def _wrong(pair: Pair, pairs: Sequence[Pair]) -> str:
    own = words(pair.response)
    step = max(1, len(pairs) // _LOOKED_AT)
    others = {other.response: None for other in pairs[::step]}
    strangers = [text for text in others if not exact_match(text, pair.response)]
    return min(strangers, key=lambda text: rouge_l(words(text), own), default="")


def _control(mark: str, pair: Pair, text: str) -> Response:
    return Response(
        id=f"{mark}{pair.id}",
        pair_id=pair.id,
        index=0,
        author="service",
        text=text,
        finish="stop",
        prompt_tokens=0,
        new_tokens=0,
        seconds=0.0,
    )
