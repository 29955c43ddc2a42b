"""Closed QA: a short text about an invented place, and a question about one fact in it.

A text has a few facts, in any order, among them some of things nearby and remarks that nobody asks
about. :func:`solve` is the other direction, a program that knows the phrases, so the rehearsal
service can answer and judge from the request alone. Every question has its answer in the text: to
tell that one has none is beyond a model of 135 million parameters after a hundred examples.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

from llamaduo.rehearsal.tasks.known import Exercise, Row, coverage_row, distinct
from llamaduo.rehearsal.tasks.place_phrases import (
    ASIDES,
    DAYS,
    FIRST_NAMES,
    INTRODUCTIONS,
    KINDS,
    LAST_NAMES,
    NAMES,
    STREET_ENDS,
    STREETS,
    TOPICS,
)
from llamaduo.rehearsal.tasks.wording import sentence

SYSTEM: Final = "Answer from the text, in few words."
FACTS: Final = 3
"""Facts about the place in each text."""
ELSEWHERE_SHARE: Final = 0.3
"""Share of texts that also tell a fact of something nearby."""
ASIDE_SHARE: Final = 0.5
"""Share of texts with a remark that nobody asks about."""

_FRAME = "Text:\n{text}\n\nQuestion: {question}"
_FRAME_PATTERN = re.compile(r"\s*Text:\n(.+)\n\nQuestion: ([^\n]+?)\s*", re.DOTALL)
_TOPIC_OF = {question: name for name, topic in TOPICS.items() for question in topic.questions}
_STATEMENTS = [
    (name, re.compile(sentence_pattern.replace(r"\{\}", "(.+)"), re.IGNORECASE))
    for name, topic in TOPICS.items()
    for sentence_pattern in (re.escape(f"{phrase}.") for phrase in topic.statements)
]


def rows(count: int, seed: int) -> list[Row]:
    """``count`` distinct exercises as lines of coverage data."""
    return [coverage_row(SYSTEM, one) for one in distinct(draw_one, count, random.Random(seed))]


def draw_one(chance: random.Random) -> Exercise:
    """One text with its question and the right answer."""
    *told, other = chance.sample(sorted(TOPICS), FACTS + 1)
    values = {topic: a_value(topic, chance) for topic in told}
    asked = chance.choice(told)
    sentences = [chance.choice(TOPICS[topic].statements).format(values[topic]) for topic in told]
    if chance.random() < ELSEWHERE_SHARE:
        nearby = chance.choice(TOPICS[other].elsewhere)
        _put(nearby.format(a_value(other, chance)), sentences, chance)
    if chance.random() < ASIDE_SHARE:
        _put(chance.choice(ASIDES), sentences, chance)
    place = f"{chance.choice(NAMES)} {chance.choice(KINDS).title()}"
    sentences.insert(0, chance.choice(INTRODUCTIONS).format(place))
    text = " ".join(map(sentence, sentences))
    question = chance.choice(TOPICS[asked].questions)
    return Exercise(_FRAME.format(text=text, question=question), values[asked])


def _put(phrase: str, among: list[str], chance: random.Random) -> None:
    among.insert(chance.randint(0, len(among)), phrase)


def a_value(topic: str, chance: random.Random) -> str:
    """A fact of one kind, as it stands in a text and in an answer."""
    return _VALUES[topic](chance)


def _time(first: int, last: int, half: str) -> Callable[[random.Random], str]:
    def value(chance: random.Random) -> str:
        return f"{chance.randint(first, last)}{chance.choice(('', ':15', ':30', ':45'))} {half}"

    return value


_VALUES: Final[dict[str, Callable[[random.Random], str]]] = {
    "opening": _time(6, 11, "am"),
    "closing": _time(2, 11, "pm"),
    "street": lambda chance: f"{chance.choice(STREETS)} {chance.choice(STREET_ENDS)}",
    "price": lambda chance: f"{chance.randint(2, 29)} euros",
    "manager": lambda chance: f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)}",
    "day off": lambda chance: chance.choice(DAYS),
    "seats": lambda chance: str(10 * chance.randint(3, 60)),
    "year": lambda chance: str(chance.randint(1850, 2015)),
    "bus": lambda chance: str(chance.randint(30, 199)),
}


def question_in(prompt: str) -> str | None:
    """The kind of fact that a prompt asks for, or None where it is not of this task."""
    match = _FRAME_PATTERN.fullmatch(prompt)
    return _TOPIC_OF.get(match[2]) if match else None


def facts_in(prompt: str) -> dict[str, str]:
    """What the text says of the place, by kind of fact; nothing of what it says of others."""
    match = _FRAME_PATTERN.fullmatch(prompt)
    sentences = re.split(r"(?<=\.)\s+", match[1].strip()) if match else []
    found = (_fact_in(one) for one in sentences)
    return dict(fact for fact in found if fact)


def _fact_in(said: str) -> tuple[str, str] | None:
    for topic, pattern in _STATEMENTS:
        if match := pattern.fullmatch(said):
            return topic, match[1]
    return None


def solve(prompt: str) -> str | None:
    """The right answer, computed from the text; None for a prompt that is not of this task, or
    whose text does not tell."""
    asked = question_in(prompt)
    return None if asked is None else facts_in(prompt).get(asked)
