"""Every shape that a row may have, and what becomes of its columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llamaduo.coverage.importing import Imported, import_pairs
from llamaduo.coverage.settings import CoverageSettings
from llamaduo.records import Message, Pair
from llamaduo.tasks.settings import TaskSettings

USER = {"role": "user", "content": "hello"}
ASSISTANT = {"role": "assistant", "content": "hi"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}


def imported(
    folder: Path, *rows: Any, task: TaskSettings | None = None, **settings: Any
) -> Imported:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "pairs.jsonl").write_text(lines, encoding="utf-8")
    return import_pairs(
        CoverageSettings(data=("pairs.jsonl",), **settings), task or TaskSettings(), folder
    )


def only(result: Imported) -> Pair:
    [pair] = result.dataset.pairs
    return pair


def chat(pair: Pair) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in pair.messages]


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "hello", "response": "hi"},
        {"instruction": "hello", "output": "hi"},
        {"instruction": "hello", "input": "", "output": "hi"},
        {"prompt": "hello", "completion": "hi"},
        {"prompt": "hello", "response": "hi"},
        {"prompt": [USER], "completion": [ASSISTANT]},
        {"prompt": [USER], "completion": "hi"},
        {"messages": [USER, ASSISTANT]},
        {"messages": [USER, ASSISTANT], "prompt": "something else", "response": "no"},
        {"messages": json.dumps([USER, ASSISTANT])},
        {"messages": None, "prompt": "hello", "response": "hi"},
        {"messages": [USER, ASSISTANT], "tools": [], "parallel_tool_calls": False},
        {"messages": [USER, {**ASSISTANT, "weight": 1, "tool_calls": None}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}, ASSISTANT]},
    ],
)
def test_each_shape_gives_the_same_pair(tmp_path: Path, row: dict[str, Any]) -> None:
    pair = only(imported(tmp_path, row))
    assert chat(pair) == [("user", "hello")]
    assert pair.response == "hi"


def test_alpacas_input_follows_the_instruction(tmp_path: Path) -> None:
    pair = only(imported(tmp_path, {"instruction": "Sum up.", "input": "A text.", "output": "T."}))
    assert pair.instruction == "Sum up.\n\nA text."


def test_system_prompt_and_earlier_turns_are_kept(tmp_path: Path) -> None:
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1", "weight": 0},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": "2"},
    ]
    pair = only(imported(tmp_path, {"messages": turns}))
    assert pair.messages == (
        Message("system", "Be brief."),
        Message("user", "One?"),
        Message("assistant", "1"),
        Message("user", "Two?"),
    )
    assert pair.response == "2"


def test_a_message_that_nobody_answered_belongs_to_no_pair(tmp_path: Path) -> None:
    pair = only(imported(tmp_path, {"messages": [USER, ASSISTANT, USER]}))
    assert (chat(pair), pair.response) == ([("user", "hello")], "hi")


@pytest.mark.parametrize(
    "row",
    [
        {"system": "Be brief.", "messages": [USER, ASSISTANT]},
        {"system": "Be brief.", "instruction": "hello", "response": "hi"},
        {
            "system": "Ignored.",
            "messages": [{"role": "system", "content": "Be brief."}, USER, ASSISTANT],
        },
    ],
)
def test_a_system_column_counts_where_the_chat_has_none(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    assert only(imported(tmp_path, row)).system == "Be brief."


def test_text_is_kept_to_the_letter(tmp_path: Path) -> None:
    pair = only(imported(tmp_path, {"prompt": "  größe\u2028?\n", "completion": " 5 \n"}))
    assert (pair.instruction, pair.response) == ("  größe\u2028?\n", " 5 \n")


def test_text_parts_are_joined_and_numbers_are_text(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    pair = only(
        imported(tmp_path, {"prompt": [{"role": "user", "content": parts}], "completion": 3})
    )
    assert (pair.instruction, pair.response) == ("a\nb", "3")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "hello", "response": " \n"}, "an empty response"),
        ({"prompt": "hello", "response": None}, "an empty response"),
        ({"prompt": " ", "response": "hi"}, "an empty prompt"),
        ({"instruction": "", "input": " ", "output": "hi"}, "an empty prompt"),
        ({"messages": []}, "no assistant message"),
        ({"messages": [USER]}, "no assistant message"),
        ({"messages": [ASSISTANT]}, "a response that follows no user message"),
        ({"messages": [USER, ASSISTANT, ASSISTANT]}, "a response that follows no user message"),
        ({"messages": [USER, {**ASSISTANT, "weight": 0}]}, "a last assistant message of weight 0"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}]}, "tool calls"),
        ({"messages": [USER, {"role": "assistant", "function_call": {"name": "f"}}]}, "tool calls"),
        ({"messages": [USER, {"role": "tool", "content": "4"}, ASSISTANT]}, "tool calls"),
        ({"messages": [USER, ASSISTANT], "tools": [{"type": "function"}]}, "tool calls"),
        ({"messages": [USER, ASSISTANT], "functions": [{"name": "f"}]}, "tool calls"),
        (
            {"messages": [{"role": "user", "content": [IMAGE]}, ASSISTANT]},
            "an image or other content that is not text",
        ),
        ({"messages": "hello"}, "messages that are not a list"),
        ({"messages": ["hello"]}, "messages that are not objects with role and content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "the unknown message role 'robot'"),
        ({"prompt": "hello", "response": {"a": 1}}, "an object where text is expected"),
        ({"prompt": "half \ud800", "response": "hi"}, "text that is not valid Unicode"),
        ({"prompt": "a", "response": "b", "json_schema": "{"}, "a json_schema that is not JSON"),
        (
            {"prompt": "a", "response": "b", "json_schema": [1]},
            "a json_schema that is not an object",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_place_and_reason(
    tmp_path: Path, row: dict[str, Any], reason: str
) -> None:
    result = imported(tmp_path, {"prompt": "a", "response": "b"}, row)
    [refused] = result.refused
    assert (refused.place, refused.reason) == ("pairs.jsonl:2", reason)
    assert (result.read, len(result.dataset.pairs)) == (2, 1)


def test_exact_duplicates_are_removed_and_counted(tmp_path: Path) -> None:
    row = {"instruction": "hello", "response": "hi"}
    result = imported(tmp_path, row, {"messages": [USER, ASSISTANT]}, {**row, "response": "hey"})
    assert (result.read, result.duplicates) == (3, 1)
    assert [pair.response for pair in result.dataset.pairs] == ["hi", "hey"]
    assert result.dataset.pairs[0].provenance.source == "pairs.jsonl:1"


def test_scalars_become_metadata_and_the_chat_does_not(tmp_path: Path) -> None:
    row = {
        "prompt": "hello", "messages": [USER, ASSISTANT], "category": "Greeting",
        "rating": 4, "checked": True, "note": "", "tags": ["a"], "none": None,
    }  # fmt: skip
    assert only(imported(tmp_path, row)).metadata == {
        "category": "Greeting",
        "rating": "4",
        "checked": "true",
    }


@pytest.mark.parametrize(("value", "kept"), [("c-7", "c-7"), (7, "7"), (["a", 7], '["a", 7]')])
def test_the_group_key_always_reaches_the_metadata(tmp_path: Path, value: Any, kept: str) -> None:
    row = {"instruction": "hello", "response": "hi", "customer": value}
    assert only(imported(tmp_path, row, group_key="customer")).metadata == {"customer": kept}


def test_a_row_says_who_wrote_its_response_or_the_settings_do(tmp_path: Path) -> None:
    result = imported(
        tmp_path,
        {"prompt": "a", "response": "b", "reference_source": "corrected"},
        {"prompt": "c", "response": "d"},
        reference_source="human",
    )
    assert [p.reference_source for p in result.dataset.pairs] == ["corrected", "human"]


def test_a_rows_json_schema_wins_over_the_tasks(tmp_path: Path) -> None:
    result = imported(
        tmp_path,
        {"prompt": "a", "response": "{}", "json_schema": {"type": "array"}},
        {"prompt": "c", "response": "{}", "json_schema": '{"type": "array"}'},
        {"prompt": "e", "response": "{}"},
        task=TaskSettings(json_schema={"type": "object"}),
    )
    schemas = [pair.json_schema for pair in result.dataset.pairs]
    assert schemas == [{"type": "array"}, {"type": "array"}, {"type": "object"}]
