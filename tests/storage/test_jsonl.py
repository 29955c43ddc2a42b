"""Records survive a round trip, and damage is named by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import RunError
from llamaduo.records import Message, Pair, Provenance, pair_id
from llamaduo.storage.jsonl import (
    append_records,
    dump_record,
    read_record,
    read_records,
    write_record,
    write_records,
)


def pair(prompt: str, response: str = "yes") -> Pair:
    messages = (Message("system", "Be brief."), Message("user", prompt))
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source="human",
        provenance=Provenance(origin="coverage", source="pairs.jsonl:1"),
        json_schema={"type": "object", "properties": {"a": {"type": "string"}}},
        metadata={"category": "x"},
    )


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(texts, texts)))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("records") / "pairs.jsonl"
    pairs = tuple(pair(*row) for row in rows)
    write_records(path, pairs)
    assert read_records(path, Pair) == pairs
    assert len(path.read_bytes().splitlines()) == len(pairs)


def test_one_record(tmp_path: Path) -> None:
    write_record(tmp_path / "pair.json", pair("one"))
    assert read_record(tmp_path / "pair.json", Pair) == pair("one")


def test_a_torn_last_line_is_skipped_only_when_allowed(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    append_records(path, [pair("one")])
    with path.open("a") as file:
        file.write(dump_record(pair("two"))[:20])
    assert read_records(path, Pair, torn_tail=True) == (pair("one"),)
    with pytest.raises(RunError, match=r"pairs\.jsonl, line 2"):
        read_records(path, Pair)


def test_appending_after_a_torn_line_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    append_records(path, [pair("one")])
    with path.open("a") as file:
        file.write('{"id": "ab')
    append_records(path, [pair("three")])
    assert read_records(path, Pair, torn_tail=True) == (pair("one"), pair("three"))


def test_a_wrong_record_is_an_error_even_in_the_tail(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"id": 3}\n')
    with pytest.raises(RunError, match="line 1: not a Pair"):
        read_records(path, Pair, torn_tail=True)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nothing\.jsonl is missing"):
        read_records(tmp_path / "nothing.jsonl", Pair)
    with pytest.raises(RunError, match=r"nothing\.json is missing"):
        read_record(tmp_path / "nothing.json", Pair)
