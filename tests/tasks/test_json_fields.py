"""JSON responses: strict reading, schemas, the share of fields that are right."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.tasks.json_fields import NotJSON, field_agreement, parse_json, satisfies

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
TICKET = {
    "type": "object",
    "properties": {"queue": {"enum": ["billing", "other"]}, "urgent": {"type": "boolean"}},
    "required": ["queue"],
    "additionalProperties": False,
}
HOSTILE = [
    "[" * 100_000,
    '{"a":' * 100_000,
    '"' + "\\" * 100_001,
    "9" * 100_000,
    "1e999999999",
    "NaN",
    "-Infinity",
    '{"a": 1, "a": 2}',
    "\ufeff{}",
    "{}" + " " * 1_000_000,
    "\0",
    '"\n"',
]


# --- reading ------------------------------------------------------------------------------


@given(JSON)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("text", [*HOSTILE, "", "yes", "```json\n{}\n```", "Here: {}", "{} {}"])
def test_what_is_not_one_json_text_is_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(NotJSON):
        parse_json(text)
    assert time.process_time() - start < 2


@given(st.text(st.sampled_from('{}[]",:\\ 1aeu-.\n'), max_size=60))
def test_nothing_but_not_json_is_raised(text: str) -> None:
    try:
        value = parse_json(text)
    except NotJSON:
        return
    assert parse_json(json.dumps(value)) == value


# --- schemas ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ['{"queue": "billing"}', ' {"queue":"other","urgent":true}\n'])
def test_a_response_satisfies_its_schema(text: str) -> None:
    assert satisfies(text, TICKET) is True


@pytest.mark.parametrize(
    "text", ["billing", '{"queue": "sales"}', "{}", '{"queue": "other", "note": ""}', *HOSTILE]
)
def test_a_response_does_not(text: str) -> None:
    assert satisfies(text, TICKET) is False


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nothing"},
        {"$ref": "#/$defs/absent"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#"},
        {"properties": []},
    ],
)
def test_by_a_schema_that_is_none_nothing_can_be_told(schema: dict[str, Any]) -> None:
    assert satisfies('{"a": 1}', schema) is None


@pytest.mark.parametrize("where", ["#/$defs/absent", "https://example.com/schema.json"])
def test_by_what_leads_nowhere_deep_in_a_schema_nothing_can_be_told(where: str) -> None:
    schema = {"required": ["a"], "properties": {"a": {"$ref": where}}}
    assert satisfies('{"a": 1}', schema) is None
    assert satisfies("{}", schema) is False


def test_a_number_that_is_out_of_range_satisfies_nothing_that_divides_it() -> None:
    assert satisfies("1" + "0" * 400, {"multipleOf": 0.5}) is False


def test_the_schema_says_which_draft_it_is() -> None:
    draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1}
    exclusive = draft4 | {"exclusiveMinimum": True}
    assert satisfies("1", draft4) is True
    assert satisfies("1", exclusive) is False


def test_references_may_lead_back_as_often_as_the_text_is_deep() -> None:
    tree = {"type": "object", "additionalProperties": {"$ref": "#"}}
    assert satisfies('{"a": ' * 30 + "{}" + "}" * 30, tree) is True
    assert satisfies('{"a": ' * 30 + "1" + "}" * 30, tree) is False


@pytest.mark.parametrize("draft", ["2020-12", None])
def test_a_check_that_multiplies_is_given_up(draft: str | None) -> None:
    doubling: dict[str, Any] = {
        "anyOf": [{"type": "number"}, {"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}],
        "not": {"const": "x"},
    }
    if draft:
        doubling["$schema"] = f"https://json-schema.org/draft/{draft}/schema"
    start = time.process_time()
    assert satisfies("[" * 60 + '"x"' + "]" * 60, doubling) is False
    assert time.process_time() - start < 5


def test_many_items_are_told_apart_at_once() -> None:
    unique = {"type": "array", "uniqueItems": True}
    items = [{"a": i} for i in range(20_000)]
    start = time.process_time()
    assert satisfies(json.dumps(items), unique) is True
    assert satisfies(json.dumps([*items, {"a": 7.0}]), unique) is False
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("text", "is_unique"),
    [("[1, true]", True), ("[1, 1.0]", False), ("[0, false, null]", True), ('["1", 1]', True)],
)
def test_items_are_equal_as_json_schema_says(text: str, is_unique: bool) -> None:
    assert satisfies(text, {"uniqueItems": True}) is is_unique


# --- fields -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "share"),
    [
        ('{"name": "Ann", "age": 7, "tags": ["a", "b"]}', 1),
        ('{"tags": ["a", "b"], "age": 7.0, "name": " Ann "}', 1),
        ('{"name": "Bob", "age": 7, "tags": ["a", "b"]}', 3 / 4),
        ('{"name": "Ann", "age": 7}', 2 / 4),
        ('{"name": "Ann", "age": 7, "tags": ["a", "b"], "more": {"x": 1, "y": []}}', 4 / 6),
        ('{"name": "Ann", "age": 7, "tags": ["b", "a"]}', 2 / 4),
        ('{"name": "Ann", "age": true, "tags": {"0": "a"}}', 1 / 5),
        ("[]", 0),
        ("Ann, 7", 0),
        ('{"name": "Ann", "age": 7, "tags": ["a", "b"]', 0),
    ],
)
def test_missing_and_added_fields_cost_like_wrong_ones(response: str, share: float) -> None:
    reference = '{"name": "Ann", "age": 7, "tags": ["a", "b"]}'
    assert field_agreement(response, reference) == pytest.approx(share)


@pytest.mark.parametrize(
    "many", [list(range(50_000)), {str(i): i for i in range(50_000)}], ids=["items", "keys"]
)
def test_fields_that_nobody_asked_for_are_counted_at_once(many: Any) -> None:
    start = time.process_time()
    reference = "[-1]" if isinstance(many, list) else '{"a": 1}'
    assert field_agreement(json.dumps(many), reference) == 0
    assert time.process_time() - start < 5


def test_by_a_reference_that_is_not_json_nothing_can_be_told() -> None:
    assert field_agreement("{}", "none") is None


def test_a_leaf_equals_only_one_of_its_own_type() -> None:
    assert field_agreement("true", "1") == 0
    assert field_agreement("[]", "{}") == 0
    assert field_agreement('""', "[]") == 0
    assert field_agreement("{}", "{}") == 1


@given(JSON, JSON)
def test_agreement_is_a_share_and_the_same_from_either_side(a: Any, b: Any) -> None:
    ours, theirs = json.dumps(a), json.dumps(b)
    found = field_agreement(ours, theirs)
    assert found is not None
    assert 0 <= found <= 1
    assert found == field_agreement(theirs, ours)
    assert field_agreement(ours, ours) == 1


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=1, max_size=6))
def test_each_wrong_field_costs_its_share(fields: dict[str, int]) -> None:
    wrong = dict.fromkeys(list(fields)[:1], "wrong")
    found = field_agreement(json.dumps(fields | wrong), json.dumps(fields))
    assert found == pytest.approx(1 - 1 / len(fields))
