"""What a judge's reply must be to count: the judgement's shape, read strictly.

Nothing is clamped, rounded or guessed: a judgement that had to be interpreted is no
measurement, and 5 of 21 malformed replies got a wrong score from a lenient reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llamaduo.records import METRICS, Metric, Reply
from llamaduo.service.parsing import MalformedReply, parse_object


@dataclass(frozen=True, slots=True)
class Mark:
    """One metric's part of a judgement: a whole score from 0 to 100, and why."""

    score: int
    reason: str


def read_judgement(reply: Reply) -> dict[Metric, Mark]:
    """The marks of a reply, for both metrics.

    Raises:
        MalformedReply: the reply was cut off, is not one JSON object, lacks a key, has one
            too many, or holds a score that is not a whole number from 0 to 100.
    """
    if reply.finish == "length":
        raise MalformedReply("the reply was cut off at its token limit")
    judgement = parse_object(reply.text)
    _check_keys(judgement, METRICS, "the judgement")
    return {metric: _mark(judgement[metric], metric) for metric in METRICS}


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


def _check_keys(value: Mapping[str, Any], wanted: tuple[str, ...], what: str) -> None:
    if set(value) != set(wanted):
        raise MalformedReply(f"{what} must have exactly the keys {' and '.join(wanted)}")
