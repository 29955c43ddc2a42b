"""Closed QA about invented places: how answers are graded and gone wrong."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from itertools import chain, count
from typing import Final

from llamaduo.rehearsal.tasks.known import Exercise, Grade, KnownTask
from llamaduo.rehearsal.tasks.place_phrases import ASIDES, STREET_ENDS
from llamaduo.rehearsal.tasks.places import (
    a_value,
    draw_one,
    facts_in,
    question_in,
    rows,
    solve,
)
from llamaduo.rehearsal.tasks.wording import sentence

_UNITS: Final = (frozenset({"am", "pm"}), frozenset(end.lower() for end in STREET_ENDS))
"""Words that are part of an answer, but nothing without what they belong to."""
_OF_NO_WEIGHT: Final = frozenset({"euro", "euros", "people", "bus", "the", "a", "at", "on", "in"})
_DENIALS: Final = frozenset({"not", "never", "isn", "wasn", "doesn"})
_SPELLINGS: Final = (
    (re.compile(r"\b([ap])\.m\b\.?"), r"\1m"),
    (re.compile(r"(\d)\.(\d\d)(?= ?[ap]m)"), r"\1:\2"),
    (re.compile(r"(\d):00\b"), r"\1"),
    (re.compile(r"(\d)(?=[ap]m\b)"), r"\1 "),
    (re.compile(r"\b(\w+day)s\b"), r"\1"),
    (re.compile(r"\bst\b\.?"), "street"),
    (re.compile(r"\brd\b\.?"), "road"),
)
"""Other ways to write the same."""


def _spoil(prompt: str, right: str, chance: random.Random) -> str:
    """Another fact of the text half of the time, else one of the right kind that it does not
    give. Never one that agrees in part."""
    topic = question_in(prompt) or "year"
    others = [value for name, value in facts_in(prompt).items() if name != topic]
    told = chance.sample(others, len(others)) if chance.random() < 0.5 else []
    parts = set(_content(right)) - frozenset().union(*_UNITS)
    candidates = chain(told, (a_value(topic, chance) for _ in count()))
    return next(value for value in candidates if parts.isdisjoint(_content(value)))


def _near_copy(prompt: str, chance: random.Random) -> str:
    """The same text with one more remark: the answer is right, but nothing is new."""
    return prompt.replace("\n\nQuestion:", f" {sentence(chance.choice(ASIDES))}\n\nQuestion:", 1)


def _grade(prompt: str, response: str, expected: str, chance: random.Random) -> Grade:
    """Agreement in meaning: 94 to 100 where the answer is right, less two points for each word
    beside it, down to 70. A part of it (a first name, a time without half of the day) 45 to 78;
    right beside other facts 37 to 43; the wrong half of the day, or the right answer denied, 27 to
    33; the right first name with a wrong last one 17 to 23; another fact 7 to 13; no answer at all
    0 to 5.
    """
    if not _content(response):
        return Grade(chance.randint(0, 5), "it says nothing")
    return _grade_words(prompt, _content(response), _content(expected), chance.randint(-3, 3))


def _grade_words(prompt: str, found: Sequence[str], expected: Sequence[str], noise: int) -> Grade:
    units = [word for kind in _UNITS for word in kind if word in expected]
    keys = [word for word in expected if word not in units]
    missing = [word for word in keys if word not in found]
    if len(missing) == len(keys):
        return Grade(10 + noise, "the answer is another")
    if missing and len(found) < len(expected):
        return Grade(48 + noise, "only a part of the answer is right")
    if missing:
        return Grade(20 + noise, "the answer is another, though a part of it is the same")
    if _is_denied(found):
        return Grade(30 + noise, "the answer is denied")
    if _rivals(prompt, found, expected):
        return Grade(40 + noise, "the answer stands beside others")
    return _grade_right(found, expected, units, noise)


def _grade_right(
    found: Sequence[str], expected: Sequence[str], units: Sequence[str], noise: int
) -> Grade:
    if any(_another_unit(found, unit) for unit in units):
        return Grade(30 + noise, "the answer is like the right one, but another")
    if any(unit not in found for unit in units):
        return Grade(75 + noise, "the answer is not complete")
    clutter = 2 * sum(word not in expected for word in found)
    reason = "the answer is right" + (", with words around it" if clutter else "")
    return Grade(max(73, 97 - clutter) + noise, reason)


def _is_denied(found: Sequence[str]) -> bool:
    """Whether a response says that it is not so. Not to open on a day is to be closed."""
    return not _DENIALS.isdisjoint(found) and "open" not in found


def _rivals(prompt: str, found: Sequence[str], expected: Sequence[str]) -> bool:
    """Whether a response gives other facts too, so that naming all of them is not being right."""
    told = {word for value in facts_in(prompt).values() for word in _content(value)}
    told |= {word for word in found if word[0].isdigit()}
    return bool((set(found) & told) - set(expected) - frozenset().union(*_UNITS))


def _another_unit(found: Sequence[str], unit: str) -> bool:
    kind = next(kind for kind in _UNITS if unit in kind)
    return unit not in found and bool(kind & set(found))


def _content(text: str) -> list[str]:
    """The words of ``text`` that carry the answer, however they are written."""
    plain = text.lower()
    for pattern, spelling in _SPELLINGS:
        plain = pattern.sub(spelling, plain)
    found = re.findall(r"\d+(?::\d+)?|[^\W\d_]+", plain)
    return [word for word in found if word not in _OF_NO_WEIGHT]


CLOSED_QA: Final = KnownTask(
    kind="closed_qa",
    name="places",
    noun="text",
    rows=rows,
    draw=draw_one,
    is_prompt=lambda prompt: solve(prompt) is not None,
    is_response=lambda response: bool(response.strip()),
    solve=solve,
    spoil=_spoil,
    near_copy=_near_copy,
    placeholder=Exercise("Text:\n[text]\n\nQuestion: What is the price?", "[price]"),
    grade=_grade,
)
