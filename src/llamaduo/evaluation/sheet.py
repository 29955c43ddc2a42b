"""A sheet for a person to score responses on, which the judges are then held against.

It has no judge's marks, and its order says nothing of them. Once it is filled in it is what
:func:`llamaduo.evaluation.human.read_human_scores` reads.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from statistics import fmean

from llamaduo.records import Message, Metric, Pair, Response

GRADES = 5
"""Fifths of the scale from which equally many responses are drawn, as far as there are."""


def sample(
    responses: Sequence[Response], scores: Mapping[str, Mapping[Metric, float]], count: int
) -> tuple[Response, ...]:
    """``count`` of the responses that have ``scores`` (by id), over the whole scale.

    Drawn at random most would be alike, and alike scores show no agreement. So the fifths of the
    scale, by the mean of a response's scores, take turns. Which responses those are, and in what
    order they come, follows from their ids: the same every time. Equal responses to one prompt
    count once.
    """
    distinct = {(one.pair_id, one.text): one for one in reversed(responses) if scores.get(one.id)}
    grades: dict[int, list[Response]] = defaultdict(list)
    for one in sorted(distinct.values(), key=_shuffled):
        grade = int(fmean(scores[one.id].values()) * GRADES / 100)
        grades[min(grade, GRADES - 1)].append(one)
    turns = (one for turn in zip_longest(*grades.values()) for one in turn if one)
    chosen = [one for one, _ in zip(turns, range(count), strict=False)]
    return tuple(sorted(chosen, key=_shuffled))


def _shuffled(response: Response) -> str:
    return hashlib.sha256(response.id.encode()).hexdigest()


def sheet(
    responses: Sequence[Response], pairs: Mapping[str, Pair], metrics: Sequence[Metric]
) -> str:
    """JSON Lines: for each response a mark of every metric to fill in, null until then, and what
    is to be read; ``pairs`` by id."""
    return "".join(_line(one, pairs[one.pair_id], metrics) for one in responses)


def _line(response: Response, pair: Pair, metrics: Sequence[Metric]) -> str:
    fields = {
        **dict.fromkeys(metrics),
        "prompt": _in_words(pair.messages),
        "reference": pair.response,
        "response": response.text,
        "response_id": response.id,
    }
    return _printable(json.dumps(fields, ensure_ascii=False)) + "\n"


def _in_words(messages: Sequence[Message]) -> str:
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in messages)


def _printable(line: str) -> str:
    """JSON with what an editor would not show, or would obey, as its escape."""
    return "".join(
        char if char.isprintable() else json.dumps(char, ensure_ascii=True)[1:-1] for char in line
    )
