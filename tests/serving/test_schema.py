"""Schemas from clients: held to where they can be, and never a way to hurt the server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llamaduo.serving.schema import ANY_OBJECT, UnusableSchema, check_schema, shortfall

TICKET = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "bug"]},
        "priority": {"$ref": "#/$defs/level"},
        "pattern": {"type": "string"},
    },
    "required": ["category"],
    "additionalProperties": False,
    "$defs": {"level": {"type": "integer", "minimum": 1, "maximum": 3}},
}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"category": "bug", "priority": 3}', None),
        (' {"category": "bug"}\n', None),
        ('{"category": "bug", "priority": 4}', "at priority: 4"),
        ('{"category": "none"}', "at category"),
        ("{}", "'category' is a required property"),
        ('{"category": "bug", "more": 1}', "more"),
        ("[]", "at the top"),
        ("", "not JSON"),
        ('{"category": "bug"', "not JSON"),
        ('{"category": "bug"} and so on', "not JSON"),
        ("NaN", "not JSON"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_answers_are_checked(text: str, says: str | None) -> None:
    check_schema(TICKET)
    found = shortfall(text, TICKET)
    assert found is None if says is None else says in (found or "")


def test_any_object_is_any_object() -> None:
    assert shortfall("{}", ANY_OBJECT) is None
    assert shortfall("7", ANY_OBJECT) is not None


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"$ref": "file:///etc/passwd"}, "leads out"),
        ({"allOf": [{"$dynamicRef": "https://example.com"}]}, "leads out"),
        ({"$ref": 7}, "leads out"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"properties": {"a": {"$id": "https://example.com/a"}}}, "at the top"),
        ({"patternProperties": {"(a+)+$": {}}}, "patternProperties"),
        ({"items": {"pattern": "(a+)+$"}}, "pattern"),
        ({"type": "text"}, "at type"),
        ({"properties": []}, "not a JSON schema"),
        ({"enum": ["x" * 100_000]}, "longer than"),
    ],
)
def test_what_cannot_be_held_to_is_refused(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(UnusableSchema, match=says):
        check_schema(schema)


def test_names_and_values_are_not_words_of_the_schema() -> None:
    check_schema({"properties": {"pattern": {"const": {"$ref": "https://example.com"}}}})


def test_a_deep_schema_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"not": deep}
    with pytest.raises(UnusableSchema, match="nested too deep"):
        check_schema(deep)


def test_references_that_multiply_are_given_up() -> None:
    """Forty lines that mean 2⁴⁰ steps."""
    levels: dict[str, Any] = {
        f"l{i}": {"allOf": [{"$ref": f"#/$defs/l{i + 1}"}] * 2} for i in range(40)
    }
    schema = {"$ref": "#/$defs/l0", "$defs": levels | {"l40": {}}}
    check_schema(schema)
    assert "takes too long" in (shortfall("1", schema) or "")
    endless = {"$ref": "#"}
    check_schema(endless)
    assert "takes too long" in (shortfall(json.dumps("a"), endless) or "")
