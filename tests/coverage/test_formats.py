"""Every file format, read from a real file of that format."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llamaduo.coverage.formats import read_rows
from llamaduo.coverage.importing import Imported, import_pairs
from llamaduo.coverage.settings import CoverageSettings
from llamaduo.errors import DataError, ExtraMissing
from llamaduo.tasks.settings import TaskSettings

ROWS = [
    {"instruction": "Größe?", "response": "five,\nor six"},
    {"instruction": "colour?", "response": 'a "deep" blue'},
]
CHAT = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}]


def load(root: Path, *names: str) -> Imported:
    return import_pairs(CoverageSettings(data=names), TaskSettings(), root)


def write_jsonl(path: Path) -> None:
    path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")


def write_jsonl_with_bom_and_blank_lines(path: Path) -> None:
    text = "\r\n\r\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
    path.write_bytes(text.encode("utf-8-sig"))


def write_array(path: Path) -> None:
    path.write_text(json.dumps(ROWS, indent=2), encoding="utf-8")


CSV = 'instruction, response\nGröße?,"five,\nor six"\ncolour?,"a ""deep"" blue"\n'


def write_csv(path: Path) -> None:
    path.write_text(CSV, encoding="utf-8")


def write_csv_as_spreadsheets_do(path: Path) -> None:
    text = 'instruction;response\r\nGröße?;"five,\nor six"\r\n\r\ncolour?;"a ""deep"" blue"\r\n'
    path.write_bytes(text.encode("utf-8-sig"))


def write_tsv(path: Path) -> None:
    lines = 'instruction\tresponse\nGröße?\t"five,\nor six"\ncolour?\t"a ""deep"" blue"\n'
    path.write_text(lines, encoding="utf-8")


def write_parquet(path: Path, rows: list[dict[str, Any]] = ROWS) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)


def write_saved_folder(path: Path, rows: list[dict[str, Any]] = ROWS) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(rows).save_to_disk(str(path))


@pytest.mark.parametrize(
    ("name", "write", "places"),
    [
        ("pairs.jsonl", write_jsonl, (1, 2)),
        ("pairs.json", write_jsonl, (1, 2)),
        ("pairs.ndjson", write_jsonl_with_bom_and_blank_lines, (1, 3)),
        ("pairs.json", write_array, (2, 6)),
        ("pairs.csv", write_csv, (2, 4)),
        ("pairs.CSV", write_csv_as_spreadsheets_do, (2, 5)),
        ("pairs.tsv", write_tsv, (2, 4)),
        ("pairs.parquet", write_parquet, (1, 2)),
        ("saved", write_saved_folder, (1, 2)),
    ],
)
def test_each_format_gives_the_same_pairs(
    tmp_path: Path, name: str, write: Callable[[Path], None], places: tuple[int, int]
) -> None:
    write(tmp_path / name)
    pairs = load(tmp_path, name).dataset.pairs
    assert [(pair.instruction, pair.response) for pair in pairs] == [
        (row["instruction"], row["response"]) for row in ROWS
    ]
    assert [pair.provenance.source for pair in pairs] == [f"{name}:{place}" for place in places]


@pytest.mark.parametrize(
    ("name", "write"), [("chat.parquet", write_parquet), ("chat", write_saved_folder)]
)
def test_columnar_chats_keep_their_shape(
    tmp_path: Path, name: str, write: Callable[[Path, list[dict[str, Any]]], None]
) -> None:
    # A column of structs gives every message every key, mostly as null.
    tool = {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]}
    write(tmp_path / name, [*CHAT, tool])
    result = load(tmp_path, name)
    assert [pair.response for pair in result.dataset.pairs] == ["b"]
    assert [refused.reason for refused in result.refused] == ["tool calls"]


def test_an_array_may_be_empty_of_space_or_full_of_it(tmp_path: Path) -> None:
    row = json.dumps(ROWS[0])
    (tmp_path / "tight.json").write_text(f"[{row}]")
    (tmp_path / "wide.json").write_text(f"\n [ \n\n{row}\n , \n{json.dumps(ROWS[1])} ]\n\n")
    sources = [p.provenance.source for p in load(tmp_path, "tight.json", "wide.json").dataset.pairs]
    assert sources == ["tight.json:1", "wide.json:6"]


def test_several_files_are_one_dataset_and_paths_start_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_jsonl(tmp_path / "in" / "a.jsonl")
    write_csv(tmp_path / "b.csv")
    result = load(tmp_path / "in", "a.jsonl", "../b.csv")
    assert (result.read, result.duplicates, len(result.dataset.pairs)) == (4, 2, 2)


def test_an_absolute_path_leaves_only_its_name_behind(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "pairs.jsonl")
    result = load(Path("elsewhere"), str(tmp_path / "pairs.jsonl"))
    assert result.dataset.pairs[0].provenance.source == "pairs.jsonl:1"


def test_a_saved_dict_of_splits_asks_which(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict({"train": rows, "dev": rows}).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match="several splits: dev, train") as caught:
        load(tmp_path, "saved/")
    assert "saved/dev" in caught.value.hint
    assert len(load(tmp_path, "saved/train").dataset.pairs) == 2


@pytest.mark.parametrize(
    ("package", "name", "command"),
    [
        ("pyarrow", "pairs.parquet", "pip install 'llamaduo[parquet]'"),
        ("datasets", "saved", "pip install 'llamaduo[local]'"),
        ("datasets", "hf:owner/name", "pip install 'llamaduo[local]'"),
    ],
)
def test_a_missing_package_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, name: str, command: str
) -> None:
    write_parquet(tmp_path / "pairs.parquet")
    write_saved_folder(tmp_path / "saved")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissing) as caught:
        load(tmp_path, name)
    assert caught.value.hint == command


def test_the_hub_out_of_reach_is_one_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"^hf:owner/no-such-name: cannot be loaded") as caught:
        load(tmp_path, "hf:owner/no-such-name")
    assert "#SPLIT" in caught.value.hint


def test_a_csv_field_may_be_longer_than_the_csv_module_likes(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(f"prompt,completion\n{'x' * 200_000},yes\n")
    (row,) = read_rows("long.csv", tmp_path)
    assert len(row.fields["prompt"]) == 200_000
