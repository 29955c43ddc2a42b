"""What a judge's reply must be to count: the judgement's shape, read strictly.

Nothing is clamped, rounded or guessed: a judgement that had to be interpreted is no
measurement, and 5 of 21 malformed replies got a wrong score from a lenient reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from llamaduo.records import METRICS, Mark, Metric, Reply
from llamaduo.service.parsing import MalformedReply, parse_object

Better = Literal["first", "second", "tie"]


def read_judgement(reply: Reply, metrics: Sequence[Metric] = METRICS) -> dict[Metric, Mark]:
    """The marks of a reply, one for each of ``metrics``.

    Raises:
        MalformedReply: the reply was cut off, is not one JSON object, lacks a key, has one
            too many, or holds a score that is not a whole number from 0 to 100.
    """
    judgement = _whole_object(reply)
    _check_keys(judgement, metrics, "the judgement")
    return {metric: _mark(judgement[metric], metric) for metric in metrics}


def read_comparison(reply: Reply) -> tuple[Better, str]:
    """Which response a reply prefers, and why.

    Raises:
        MalformedReply: the reply was cut off, is not one JSON object of the right keys, or prefers
            something else than "first", "second" or "tie".
    """
    comparison = _whole_object(reply)
    _check_keys(comparison, ("reason", "better"), "the comparison")
    better, reason = comparison["better"], comparison["reason"]
    if not isinstance(reason, str):
        raise MalformedReply("reason is not a string")
    if better not in ("first", "second", "tie"):
        raise MalformedReply('better is not "first", "second" or "tie"')
    return better, reason


def _whole_object(reply: Reply) -> dict[str, Any]:
    if reply.finish == "length":
        raise MalformedReply("the reply was cut off at its token limit")
    return parse_object(reply.text)


def _mark(value: object, metric: Metric) -> Mark:
    if not isinstance(value, dict):
        raise MalformedReply(f"{metric} is not an object")
    _check_keys(value, ("reason", "score"), metric)
    reason, score = value["reason"], value["score"]
    if not isinstance(reason, str):
        raise MalformedReply(f"{metric}.reason is not a string")
    # A bool is an int to Python, and 85.0 equals 85: neither is what was asked for.
    if type(score) is not int or not 0 <= score <= 100:
        raise MalformedReply(f"{metric}.score is not a whole number from 0 to 100")
    return Mark(score, reason)


def _check_keys(value: Mapping[str, Any], wanted: Sequence[str], what: str) -> None:
    if set(value) != set(wanted):
        raise MalformedReply(f"{what} must have exactly the keys {' and '.join(wanted)}")
