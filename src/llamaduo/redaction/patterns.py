"""Regular expressions of the user's own, refused where some text could make them slow.

Python's matcher cannot be stopped while it searches, so what it may cost is bounded before: by
the number of ways in which an expression can be tried at one place of a text. Every repetition
must have an upper bound; a repetition within a repetition multiplies. This refuses some
expressions that would be fast; a possessive repetition (``{1,20}+``) is tried in one way only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# The parser of `re` itself, so that what is measured is what will be run. Private by name; it
# has been there under this one since Python 3.11, and a test holds us to what we read of it.
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

LONGEST = 500
"""Characters of an expression, and of what it can match."""
MOST_WAYS = 2_000
"""Ways to try an expression at one place. ``[A-Z]{1,8}-\\d{1,8}(?:-\\d{1,4})?`` has 320."""
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
_AROUND_ONE = (
    _constants.POSSESSIVE_REPEAT,
    _constants.SUBPATTERN,
    _constants.ASSERT,
    _constants.ASSERT_NOT,
)
"""What is around one other expression, which comes last in it."""


class _RefusedError(Exception):
    """Why an expression is refused; the text is for the user."""


def check_pattern(expression: str) -> str:
    """What is wrong with an expression; empty if nothing is."""
    if len(expression) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    try:
        re.compile(expression)
        tree = _parser.parse(expression)
        _check(tree.getwidth(), _of_sequence(tree))
    except (re.error, OverflowError, RecursionError) as error:
        return f"{expression!r} is not a regular expression: {error}"
    except _RefusedError as refused:
        return f"{expression!r} {refused}"
    return ""


def _check(width: tuple[int, int], ways: int) -> None:
    shortest, longest = width
    if shortest == 0:
        raise _RefusedError("can match the empty text, and so every text")
    if longest > LONGEST:
        raise _RefusedError(f"can match more than {LONGEST} characters")
    if ways > MOST_WAYS:
        many = f"{ways:,}" if ways < 10**9 else "more than a thousand million"
        raise _RefusedError(
            f"could be slow: there are {many} ways to try it at one place of a text, and"
            f" {MOST_WAYS:,} may be. Lower the upper bounds of its repetitions, or write {{1,9}}+"
            " for {1,9} where a repetition never has to give back"
        )


def _of_sequence(parts: Iterable[tuple[Any, Any]]) -> int:
    ways = 1
    for operation, argument in parts:
        ways = min(ways * _of_part(operation, argument), 10**12)
    return ways


def _of_part(operation: Any, argument: Any) -> int:
    if operation in (_constants.GROUPREF, _constants.GROUPREF_EXISTS):
        raise _RefusedError("refers back to a group, which could be slow")
    if operation in _REPEATS:
        return _of_repeat(*argument)
    if operation is _constants.BRANCH:
        return sum(_of_sequence(branch) for branch in argument[1])
    if operation is _constants.POSSESSIVE_REPEAT:
        _check_bound(argument[1])
    if operation in _AROUND_ONE:
        return _of_sequence(argument[-1])
    return _of_sequence(argument) if operation is _constants.ATOMIC_GROUP else 1


def _of_repeat(low: int, high: int, inner: Any) -> int:
    _check_bound(high)
    once = _of_sequence(inner)
    # Each count is a way, and within it every turn may be taken in each of its own ways.
    return (int(high) - low + 1) * (once ** min(int(high), 64) if once > 1 else 1)


def _check_bound(high: Any) -> None:
    if high is _constants.MAXREPEAT:
        raise _RefusedError(
            "has a repetition without an upper bound: write {1,20} for +, {0,20} for *"
        )
