"""The strict parser: one object or a reason, and never anything else."""

from __future__ import annotations

import json
from contextlib import suppress
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.parsing import (
    MAX_CHARACTERS,
    MalformedReply,
    parse_object,
    salvage_objects,
)
from llamaduo.tasks.json_fields import DEEPEST

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)

MALFORMED = {
    # nothing, or no object
    "": "empty",
    "   \n\t ": "empty",
    "```json\n```": "empty",
    "```\n\n```": "empty",
    "null": "not an object but null",
    "true": "not an object but a boolean",
    "1": "not an object but a number",
    "1.5": "not an object but a number",
    '"{}"': "not an object but a string",
    "[]": "not an object but an array",
    '[{"a": 1}]': "not an object but an array",
    "I cannot help with that.": "not JSON",
    ":": "not JSON",
    "Thought process:": "not JSON",
    "undefined": "not JSON",
    # prose around it
    'Here is the JSON: {"a": 1}': "not JSON",
    '{"a": 1} I hope this helps!': "not JSON: Extra data",
    'Sure!\n```json\n{"a": 1}\n```': "not JSON",
    '```json\n{"a": 1}\n```\nDone.': "not JSON",
    '```python\n{"a": 1}\n```': "not JSON",
    '```json {"a": 1}```': "not JSON",
    '``` \n{"a": 1}\n``': "not JSON",
    '`{"a": 1}`': "not JSON",
    '~~~\n{"a": 1}\n~~~': "not JSON",
    '```json\n```json\n{"a": 1}\n```\n```': "not JSON",
    '<json>{"a": 1}</json>': "not JSON",
    'json\n{"a": 1}': "not JSON",
    '{"a": 1};': "not JSON: Extra data",
    '({"a": 1})': "not JSON",
    '\ufeff{"a": 1}': "not JSON",
    # more than one
    '{"a": 1}{"a": 2}': "not JSON: Extra data",
    '{"a": 1}\n{"a": 2}': "not JSON: Extra data",
    '{"a": 1}, {"a": 2}': "not JSON: Extra data",
    '{{"a": 1}}': "not JSON",
    # torn
    "{": "not JSON",
    '{"a"': "not JSON",
    '{"a":': "not JSON",
    '{"a": 1': "not JSON",
    '{"a": 1,': "not JSON",
    '{"a": "b': "not JSON: Unterminated string",
    '{"a": "b\\': "not JSON",
    '{"a": "\\u00': "not JSON",
    '{"a": [1, 2': "not JSON",
    '{"a": {"b": 1}': "not JSON",
    '```json\n{"a": 1': "not JSON",
    "}": "not JSON",
    # other dialects
    "{'a': 1}": "not JSON",
    "{a: 1}": "not JSON",
    '{"a": 1,}': "not JSON",
    '{"a": [1, 2,]}': "not JSON",
    '{"a": True}': "not JSON",
    '{"a": None}': "not JSON",
    '{"a": 1 // one\n}': "not JSON",
    '{"a": 1 /* one */}': "not JSON",
    '{"a": 01}': "not JSON",
    '{"a": +1}': "not JSON",
    '{"a": .5}': "not JSON",
    '{"a": 5.}': "not JSON",
    '{"a": 0x1F}': "not JSON",
    '{"a": 1_000}': "not JSON",
    '{"a": "b" "c"}': "not JSON",
    '{"a": "b\nc"}': "not JSON: Invalid control character",
    '{"a": "\t"}': "not JSON: Invalid control character",
    '{"a": "\\x41"}': "not JSON: Invalid \\escape",
    '{"a" 1}': "not JSON",
    '{"a": 1 "b": 2}': "not JSON",
    '{"a";1}': "not JSON",
    "{1: 2}": "not JSON",
    '{"a": \u201cb\u201d}': "not JSON",
    # what JSON allows and we do not
    '{"a": 1, "a": 2}': "duplicate key 'a'",
    '{"a": {"b": 1, "b": 1}}': "duplicate key 'b'",
    '{"a": 1, "\\u0061": 2}': "duplicate key 'a'",
    '{"a": NaN}': "NaN is not JSON",
    '{"a": Infinity}': "Infinity is not JSON",
    '{"a": -Infinity}': "-Infinity is not JSON",
    '{"a": 1e999}': "number out of range",
    '{"a": -1e999}': "number out of range",
    '{"a": "\\ud800"}': "half a surrogate pair",
    '{"\\udc00": 1}': "half a surrogate pair",
    '{"a": "\ud83d"}': "half a surrogate pair",
    '{"a": ' + "9" * 5000 + "}": "not JSON",
    '{"a": ' + "[" * DEEPEST + "]" * DEEPEST + "}": "nested deeper",
    '{"a":' * 100_000: "nested deeper",
    "[" * 100_000: "nested deeper",
    " " * (MAX_CHARACTERS + 1): "longer than",
}


@pytest.mark.parametrize(
    ("text", "reason"), MALFORMED.items(), ids=[repr(text[:40]) for text in MALFORMED]
)
def test_malformed_replies_have_a_reason(text: str, reason: str) -> None:
    with pytest.raises(MalformedReply) as caught:
        parse_object(text)
    assert caught.value.reason.startswith(reason)
    assert str(caught.value) == caught.value.reason
    assert len(caught.value.reason) < 200


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' \r\n\t{"a": 1}\n\n',
        '```json\n{"a": 1}\n```',
        '```JSON\r\n{"a": 1}\r\n```',
        '\n```\n{"a": 1}```\n',
        '```json  \n\n  {"a": 1}\n  ```',
    ],
)
def test_a_fence_and_white_space_are_tolerated(text: str) -> None:
    assert parse_object(text) == {"a": 1}


@pytest.mark.parametrize(
    "text", ["```json\n" + " " * 200_000 + "x", "```" + " " * 200_000, "```\n" + " \n" * 99_999]
)
def test_a_fence_is_looked_for_in_linear_time(text: str) -> None:
    began = perf_counter()
    with pytest.raises(MalformedReply):
        parse_object(text)
    assert perf_counter() - began < 5


@pytest.mark.parametrize(
    "text", ["```json\n```", "```json\n``", '```json\n{"a": 1}', '{"a": 1}```']
)
def test_half_a_fence_is_none(text: str) -> None:
    with pytest.raises(MalformedReply):
        parse_object(text)


def test_a_fence_inside_a_string_is_only_text() -> None:
    text = json.dumps({"a": "```json\n{}\n```"})
    assert parse_object(text) == parse_object(f"```\n{text}\n```") == {"a": "```json\n{}\n```"}


def test_the_deepest_nesting_that_is_allowed() -> None:
    depth = DEEPEST - 1
    assert parse_object('{"a": ' + "[" * depth + "]" * depth + ', "b": "[[[{{{"}')


@given(OBJECTS, st.booleans(), st.sampled_from([None, 2]))
def test_every_object_comes_back(value: dict[str, Any], escape: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=escape, indent=indent)
    assert parse_object(text) == value
    assert parse_object(f"```json\n{text}\n```") == value


@given(st.text() | st.text('{}[]":,\\ud8019eE.-NaIfty `\n'))
def test_nothing_but_malformed_reply_is_raised(text: str) -> None:
    with suppress(MalformedReply):
        assert isinstance(parse_object(text), dict)


@given(OBJECTS, st.data())
def test_a_damaged_object_is_an_object_or_malformed(value: dict[str, Any], data: Any) -> None:
    text = json.dumps(value)
    place = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:place] + data.draw(st.text(max_size=3)) + text[place + 1 :]
    with suppress(MalformedReply):
        json.dumps(parse_object(damaged), allow_nan=False, ensure_ascii=False).encode()


# --- salvage ------------------------------------------------------------------------------

PAIRS = st.lists(st.fixed_dictionaries({"instruction": TEXT, "response": TEXT}), max_size=4)


@given(PAIRS, st.booleans(), st.sampled_from([None, 1]), st.data())
def test_every_cut_gives_the_objects_that_are_whole(
    pairs: list[dict[str, str]], escape: bool, indent: int | None, data: Any
) -> None:
    text = json.dumps({"note": "x", "pairs": pairs}, ensure_ascii=escape, indent=indent)
    cut = data.draw(st.integers(0, len(text)))

    saved = salvage_objects(text[:cut], "pairs")

    assert saved == pairs[: len(saved)]
    rest = json.dumps({"note": "x", "pairs": pairs[: len(saved) + 1]}, ensure_ascii=escape,
                      indent=indent)  # fmt: skip
    end_of_next = len(rest) - len("]}" if indent is None else "\n ]\n}")
    assert len(saved) == len(pairs) or cut < end_of_next


@given(st.text() | st.text('{}[]":,\\ud801pairs`\n'), st.text(max_size=5))
def test_salvage_never_raises(text: str, key: str) -> None:
    assert all(isinstance(found, dict) for found in salvage_objects(text, key))


@pytest.mark.parametrize(
    ("text", "saved"),
    [
        ('{"pairs": [{"a": 1}, {"a": 2}]}', [1, 2]),
        ('{"pairs": [{"a": 1}, {"a": 2', [1]),
        ('{"pairs": [{"a": 1}, {"a": "torn \\', [1]),
        ('{"pairs": [{"a": 1}, {"a": "torn \\u00', [1]),
        ('{"pairs": [{"a": 1}, {"a": "}]}', [1]),
        ('{"pairs": [{"a": 1},', [1]),
        ('{"pairs": [{"a": 1} and so on', [1]),
        ('```json\n{"pairs": [{"a": 1}, {"a"', [1]),
        ('{"other": {"pairs": [{"a": 9}]}, "pairs": [{"a": 1}, {', [1]),
        ('{"other": "\\"pairs\\": [{\\"a\\": 9}]", "pairs": [{"a": 1}', [1]),
        ('{"pairs": ["a", 1, null, [{"a": 9}], {"a": 1}', [1]),
        ('{"pairs": [{"a": 8, "a": 9}, {"a": NaN}, {"a": "\\ud800"}, {"a": 1}', [1]),
        ('{"pairs": [{"a": {"a": 9}', []),
        ('{"pairs": {"a": 1}}', []),
        ('{"pairs": [', []),
        ('{"pairs"', []),
        ('{"other": [{"a": 1}]}', []),
        ('[{"a": 1}]', []),
        ('Here: {"pairs": [{"a": 1}]}', []),
        ('{"pairs": [' + "[" * 100_000, []),
        (" " * (MAX_CHARACTERS + 1), []),
        ("", []),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_salvage_by_example(text: str, saved: list[int]) -> None:
    assert [found["a"] for found in salvage_objects(text, "pairs")] == saved
