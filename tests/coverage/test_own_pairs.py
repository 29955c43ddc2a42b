"""Pairs that llamaduo wrote: splits, batches, what was curated. They can be read again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llamaduo.coverage.importing import import_pairs, read_pairs
from llamaduo.coverage.rows import RefusedError, Row, read_pair, read_with_provenance
from llamaduo.coverage.settings import CoverageSettings
from llamaduo.records import Message, Pair, Provenance, pair_id
from llamaduo.storage.jsonl import dump_record, write_records
from llamaduo.tasks.settings import TaskSettings

SETTINGS, TASK = CoverageSettings(data=("pairs.jsonl",)), TaskSettings()
MESSAGES = (Message("system", "Be brief."), Message("user", "2 + 2?"))
OWN = Pair(
    id=pair_id(MESSAGES, "4"),
    messages=MESSAGES,
    response="4",
    reference_source="human",
    provenance=Provenance(origin="synthetic", source="gpt", cycle=1, seeds=("a",), call="c"),
    metadata={"customer": "x"},
)


def row(pair: Pair, **changes: Any) -> Row:
    return Row("pairs.jsonl:7", json.loads(dump_record(pair)) | changes)


def test_a_pair_is_read_as_it_was_written() -> None:
    assert read_with_provenance(row(OWN), SETTINGS, TASK) == OWN


def test_an_import_says_where_it_read_it() -> None:
    source = Provenance(origin="coverage", source="pairs.jsonl:7")
    assert read_pair(row(OWN), SETTINGS, TASK) == replace(OWN, provenance=source)


def test_an_edited_pair_gets_the_id_of_what_it_says_now() -> None:
    assert read_with_provenance(row(OWN, response="5"), SETTINGS, TASK).id == pair_id(MESSAGES, "5")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"response": 5}, "a damaged pair of llamaduo (response: "),
        ({"messages": []}, "a response that follows no user message"),
        ({"response": "\ud800"}, "text that is not valid Unicode"),
    ],
)
def test_a_damaged_one_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_with_provenance(row(OWN, **changes), SETTINGS, TASK)
    assert str(refused.value).startswith(reason)


def test_an_empty_response_is_for_curation_to_drop_but_not_to_import() -> None:
    assert read_with_provenance(row(OWN, response=" "), SETTINGS, TASK).response == " "
    with pytest.raises(RefusedError, match="an empty response"):
        read_pair(row(OWN, response=" "), SETTINGS, TASK)


def test_other_rows_are_read_as_ever() -> None:
    other = Row("a.jsonl:1", {"instruction": "Hi", "response": "Hello"})
    assert read_with_provenance(other, SETTINGS, TASK) == read_pair(other, SETTINGS, TASK)


def test_columns_of_others_may_have_the_same_names() -> None:
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    fields = {"id": "7", "messages": chat, "response": "Hello", "provenance": "a forum"}
    found = read_with_provenance(Row("a.jsonl:1", fields), SETTINGS, TASK)
    assert (found.instruction, found.response) == ("Hi", "Hello")
    assert found.metadata["provenance"] == "a forum"


def test_equal_pairs_are_all_read_and_imported_once(tmp_path: Path) -> None:
    write_records(tmp_path / "pairs.jsonl", [OWN, OWN])
    assert len(read_pairs(SETTINGS, TASK, tmp_path).pairs) == 2
    imported = import_pairs(SETTINGS, TASK, tmp_path)
    assert (len(imported.dataset.pairs), imported.duplicates, imported.read) == (1, 1, 2)
