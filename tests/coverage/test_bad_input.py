"""Bad coverage data: each gives one clear message with its place and the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.coverage.importing import import_pairs
from llamaduo.coverage.settings import CoverageSettings
from llamaduo.coverage.splitting import split
from llamaduo.errors import DataError
from llamaduo.tasks.settings import TaskSettings

GOOD = b'{"prompt": "a", "response": "b"}\n'
EMPTY_RESPONSE = b'{"prompt": "a", "response": ""}\n'
TOOLS = b'{"messages": [{"role": "tool", "content": "4"}]}\n'


def failure(root: Path, name: str) -> DataError:
    with pytest.raises(DataError) as caught:
        import_pairs(CoverageSettings(data=(name,)), TaskSettings(), root)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert str(root) not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", b"", "p.jsonl is empty: it has no rows."),
        ("p.jsonl", b"\xef\xbb\xbf\n \n", "p.jsonl is empty: it has no rows."),
        ("p.json", b"[ ]", "p.json is empty: it has no rows."),
        ("p.csv", b"", "p.csv is empty: it has no rows."),
        ("p.csv", b"prompt,response\n", "p.csv is empty: it has no rows."),
        ("p.jsonl", GOOD + b"\noops\n", "p.jsonl:3: not JSON: Expecting value at column 1."),
        ("p.jsonl", GOOD + GOOD[:20], "p.jsonl:2: not JSON: Unterminated string"),
        ("p.jsonl", GOOD + b"[1]\n", "p.jsonl:2: not a JSON object."),
        ("p.jsonl", b'{"a": ' * 100_000, "p.jsonl:1: not readable as JSON"),
        ("p.jsonl", b'{"a": ' + b"9" * 5_000 + b"}", "p.jsonl:1: not readable as JSON"),
        ("p.json", b'[{"a": 1},\n\n{"a" 2}]', "p.json:3: not JSON: Expecting ':' delimiter"),
        ("p.json", b'[{"a": 1}', "p.json:1: not JSON: Expecting ',' or ']'"),
        ("p.json", b'[{"a": 1},]', "p.json:1: not JSON"),
        ("p.json", b"[", "p.json:1: not JSON"),
        ("p.json", b'[{"a": 1}]\nmore', "p.json:2: not JSON: Text after the array"),
        ("p.json", b'[\n"a"]', "p.json:2: not a JSON object."),
        ("p.jsonl", GOOD + b'{"prompt": "caf\xe9"}\n', "p.jsonl:2: not UTF-8 (byte 0xe9)."),
        ("p.csv", "prompt,response\n".encode("utf-16"), "p.csv is UTF-16, not UTF-8."),
        ("p.jsonl", b'{"q": "a", "a": "b"}', "p.jsonl:1: no known columns; found a, q."),
        ("p.jsonl", b"{}", "p.jsonl:1: no known columns; found none."),
        ("p.csv", b"question,answer\na,b\n", "p.csv:2: no known columns; found answer, question."),
        ("p.csv", b"prompt,response\na,b\na,b,c\n", "p.csv:3: 3 cells under 2 column names."),
        ("p.csv", b"prompt,prompt\na,b\n", "p.csv:1: a column name appears twice."),
        ("p.csv", b'prompt,response\na,"b\nc\n', "p.csv:2: not CSV"),
        ("p.parquet", b"PAR", "p.parquet: not a Parquet file"),
        ("p.docx", b"PK", "p.docx: .docx is not a known format."),
        ("pairs", b"x", "pairs: a name without an ending is not a known format."),
        (
            "p.jsonl",
            b'{"prompt": "a", "response": "b", "reference_source": "me"}',
            "p.jsonl:1: reference_source is 'me'.",
        ),
        (
            "p.jsonl",
            EMPTY_RESPONSE + TOOLS + TOOLS,
            "All 3 rows were refused: tool calls: 2; an empty response: 1.",
        ),
    ],
)
def test_a_bad_file_gives_one_message_with_its_place(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert failure(tmp_path, name).message.startswith(message)


def test_unknown_columns_come_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(b'{"q": 1}')
    assert "messages, or instruction and response" in failure(tmp_path, "p.jsonl").hint


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    error = failure(tmp_path, "gone.jsonl")
    assert error.message == "gone.jsonl does not exist."
    assert str(tmp_path) in error.hint


def test_a_folder_that_datasets_did_not_save(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "not one that datasets saved" in failure(tmp_path, "folder").message


def test_a_saved_folder_that_is_damaged(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{")
    (tmp_path / "saved" / "dataset_info.json").write_text("{")
    assert "datasets cannot load it" in failure(tmp_path, "saved").message


def test_a_one_line_file_imports_but_cannot_be_split(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(GOOD)
    settings = CoverageSettings(data=("p.jsonl",))
    dataset = import_pairs(settings, TaskSettings(), tmp_path).dataset
    with pytest.raises(DataError, match="The split leaves no test pair: 1 pair in 1 cluster"):
        split(dataset, settings)
