"""What it takes to know a task: new exercises, the right answer to each, and a grade for any.

A task is a program that draws exercises and solves them from the prompt alone, so that the
service can answer, judge and write more of them with nothing but the request. The service is
imperfect in known measure, as paid ones are, so that curation and judging have something real to
do: how often is said here, once for all tasks. Every choice comes from the ``chance`` that is
handed in.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llamaduo.rehearsal.marks import Marks
from llamaduo.tasks.settings import TaskKind

ERROR_RATE: Final = 0.08
"""Share of prompts that :meth:`KnownTask.answer` gets wrong."""
NEAR_COPY_SHARE: Final = 0.05
"""Share of new pairs that are a seed with a little change."""
STRAY_SHARE: Final = 0.02
"""Share of new pairs whose response is wrong."""
PLACEHOLDER_SHARE: Final = 0.01
"""Share of new pairs that were never filled in."""

Row = dict[str, Any]
"""A line of coverage data, as the importer reads it."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """A user message and its right response."""

    prompt: str
    response: str


@dataclass(frozen=True, slots=True)
class Grade:
    """How well a response agrees with what is right: 0 to 100, and why in a few words."""

    score: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTask:
    """One built-in task.

    ``name`` names its data and its run, ``noun`` what a prompt holds. ``rows`` makes so many
    lines of coverage data from a seed, ``draw`` one new exercise. ``is_prompt`` tells whether a
    text stands in the task's frame, ``is_response`` whether a text can be a response at all.
    ``solve`` computes the right response to a prompt, None where there is none. ``spoil`` makes
    a wrong response out of a prompt and its right one; ``near_copy`` changes a prompt so that its
    response stays right. ``grade`` compares a response (the second argument) with the right one
    (the third) to a prompt (the first).
    """

    kind: TaskKind
    name: str
    noun: str
    rows: Callable[[int, int], list[Row]]
    draw: Callable[[random.Random], Exercise]
    is_prompt: Callable[[str], bool]
    is_response: Callable[[str], bool]
    solve: Callable[[str], str | None]
    spoil: Callable[[str, str, random.Random], str]
    near_copy: Callable[[str, random.Random], str]
    placeholder: Exercise
    grade: Callable[[str, str, str, random.Random], Grade]

    def knows(self, instruction: str, response: str) -> bool:
        """Whether this is a pair of the task."""
        return self.is_prompt(instruction) and self.is_response(response)

    def write(
        self, seeds: Sequence[Mapping[str, Any]], count: int, chance: random.Random
    ) -> list[dict[str, str]]:
        """``count`` new pairs, with the flaws that the shares above say."""
        return [self._new_pair(seeds, chance) for _ in range(count)]

    def _new_pair(
        self, seeds: Sequence[Mapping[str, Any]], chance: random.Random
    ) -> dict[str, str]:
        flaw = chance.random()
        if flaw < PLACEHOLDER_SHARE:
            return _as_pair(self.placeholder.prompt, self.placeholder.response)
        if flaw < PLACEHOLDER_SHARE + NEAR_COPY_SHARE:
            seed = chance.choice(seeds)
            return _as_pair(self.near_copy(seed["instruction"], chance), seed["response"])
        new = self.draw(chance)
        if flaw < PLACEHOLDER_SHARE + NEAR_COPY_SHARE + STRAY_SHARE:
            return _as_pair(new.prompt, self.spoil(new.prompt, new.response, chance))
        return _as_pair(new.prompt, new.response)

    def answer(self, prompt: str, chance: random.Random) -> str | None:
        """The response to a prompt, wrong in :data:`ERROR_RATE` of cases; None for a prompt that
        is not of this task."""
        right = self.solve(prompt) if self.is_prompt(prompt) else None
        if right is None:
            return None
        return self.spoil(prompt, right, chance) if chance.random() < ERROR_RATE else right

    def mark(self, data: Mapping[str, Any], chance: random.Random) -> Marks:
        """Marks for a response: similarity against the reference, precision against the prompt.

        Precision rests on :attr:`solve`, so a reference that is wrong does not mislead it.
        """
        prompt, response, reference = data["instruction"], data["response"], data["reference"]
        like = self.grade(prompt, response, reference.strip(), chance)
        right = self.grade(prompt, response, self.solve(prompt) or reference.strip(), chance)
        return Marks(
            similarity=like.score,
            similarity_reason=f"Against the reference: {like.reason}.",
            precision=right.score,
            precision_reason=f"Against the {self.noun} itself: {right.reason}.",
        )

    def precision(self, prompt: str, response: str, chance: random.Random) -> Grade | None:
        """The mark for precision where no reference is shown; None for a prompt without a right
        response."""
        right = self.solve(prompt) if self.is_prompt(prompt) else None
        return None if right is None else self.grade(prompt, response, right, chance)


def coverage_row(system: str, exercise: Exercise) -> Row:
    """An exercise as a line of coverage data: chat messages, answered by a person."""
    return {
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": exercise.prompt},
            {"role": "assistant", "content": exercise.response},
        ],
        "reference_source": "human",
    }


def distinct(
    draw: Callable[[random.Random], Exercise], count: int, chance: random.Random
) -> list[Exercise]:
    """``count`` exercises with distinct prompts."""
    drawn: dict[str, Exercise] = {}
    while len(drawn) < count:
        exercise = draw(chance)
        drawn.setdefault(exercise.prompt.lower(), exercise)
    return list(drawn.values())


def _as_pair(instruction: str, response: str) -> dict[str, str]:
    return {"instruction": instruction, "response": response}
