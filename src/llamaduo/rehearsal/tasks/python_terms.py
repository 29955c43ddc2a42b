"""What a Python expression comes to, in a normal form: equal texts mean equal values.

What may be swapped is sorted, and what can be said in two ways is said in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

MOST_FORM: Final = 4_000
"""Characters of a form."""
MOST_OF_A_NUMBER: Final = 10**15
"""Larger numbers are in no exercise, and Python does not write down the largest."""


class TooComplex(ValueError):
    """A function is larger than any answer to an exercise."""


@dataclass(frozen=True, slots=True)
class Term:
    """An expression in normal form, and its shape: the form with all constants left open.

    ``ordered`` says that ``+`` on it joins texts or lists, so that it cannot be swapped; ``word``
    is the text of a constant one, ``items`` what a list or generator is made of.
    """

    text: str
    shape: str
    head: str = ""
    parts: tuple[Term, ...] = ()
    ordered: bool = False
    word: str | None = None
    items: Items | None = None

    def __post_init__(self) -> None:
        if len(self.text) > MOST_FORM:
            raise TooComplex("the form is too long")

    @property
    def rank(self) -> tuple[bool, str, str]:
        """Where it stands among what may be swapped: constants last, so that shapes agree."""
        return self.shape in {"#", "-#"}, self.shape, self.text


@dataclass(frozen=True, slots=True)
class Items:
    """One thing for every item of ``source`` for which all ``conditions`` hold."""

    item: Term
    source: Term
    conditions: tuple[Term, ...]


def leaf(text: str, shape: str | None = None) -> Term:
    return Term(text, text if shape is None else shape)


def made(head: str, *parts: Term, ordered: bool = False) -> Term:
    text, shape = (
        f"{head}({', '.join(form)})"
        for form in ([part.text for part in parts], [part.shape for part in parts])
    )
    return Term(text, shape, head, parts, ordered)


def swapped(head: str, *parts: Term) -> Term:
    """``head`` of parts whose order does not matter; of a part that is the same, its parts."""
    return made(head, *ranked(*_flat(head, parts)))


def ranked(*parts: Term) -> list[Term]:
    """Parts that may be swapped, in an order of their own."""
    return sorted(parts, key=lambda part: part.rank)


def _flat(head: str, parts: Sequence[Term]) -> list[Term]:
    return [one for part in parts for one in (part.parts if part.head == head else (part,))]


def constant(value: object) -> Term:
    if isinstance(value, str):
        return replace(leaf(repr(value), "#"), ordered=True, word=value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > MOST_OF_A_NUMBER:
            raise TooComplex("a number is too large")
        return leaf(str(value), "#")
    return leaf(repr(value), "#")


def joined(*parts: Term) -> Term:
    """Texts or lists in a row; constant texts side by side are one."""
    row: list[Term] = []
    for part in _flat("join", parts):
        if row and row[-1].word is not None and part.word is not None:
            row[-1] = constant(row[-1].word + part.word)
        else:
            row.append(part)
    return row[0] if len(row) == 1 else made("join", *row, ordered=True)


def negative(term: Term) -> Term:
    return leaf(f"-{term.text}", "-#") if term.shape == "#" else made("minus", term)


_OPPOSITE: Final[Mapping[str, str]] = {
    "equal": "unequal",
    "unequal": "equal",
    "In": "NotIn",
    "NotIn": "In",
}


def opposite(test: Term) -> Term:
    if test.head in _OPPOSITE:
        return made(_OPPOSITE[test.head], *test.parts)
    if test.head in {"above", "from"}:
        return made("from" if test.head == "above" else "above", *reversed(test.parts))
    return made("not", test)


def choice(test: Term, one: Term, other: Term) -> Term:
    """One where ``test`` holds, else the other; the larger or the smaller of two by its name."""
    if test.head in {"above", "from"} and one != other:
        if (one, other) == test.parts:
            return swapped("max", one, other)
        if (other, one) == test.parts:
            return swapped("min", one, other)
    return made("if", test, one, other)


def of_items(items: Items) -> Term:
    conditions = swapped("And", *items.conditions)
    return replace(made("each", items.item, items.source, conditions), items=items)


def listed(each: Term) -> Term:
    return replace(made("list", each, ordered=True), items=each.items)


def as_items(term: Term) -> Term:
    return term if term.items is None else of_items(term.items)


EMPTY_LIST: Final = replace(leaf("list()"), ordered=True)
