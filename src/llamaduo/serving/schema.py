"""The JSON schema that an answer must have: checked before it is asked for, and against the answer.

A schema comes from a client, so it may not make the server fetch anything, nor work for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from referencing import Registry
from referencing.exceptions import Unresolvable

MOST_CHARACTERS: Final = 100_000
_MOST_REFERENCES = 10_000
"""Followed in one check. References can multiply: twenty lines can mean a billion steps."""
_NOT_BOUNDED = ("pattern", "patternProperties")
"""Regular expressions: some of them take years on a short text, and hold the interpreter."""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_CONTAINERS = ("properties", "$defs", "definitions", "dependentSchemas")
"""Their keys are names, not words of the schema language."""
_DATA = ("const", "enum", "default", "examples")


class UnusableSchema(ValueError):
    """A schema that cannot be held to; the message says why, in a sentence."""


class _TooMuchWork(Exception):
    """A check that follows too many references."""


ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}


def check_schema(schema: Mapping[str, Any]) -> None:
    """Whether answers can be checked against ``schema``.

    Raises:
        UnusableSchema: it is no JSON schema, refers outside of itself, or has what is not
            supported.
    """
    try:
        if len(json.dumps(schema)) > MOST_CHARACTERS:
            raise UnusableSchema(f"The schema is longer than {MOST_CHARACTERS} characters.")
        for word, value in _words(schema):
            _check_word(word, value, schema)
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = error.json_path.removeprefix("$").removeprefix(".") or "its top"
        raise UnusableSchema(f"It is not a JSON schema: at {place}: {error.message}.") from error
    except RecursionError as error:
        raise UnusableSchema("The schema is nested too deep.") from error


def _words(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every word of the schema language in ``schema`` with its value, those within it included."""
    if isinstance(schema, list):
        for item in schema:
            yield from _words(item)
    if not isinstance(schema, dict):
        return
    for word, value in schema.items():
        yield word, value
        if word in _CONTAINERS and isinstance(value, dict):
            yield from _words(list(value.values()))
        elif word not in _DATA:
            yield from _words(value)


def _check_word(word: str, value: Any, schema: Mapping[str, Any]) -> None:
    if word in _NOT_BOUNDED:
        raise UnusableSchema(f"{word} is not supported: use enum, or length limits.")
    if word == "$id" and value != schema.get("$id"):
        raise UnusableSchema("$id is supported at the top of a schema only.")
    if word not in _REFERENCES:
        return
    if not isinstance(value, str) or not value.startswith("#"):
        raise UnusableSchema(f"{word} {value!r} leads out of the schema; only #/… is followed.")
    try:
        Registry().resolver_with_root(_resource(schema)).lookup(value)
    except Unresolvable as error:
        raise UnusableSchema(f"{word} {value!r} leads nowhere in the schema.") from error


def shortfall(text: str, schema: Mapping[str, Any]) -> str | None:
    """Why ``text`` is not JSON of ``schema``, in a few words; None if it is."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        return "it is nested too deep"
    except ValueError as error:
        return f"it is not JSON: {error}"
    try:
        wrong = next(iter(_validator(schema).iter_errors(value)), None)
    except (_TooMuchWork, RecursionError):
        return "checking it takes too long: the schema's references multiply"
    if wrong is None:
        return None
    place = wrong.json_path.removeprefix("$").removeprefix(".") or "the top"
    return f"at {place}: {wrong.message[:200]}"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """A validator of ``schema`` that fetches nothing, and gives up when it follows too much."""
    followed = 0

    def follow(
        validator: Any, reference: Any, instance: Any, inner: Any
    ) -> Iterator[ValidationError]:
        nonlocal followed
        followed += 1
        if followed > _MOST_REFERENCES:
            raise _TooMuchWork
        yield from Draft202012Validator.VALIDATORS["$ref"](validator, reference, instance, inner)

    extend: Any = validators.extend
    return extend(Draft202012Validator, {"$ref": follow})(schema, registry=Registry())  # type: ignore[no-any-return]


def _resource(schema: Mapping[str, Any]) -> Any:
    from referencing.jsonschema import DRAFT202012

    return DRAFT202012.create_resource(schema)
