"""JSON that a response is: whether it satisfies a schema, and how many of its fields are right.

A program reads such a response, so it must be one JSON text and nothing else: no prose around it,
no code fence, no key twice, no NaN. It was written by a model and may be built to cost time:
length, depth and the work of checking are bounded. A ``pattern`` of the schema is the user's own
and runs as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

MOST_CHARACTERS: Final = 1_000_000
DEEPEST: Final = 64
_MOST_REFERENCES: Final = 10_000
"""Followed in one check. References can multiply: twenty lines can mean a billion steps."""
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


class NotJSON(ValueError):
    """The text is not one well-formed JSON text."""


def parse_json(text: str) -> Any:
    """The value of the one JSON text that ``text`` is.

    Raises:
        NotJSON: anything else, what is too long or nested too deep included.
    """
    if len(text) > MOST_CHARACTERS or is_too_deep(text):
        raise NotJSON("too long, or nested too deep")
    try:
        return json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_float=_finite
        )
    except NotJSON:
        raise
    except ValueError as error:  # of half a thousand kinds; also a number of 5,000 digits
        raise NotJSON(str(error)) from error


def is_too_deep(text: str) -> bool:
    """Whether brackets nest deeper than :data:`DEEPEST` outside strings. Decoders recurse, so this
    comes before them."""
    if text.count("[") + text.count("{") <= DEEPEST:  # nearly always, and told at once
        return False
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > DEEPEST:
            return True
    return False


def satisfies(text: str, schema: Mapping[str, Any]) -> bool | None:
    """Whether ``text`` is JSON of ``schema``. None where nobody can tell: the schema is none, or
    refers to what is not there. What takes too long to check does not satisfy it, nor a number
    that is out of range."""
    check = _checker(json.dumps(schema, sort_keys=True))
    if check is None:
        return None
    try:
        return check(parse_json(text))
    except NotJSON:
        return False


def field_agreement(response: str, reference: str) -> float | None:
    """The share of leaf fields on which two JSON texts agree, 0 to 1.

    Leaves are scalars and empty containers, named by their path; items of an array by position.
    The denominator has those of either text, so what is missing and what is added both cost.
    Texts agree up to white space, as in :func:`llamaduo.tasks.metrics.exact_match`. 0 where the
    response is not JSON, None where the reference is not.
    """
    try:
        expected = parse_json(reference)
    except NotJSON:
        return None
    try:
        given = parse_json(response)
    except NotJSON:
        return 0.0
    agreed, leaves = _agreement(given, expected)
    return agreed / leaves


# --- reading ------------------------------------------------------------------------------


def _unique_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) < len(items):
        raise NotJSON("a key stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise NotJSON(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise NotJSON("a number is out of range")
    return value


# --- fields -------------------------------------------------------------------------------


def _agreement(a: Any, b: Any) -> tuple[int, int]:
    """The leaves that ``a`` and ``b`` agree on, and those of either."""
    ours, theirs = _items(a), _items(b)
    if ours is None and theirs is None:
        return int(_plain(a) == _plain(b)), 1
    if ours is None or theirs is None or isinstance(a, dict) != isinstance(b, dict):
        return 0, _leaves(a) + _leaves(b)
    agreed = total = 0
    for key in ours.keys() | theirs.keys():
        both = key in ours and key in theirs
        one = ours[key] if key in ours else theirs[key]
        right, of = _agreement(one, theirs[key]) if both else (0, _leaves(one))
        agreed, total = agreed + right, total + of
    return agreed, total


def _items(value: Any) -> Mapping[Any, Any] | None:
    """The parts of a container by key or position; None for a leaf."""
    if isinstance(value, dict):
        return value or None
    return dict(enumerate(value)) or None if isinstance(value, list) else None


def _leaves(value: Any) -> int:
    items = _items(value)
    return 1 if items is None else sum(map(_leaves, items.values()))


def _plain(leaf: Any) -> Any:
    """What is compared of a leaf: 1 equals 1.0 but not true, and an empty text no empty list."""
    if isinstance(leaf, str):
        return (str, leaf.split())
    return (bool, leaf) if isinstance(leaf, bool) else leaf


# --- schemas ------------------------------------------------------------------------------


class _TooMuchWork(Exception):
    """A check that follows too many references."""


@lru_cache(maxsize=256)
def _checker(schema: str) -> Callable[[Any], bool | None] | None:
    """Whether a value satisfies ``schema`` (JSON), as a function; None where that cannot be told.

    What it makes fetches nothing, and gives up when it follows too much. It, too, returns None
    where that cannot be told: deep in the schema a reference may lead nowhere.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing.exceptions import Unresolvable

    followed = 0

    def follow() -> None:
        nonlocal followed
        followed += 1
        if followed > _MOST_REFERENCES:
            raise _TooMuchWork

    def check(value: Any) -> bool | None:
        nonlocal followed
        followed = 0
        try:
            return bool(validator.is_valid(value))
        except (_TooMuchWork, RecursionError, OverflowError):  # the last: 10**400, "multipleOf" 0.1
            return False
        except Unresolvable:
            return None

    try:
        read = json.loads(schema)
        validator_for(read).check_schema(read)
        validator = _validator(read, follow)
        validator.is_valid(None)
    except (SchemaError, Unresolvable, RecursionError, _TooMuchWork, AttributeError, TypeError):
        return None
    return check


def _validator(schema: Any, follow: Callable[[], None]) -> Any:
    from jsonschema import ValidationError
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    base: Any = validator_for(schema)

    def counted(word: str) -> Callable[..., Iterator[ValidationError]]:
        inner = base.VALIDATORS[word]

        def check(validator: Any, value: Any, instance: Any, around: Any) -> Iterator[Any]:
            follow()
            yield from inner(validator, value, instance, around) or ()

        return check

    def unique(_: Any, wanted: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
        # jsonschema compares each with each where items have no order.
        if wanted and isinstance(instance, list):
            forms = {json.dumps(_canonical(item), sort_keys=True) for item in instance}
            if len(forms) < len(instance):
                yield ValidationError("items are not unique")

    references = [w for w in ("$ref", "$dynamicRef", "$recursiveRef") if w in base.VALIDATORS]
    words = {word: counted(word) for word in references} | {"uniqueItems": unique}
    # Where a reference leads back to a $schema, jsonschema would go on without our words.
    inner = (
        {k: v for k, v in schema.items() if k != "$schema"} if isinstance(schema, dict) else schema
    )
    made: Any = extend
    return made(base, words)(inner, registry=Registry())


def _canonical(value: Any) -> Any:
    """``value`` such that what JSON Schema calls equal is written alike: 1.0 as 1."""
    if isinstance(value, dict):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
