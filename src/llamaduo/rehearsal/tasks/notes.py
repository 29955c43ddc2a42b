"""Summarization: a short note about a job, and one sentence with the facts that matter.

A note tells who did what, where and when, each in a sentence of its own and in any order, among
remarks that do not matter; some of these name another person, job, place or day. :func:`solve` is
the other direction, a program that knows the phrases, so the rehearsal service can summarize and
judge from the request alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from typing import Final

from llamaduo.rehearsal.tasks.known import Exercise, Row, coverage_row, distinct
from llamaduo.rehearsal.tasks.note_phrases import (
    DAYS,
    OTHERS,
    REMARKS,
    STATEMENTS,
    THINGS,
    VERBS,
)
from llamaduo.rehearsal.tasks.place_phrases import FIRST_NAMES, KINDS, LAST_NAMES, NAMES
from llamaduo.rehearsal.tasks.wording import sentence

SYSTEM: Final = "Summarize the note in one sentence: who did what, where, when."
REMARKS_EACH: Final = 2
"""Remarks in each note."""
OTHER_SHARE: Final = 0.25
"""Share of notes in which one of them names another person, job, place or day."""

_FRAME = "Note:\n{text}\n\nSummary:"
_FRAME_PATTERN = re.compile(r"\s*Note:\n([^\n]+)\n\nSummary:\s*")
_SUMMARY = "{who} {did} at the {where} on {when}."


@dataclass(frozen=True, slots=True)
class Facts:
    """What matters in a note, as it stands in the note and in its summary."""

    who: str
    did: str
    where: str
    when: str

    @property
    def summary(self) -> str:
        """The right summary."""
        return _SUMMARY.format(**asdict(self))


def _two(first: tuple[str, ...], second: tuple[str, ...], between: str = " ") -> str:
    """A pattern for one of each."""
    return f"(?:{'|'.join(first)}){between}(?:{'|'.join(second)})"


_KINDS = tuple(kind.title() for kind in KINDS)
_VERBS, _DAYS = tuple(VERBS), tuple(DAYS)
_VALUES: Final[dict[str, Callable[[random.Random], str]]] = {
    "who": lambda chance: f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)}",
    "did": lambda chance: f"{chance.choice(_VERBS)} the {chance.choice(THINGS)}",
    "where": lambda chance: f"{chance.choice(NAMES)} {chance.choice(_KINDS)}",
    "when": lambda chance: chance.choice(_DAYS),
}
_PATTERNS: Final = {
    "who": _two(FIRST_NAMES, LAST_NAMES),
    "did": _two(_VERBS, THINGS, between=" the "),
    "where": _two(NAMES, _KINDS),
    "when": "|".join(_DAYS),
}


def rows(number: int, seed: int) -> list[Row]:
    """``number`` distinct exercises as lines of coverage data."""
    return [coverage_row(SYSTEM, one) for one in distinct(draw_one, number, random.Random(seed))]


def draw_one(chance: random.Random) -> Exercise:
    """One note with the right summary."""
    values = {kind: a_value(kind, chance) for kind in STATEMENTS}
    phrases = [chance.choice(STATEMENTS[kind]).format(value) for kind, value in values.items()]
    other = [_other(values, chance)] if chance.random() < OTHER_SHARE else []
    remarks = chance.sample(REMARKS, REMARKS_EACH - len(other))
    phrases += other + [remark.format(chance.randint(3, 99)) for remark in remarks]
    chance.shuffle(phrases)
    text = " ".join(map(sentence, phrases))
    return Exercise(_FRAME.format(text=text), Facts(**values).summary)


def _other(values: dict[str, str], chance: random.Random) -> str:
    kind = chance.choice(list(OTHERS))
    return chance.choice(OTHERS[kind]).format(another(kind, values[kind], chance))


def a_remark(chance: random.Random) -> str:
    """A sentence that does not matter."""
    return sentence(chance.choice(REMARKS).format(chance.randint(3, 99)))


def a_value(kind: str, chance: random.Random) -> str:
    """A fact of one kind, as it stands in a note and in a summary."""
    return _VALUES[kind](chance)


def another(kind: str, value: str, chance: random.Random) -> str:
    """A fact of that kind that shares no word with ``value`` (but "the")."""
    parts = set(value.split()) - {"the"}
    candidates = (a_value(kind, chance) for _ in count())
    return next(other for other in candidates if parts.isdisjoint(other.split()))


_STATEMENTS: Final = [
    (kind, re.compile(re.escape(sentence(phrase)).replace(r"\{\}", f"({_PATTERNS[kind]})")))
    for kind, phrases in STATEMENTS.items()
    for phrase in phrases
]
_SUMMARY_PATTERN: Final = re.compile(
    _SUMMARY.replace(".", r"\.").format(**{k: f"(?P<{k}>{p})" for k, p in _PATTERNS.items()})
)


def text_in(prompt: str) -> str | None:
    """The note inside a prompt, or None where the frame is another."""
    match = _FRAME_PATTERN.fullmatch(prompt)
    return match[1] if match else None


def facts_in(prompt: str) -> Facts | None:
    """What matters in the note; None for a prompt that is not of this task, or whose note lacks
    a fact or has two of a kind."""
    sentences = re.split(r"(?<=\.) ", text_in(prompt) or "")
    found = [fact for fact in map(_fact_in, sentences) if fact]
    values = dict(found)
    return Facts(**values) if len(found) == len(values) == len(STATEMENTS) else None


def _fact_in(said: str) -> tuple[str, str] | None:
    for kind, pattern in _STATEMENTS:
        if match := pattern.fullmatch(said):
            return kind, match[1]
    return None


def facts_of(summary: str) -> Facts | None:
    """The facts of a summary that has the form of the right one, else None."""
    match = _SUMMARY_PATTERN.fullmatch(summary.strip())
    return Facts(**match.groupdict()) if match else None


def solve(prompt: str) -> str | None:
    """The right summary, composed from the note; None where :func:`facts_in` finds none."""
    facts = facts_in(prompt)
    return facts.summary if facts else None
