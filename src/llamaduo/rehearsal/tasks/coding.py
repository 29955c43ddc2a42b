"""Coding, small Python functions: how code is graded and gone wrong. It is read, never run."""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from dataclasses import replace
from typing import Final

from llamaduo.rehearsal.tasks.function_phrases import ASIDES
from llamaduo.rehearsal.tasks.functions import (
    a_value,
    draw_one,
    draw_steps,
    rows,
    solve,
    told_in,
)
from llamaduo.rehearsal.tasks.known import Exercise, Grade, KnownTask
from llamaduo.rehearsal.tasks.python_forms import form_of
from llamaduo.rehearsal.tasks.python_terms import Term, TooComplex
from llamaduo.rehearsal.tasks.python_text import Written, functions_in, words_beside
from llamaduo.rehearsal.tasks.wording import sentence

_NUMERIC: Final = ("number", "numbers")
_RIGHT: Final = 78
"""The least for the right code under the right name."""
_PIECE: Final = re.compile(r"'[^']*'|[\w.:]+")
"""A step, a name or a constant in a form."""
_OF_NO_WEIGHT: Final = frozenset({"p0", "v0", "each", "And"})
"""Pieces that most functions have."""


def _spoil(prompt: str, right: str, chance: random.Random) -> str:
    """The same function with another constant half of the time, else with other steps."""
    told = told_in(prompt)
    if told is None:
        return right
    code = right
    others = chance.random() < 0.5 or not any(value for _, value in told.steps)
    while code == right:
        steps = draw_steps(told.kind, chance) if others else told.steps
        values = ((step, a_value(step.value, chance)) for step, _ in steps)
        code = replace(told, steps=tuple(values)).code
    return code


def _near_copy(prompt: str, chance: random.Random) -> str:
    """The same prompt with one more remark: the code is right, but nothing is new."""
    return f"{prompt} {sentence(chance.choice(ASIDES))}"


def _grade(prompt: str, response: str, expected: str, chance: random.Random) -> Grade:
    """What the code would return: 94 to 100 where that is right, less a point for each word beside
    the function, down to 75, and eight points for another name of the parameter. Right but under
    another name 57 to 63; the right steps with a wrong constant 47 to 53; else 9 to 45 by the
    share of steps, names and constants that are right. Code that does not parse 7 to 13, no code
    2 to 8, nothing 0 to 5.
    """
    if not re.search(r"\w", response):
        return Grade(chance.randint(0, 5), "it says nothing")
    grade = _grade_text(prompt, response, expected)
    return replace(grade, score=grade.score + chance.randint(-3, 3))


def _grade_text(prompt: str, response: str, expected: str) -> Grade:
    found, wanted = functions_in(response), functions_in(expected)
    if not found or not wanted:
        broken = re.search(r"\bdef\s", response) is not None
        return Grade(10 if broken else 5, "there is no Python function that parses")
    right = wanted[0].tree
    named = [one for one in found if one.tree.name == right.name] or found
    first = named[0]
    if len({" ".join(one.source.split()) for one in named}) > 1 or first.tree.name in first.around:
        return Grade(25, "the name stands for several things, and nothing tells which counts")
    told = told_in(prompt)
    numeric = told is not None and told.kind in _NUMERIC
    grade = _grade_function(first, right, numeric)
    return _less_clutter(grade, words_beside(first, response))


def _less_clutter(grade: Grade, clutter: int) -> Grade:
    """Words around code that is right cost something; nothing makes other code worth less."""
    least = min(grade.score, _RIGHT)
    if not clutter or grade.score == least:
        return grade
    return Grade(max(least, grade.score - clutter), f"{grade.reason}, with words around it")


def _grade_function(written: Written, wanted: ast.FunctionDef, numeric: bool) -> Grade:
    found = written.tree
    try:
        form, right = form_of(found, numeric, written.around), form_of(wanted, numeric)
    except TooComplex:
        return Grade(12, "the function is too large to be right")
    if _parameters(found) != len(wanted.args.args):
        return Grade(12 + round(15 * _share(form, right)), "it does not take what it is given")
    if form.text == right.text:
        return _grade_right(found, wanted)
    if found.name != wanted.name:
        return Grade(12 + round(20 * _share(form, right)), "name and result are others")
    if form.shape == right.shape:
        return Grade(50, "the steps are right, a constant is not")
    return Grade(12 + round(30 * _share(form, right)), "it returns something else")


def _grade_right(found: ast.FunctionDef, wanted: ast.FunctionDef) -> Grade:
    if found.name != wanted.name:
        return Grade(60, "the result is right, the name is another")
    if [one.arg for one in found.args.args] != [one.arg for one in wanted.args.args]:
        return Grade(89, "the code is right, though the parameter has another name")
    return Grade(97, "the code is right")


def _parameters(function: ast.FunctionDef) -> int:
    """How many arguments it must be given; -1 where that is another than it can be given."""
    given = function.args
    names = len(given.posonlyargs + given.args)
    return names if not (given.vararg or given.kwarg or given.kwonlyargs) else -1


def _share(form: Term, right: Term) -> float:
    """How much two forms have in common, 0 to 1: twice the pieces of both, of the pieces of each.
    What says everything has little in common with anything."""
    ours, theirs = _pieces(form), _pieces(right)
    both = (ours & theirs).total()
    return 2 * both / (ours.total() + theirs.total() or 1)


def _pieces(form: Term) -> Counter[str]:
    return Counter(one for one in _PIECE.findall(form.text) if one not in _OF_NO_WEIGHT)


CODING: Final = KnownTask(
    kind="coding",
    name="functions",
    noun="exercise",
    rows=rows,
    draw=draw_one,
    is_prompt=lambda prompt: solve(prompt) is not None,
    is_response=lambda response: bool(response.strip()),
    solve=solve,
    spoil=_spoil,
    near_copy=_near_copy,
    placeholder=Exercise("Write a function `[name]`. [task]", "def [name]([parameter]):"),
    grade=_grade,
)
