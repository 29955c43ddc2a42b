"""What is wrong with a request body, for a person: the field as clients write it, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails


@dataclass(frozen=True, slots=True)
class Mistake:
    """One problem. ``field`` is empty where the body as a whole is wrong."""

    field: str
    why: str

    def __str__(self) -> str:
        return f"{self.field or 'The request'}: {self.why}"


def first_mistake(error: ValidationError) -> Mistake:
    """The first problem; where a value fits none of several types, the one that is deepest in
    it: not that a list is no string, but what is wrong with the list."""
    problems = error.errors(include_url=False, include_context=False)
    place = _place(problems[0])
    same = [problem for problem in problems if _place(problem).startswith(place)]
    telling = max(same, key=lambda problem: len(problem["loc"]))
    return Mistake(_place(telling), telling["msg"].removeprefix("Value error, "))


def _place(problem: ErrorDetails) -> str:
    """A pydantic location as clients write it: ``messages[0].content``."""
    text = "".join(_step(step) for step in _fields(problem["loc"]))
    return text.removeprefix(".")


def _step(step: int | str) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _fields(location: Sequence[int | str]) -> list[int | str]:
    """Without what pydantic puts in for the type that it tried: ``str``, ``list[TextPart]``; no
    field is called so."""
    return [step for step in location if step != "str" and not str(step).startswith("list[")]
