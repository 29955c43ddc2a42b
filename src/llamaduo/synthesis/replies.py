"""What can be taken out of a synthesis reply: whole pairs, even when the reply is not whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llamaduo.records import Reply
from llamaduo.service.parsing import MalformedReply, parse_object, salvage_objects


@dataclass(frozen=True, slots=True)
class NewPair:
    """An instruction and its response, as the service LLM wrote them."""

    instruction: str
    response: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPairs:
    """The pairs of one reply.

    ``salvaged`` of them came out of a reply that could not be read as a whole. ``malformed``
    counts that reply, and each object that was no pair. ``problem`` is the first of these in
    words, empty if there was none.
    """

    pairs: tuple[NewPair, ...]
    salvaged: int
    malformed: int
    problem: str = ""


def read_pairs(reply: Reply) -> ReadPairs:
    """Every complete pair of a reply. Never raises: what cannot be read is counted."""
    problems: list[str] = []
    try:
        found = _whole(reply.text)
    except MalformedReply as problem:
        cut = reply.finish == "length"
        problems.append("the reply was cut off at its token limit" if cut else problem.reason)
        found = list(salvage_objects(reply.text, "pairs"))
    pairs = []
    salvaging = bool(problems)
    for value in found:
        try:
            pairs.append(_pair(value))
        except MalformedReply as problem:
            problems.append(problem.reason)
    return ReadPairs(
        pairs=tuple(pairs),
        salvaged=len(pairs) if salvaging else 0,
        malformed=len(problems),
        problem=problems[0] if problems else "",
    )


def no_pairs(problem: str) -> ReadPairs:
    """What is counted for a request that brought no reply at all."""
    return ReadPairs(pairs=(), salvaged=0, malformed=1, problem=problem)


def _whole(text: str) -> list[Any]:
    """The entries of ``{"pairs": […]}``, and nothing beside it."""
    reply = parse_object(text)
    if set(reply) != {"pairs"} or not isinstance(reply["pairs"], list):
        raise MalformedReply("the reply must have exactly the key pairs, with a list")
    return reply["pairs"]


def _pair(value: object) -> NewPair:
    if not isinstance(value, dict) or set(value) != {"instruction", "response"}:
        raise MalformedReply("a pair must have exactly the keys instruction and response")
    for key, text in value.items():
        if not isinstance(text, str) or not text.strip():
            raise MalformedReply(f"a pair's {key} is not a string, or blank")
    return NewPair(value["instruction"], value["response"])
