"""Coding: a small Python function that is told in a few phrases, and its code.

A function gets a number, a text, a list of numbers or a list of words, and does two of a few
known steps, under a name and with constants of its own. :func:`solve` is the other direction,
a program that knows the phrases, so the rehearsal service can answer and judge from the request
alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llamaduo.rehearsal.tasks.function_phrases import (
    AFFIX_MARKS,
    AFFIXES,
    ASIDES,
    GIVEN,
    HEADS,
    JOINTS,
    NOUNS,
    PLACES,
    SEPARATORS,
    STEPS,
    VERBS,
    Kind,
    Step,
    ValueKind,
)
from llamaduo.rehearsal.tasks.known import Exercise, Row, coverage_row, distinct
from llamaduo.rehearsal.tasks.wording import capital, sentence

SYSTEM: Final = "Answer with the Python function, nothing else."

_ITEM: Final[Mapping[Kind, str]] = {"numbers": "n", "words": "w"}
"""What an item of a list is called in the code."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a prompt asks for: the function's name, its parameter, what that is, and the steps,
    each with its constant."""

    name: str
    parameter: str
    kind: Kind
    steps: tuple[tuple[Step, str], ...]

    @property
    def code(self) -> str:
        """The right answer."""
        returned = _over_items(self) if self.kind in _ITEM else _in_turn(self.parameter, self.steps)
        return f"def {self.name}({self.parameter}):\n    return {returned}"


def _in_turn(expression: str, steps: Sequence[tuple[Step, str]]) -> str:
    for step, value in steps:
        expression = step.code.format(e=expression, v=value)
    return expression


def _over_items(told: Told) -> str:
    item = _ITEM[told.kind]
    picks, makes, ends = ([s for s in told.steps if s[0] in group] for group in STEPS[told.kind])
    made, picked = _in_turn(item, makes), _in_turn("", picks)
    return _in_turn(f"{made} for {item} in {told.parameter}{picked}", ends)


# --- drawing ------------------------------------------------------------------------------------


def rows(count: int, seed: int) -> list[Row]:
    """``count`` distinct exercises as lines of coverage data."""
    return [coverage_row(SYSTEM, one) for one in distinct(draw_one, count, random.Random(seed))]


def draw_one(chance: random.Random) -> Exercise:
    """One prompt with the right code."""
    told = draw_told(chance.choice(sorted(STEPS)), chance)
    return Exercise(_say(told, chance), told.code)


def draw_told(kind: Kind, chance: random.Random) -> Told:
    """A function of one kind, not yet in words."""
    noun = chance.choice(NOUNS[kind])
    return Told(f"{chance.choice(VERBS)}_{noun}", noun, kind, draw_steps(kind, chance))


def draw_steps(kind: Kind, chance: random.Random) -> tuple[tuple[Step, str], ...]:
    """Two steps with their constants; a list always has the one that ends it."""
    groups = list(STEPS[kind])
    groups.pop(chance.randrange(len(groups) - (kind in _ITEM)))
    steps = [chance.choice(group) for group in groups]
    return tuple((step, a_value(step.value, chance)) for step in steps)


def a_value(kind: ValueKind, chance: random.Random) -> str:
    """A constant, as it stands in the prompt and in the code."""
    return _VALUES[kind](chance)


def _affix(chance: random.Random) -> str:
    return chance.choice(AFFIXES) + chance.choice(AFFIX_MARKS)


_VALUES: Final[Mapping[ValueKind, Callable[[random.Random], str]]] = {
    "": lambda _: "",
    "factor": lambda chance: str(chance.randint(2, 12)),
    "amount": lambda chance: str(chance.randint(2, 99)),
    "bound": lambda chance: str(chance.randint(10, 500)),
    "length": lambda chance: str(chance.randint(2, 9)),
    "affix": _affix,
    "letter": lambda chance: chance.choice("aeiorstnl"),
    "separator": lambda chance: chance.choice(SEPARATORS),
}


def _say(told: Told, chance: random.Random) -> str:
    signature = f"{told.name}({told.parameter})"
    head = f"{chance.choice(HEADS).format(signature)} for the {chance.choice(PLACES)}"
    given = chance.choice(GIVEN[told.kind]).format(x=told.parameter)
    phrases = [
        chance.choice(step.phrases).format(x=f"the {told.parameter}", v=value)
        for step, value in told.steps
    ]
    return f"{sentence(head)} {sentence(given)} {sentence(_joined(phrases, chance))}"


def _joined(phrases: Sequence[str], chance: random.Random) -> str:
    text = phrases[0]
    for phrase in phrases[1:]:
        joint = chance.choice(JOINTS)
        text += joint + (capital(phrase) if joint == ". " else phrase)
    return text


# --- solving ------------------------------------------------------------------------------------

_SIGNATURE: Final = re.compile(r"`([a-z_]+)\(([a-z]+)\)`")
_JOINT: Final = re.compile(r"\. Then |\. |, then | and ")
_ASIDE: Final = re.compile("|".join(re.escape(f" {sentence(aside)}") for aside in ASIDES))


def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(re.escape(phrase).replace(r"\{x\}", "the [a-z]+").replace(r"\{v\}", "(.+)"))


_PHRASES: Final = {
    kind: [(_pattern(p), step) for group in groups for step in group for p in step.phrases]
    for kind, groups in STEPS.items()
}


def told_in(prompt: str) -> Told | None:
    """What a prompt asks for; None where it is not of this task."""
    signature = _SIGNATURE.search(prompt)
    if signature is None:
        return None
    name, parameter = signature.groups()
    text = _ASIDE.sub("", prompt.strip()).removesuffix(".")
    heads = [f"{head.format(signature[0].strip('`'))} for the" for head in HEADS]
    rest = _after(text, [capital(head) for head in heads]).partition(". ")[2]
    for kind, givens in GIVEN.items():
        task = _after(rest, [sentence(given.format(x=parameter)) for given in givens])
        steps = [_step_in(kind, clause) for clause in _JOINT.split(task)] if task else []
        if found := [step for step in steps if step is not None]:
            return Told(name, parameter, kind, tuple(found)) if len(found) == len(steps) else None
    return None


def _after(text: str, openings: Sequence[str]) -> str:
    """What stands after the opening; nothing where the text has none of these."""
    return next((text[len(one) + 1 :] for one in openings if text.startswith(f"{one} ")), "")


def _step_in(kind: Kind, clause: str) -> tuple[Step, str] | None:
    said = clause[:1].lower() + clause[1:]
    for pattern, step in _PHRASES[kind]:
        if match := pattern.fullmatch(said):
            return step, "".join(match.groups())
    return None


def solve(prompt: str) -> str | None:
    """The right code, composed from the prompt; None for a prompt that is not of this task."""
    told = told_in(prompt)
    return told.code if told else None
