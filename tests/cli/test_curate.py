"""`llamaduo curate` on files of their own, and its dry run over a run's batch."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.app import main
from llamaduo.likeness.compiled import cache_folder
from llamaduo.records import Dropped, Pair
from llamaduo.storage.jsonl import read_records
from tests.verification.tampering import tree

TRAIN = [
    {"instruction": f"Name the {nth} largest city of {land} by its population", "response": land}
    for nth in ("second", "third", "fourth")
    for land in ("Spain", "France", "Italy", "Poland")
]
RIVERS = {"instruction": "Which rivers flow through Berlin?", "response": "Spree and Havel"}
MOUNTAIN = {"instruction": "How high is the mountain Zugspitze in metres?", "response": "2962"}
RAW: list[dict[str, Any]] = [
    RIVERS,
    RIVERS,
    {"instruction": "Explain photosynthesis to a child", "response": "As an AI, I cannot."},
    MOUNTAIN,
    {"messages": [{"role": "user", "content": "nobody answers"}]},
    {"instruction": "Сколько жителей в Москве сегодня?", "response": "13 millions"},
]
PAIRS = ("pairs.jsonl", "--against", "train.jsonl")
ARGUMENTS = ("curate", *PAIRS, "--test", "test.jsonl")


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "pairs.jsonl", RAW)
    write(tmp_path / "train.jsonl", TRAIN)
    write(tmp_path / "test.jsonl", [MOUNTAIN])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    return tmp_path


def llamaduo(*arguments: str) -> int:
    sys.argv = ["llamaduo", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_what_is_kept_and_why_the_rest_is_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llamaduo(*ARGUMENTS) == 0
    kept = read_records(folder / "pairs.kept.jsonl", Pair)
    dropped = read_records(folder / "pairs.dropped.jsonl", Dropped)
    assert [pair.instruction for pair in kept] == [RIVERS["instruction"]]
    assert [(drop.step, drop.lost_to is not None) for drop in dropped] == [
        ("exact duplicates", True),
        ("quality rules", False),
        ("decontamination", True),
        ("quality rules", False),
    ]
    out = capsys.readouterr().out
    assert "no assistant message" in out
    assert "pairs.jsonl:5" in out
    assert "Kept: 1 of 5 (20.0 %), in pairs.kept.jsonl" in out
    assert "Drops by language or script" in out
    assert "The train split beside the synthetic pairs" in out


def test_what_was_kept_can_be_curated_again(folder: Path) -> None:
    assert llamaduo(*ARGUMENTS) == 0
    again = ("curate", "pairs.kept.jsonl", *ARGUMENTS[2:])
    assert llamaduo(*again) == 0
    whole = (folder / "pairs.kept.jsonl").read_bytes()
    assert (folder / "pairs.kept.kept.jsonl").read_bytes() == whole
    assert llamaduo(*again, "--against", "pairs.kept.jsonl", "--out", "later") == 0
    assert not (folder / "later" / "pairs.kept.kept.jsonl").read_bytes()


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo(*ARGUMENTS, "--json", "--set", "curation.contamination=1.0") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pairs"], found["kept"]) == (5, 1)
    assert found["dropped"] == {"exact duplicates": 1, "quality rules": 2, "decontamination": 1}
    assert found["refused"] == [{"place": "pairs.jsonl:5", "reason": "no assistant message"}]
    assert found["by_language"]["cyrillic"] == {"quality rules": 1}
    assert found["portrait"]["unit"] == "words"
    assert Path(found["files"]["kept"]) == Path("pairs.kept.jsonl")


def test_settings_of_a_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "own.yaml").write_text(
        "coverage: {data: [x.jsonl], reference_source: human}\n"
        "curation: {max_response_words: 2, contamination: 0.9}\n"
    )
    assert llamaduo(*ARGUMENTS, "--config", "own.yaml", "--json") == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 0
    dropped = read_records(folder / "pairs.dropped.jsonl", Dropped)
    assert {drop.pair.reference_source for drop in dropped} == {"human"}


def test_lengths_in_tokens(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, "?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    made.enable_truncation(3)
    made.save("tokenizer.json")
    assert llamaduo(*ARGUMENTS, "--tokenizer", str(folder), "--json") == 0
    portrait = json.loads(capsys.readouterr().out)["portrait"]
    assert portrait["unit"] == "tokens"
    asked = len(RIVERS["instruction"])
    assert portrait["synthetic"]["instruction"]["lengths"]["mean"] == asked


def test_nothing_is_overwritten_unless_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pairs.dropped.jsonl").write_text("mine")
    assert llamaduo(*ARGUMENTS) == 2
    assert "pairs.dropped.jsonl is there already" in capsys.readouterr().err
    assert not (folder / "pairs.kept.jsonl").exists()
    assert llamaduo(*ARGUMENTS, "--force") == 0
    assert "mine" not in (folder / "pairs.dropped.jsonl").read_text()


def test_a_name_with_a_hash_is_a_name(folder: Path) -> None:
    (folder / "pairs.jsonl").rename(folder / "pairs#1.jsonl")
    assert llamaduo("curate", "pairs#1.jsonl", *ARGUMENTS[2:]) == 0
    assert (folder / "pairs#1.kept.jsonl").exists()


def test_without_held_out_pairs_it_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llamaduo("curate", *PAIRS) == 0
    assert "Nothing was decontaminated: --test FILE" in capsys.readouterr().out


def test_a_damaged_pair_cannot_command_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = {
        "id": "7",
        "messages": [{"role": "user", "content": "Hi"}],
        "response": "Hello",
        "reference_source": "human",
        "provenance": {"origin": "coverage", "source": "x"},
        "metadata": {"\x1b[2J": 5},
    }
    write(folder / "pairs.jsonl", [damaged])
    assert llamaduo("curate", *PAIRS) == 2
    error = capsys.readouterr().err
    assert "␛[2J" in error
    assert "\x1b[2J" not in error


def test_a_dry_run_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(folder)
    assert llamaduo(*ARGUMENTS, "--dry-run", "--set", "curation.novelty=0.75") == 0
    out = capsys.readouterr().out
    assert "0.75 (now)" in out
    assert "nothing was written" in out
    assert llamaduo(*ARGUMENTS, "--dry-run", "--json") == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert len(trials) == 15
    assert tree(folder) == before


def test_the_first_time_on_a_machine_says_that_it_compiles(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kernels that were imported before keep the cache that they have: nothing is compiled."""
    assert llamaduo(*ARGUMENTS) == 0
    capsys.readouterr()
    assert llamaduo(*ARGUMENTS, "--force") == 0
    assert "Compiling" not in capsys.readouterr().err
    monkeypatch.setenv("LLAMADUO_CACHE", str(folder / "cache"))
    cache_folder.cache_clear()
    try:
        assert llamaduo(*ARGUMENTS, "--force") == 0
    finally:
        cache_folder.cache_clear()
    assert "curate: Compiling, once on this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pairs.jsonl",), "--against is missing"),
        (("--against", "train.jsonl"), "--against needs PAIRS"),
        (("--test", "test.jsonl"), "--test needs PAIRS"),
        (("--force",), "--force needs PAIRS"),
        ((*PAIRS, "--name", "x"), "--name is about a run"),
        ((*PAIRS, "--rehearse"), "--rehearse is about a run"),
        ((*PAIRS, "--yes"), "--yes is about a run"),
        ((*PAIRS, "--dry-run", "--out", "x"), "--out does not fit --dry-run"),
        ((*PAIRS, "--set", "finetuning.epochs=2"), "changes nothing here"),
        ((*PAIRS, "--set", "curation.novelti=2"), "Did you mean novelty?"),
        ((*PAIRS, "--tokenizer", "nowhere"), "nowhere does not exist"),
        ((*PAIRS, "--tokenizer", "train.jsonl"), "train.jsonl is not a tokenizer"),
        (("pairs.jsonl", "--against", "nowhere.jsonl"), "nowhere.jsonl does not exist"),
        ((*PAIRS, "--against", "pairs.kept.jsonl"), "would be written, but is read from"),
        ((*PAIRS, "--out", "train.jsonl"), "train.jsonl cannot be written to"),
        (("empty.jsonl", "--against", "train.jsonl"), "empty.jsonl is empty"),
        (("torn.jsonl", "--against", "train.jsonl"), "torn.jsonl:1: not JSON"),
        (("pairs.jsonl", "--against", "empty.jsonl"), "empty.jsonl is empty"),
        ((), "llamaduo.yaml does not exist"),
        (("--dry-run",), "llamaduo.yaml does not exist"),
    ],
)
def test_what_does_not_fit_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    (folder / "empty.jsonl").touch()
    (folder / "torn.jsonl").write_text('{"instruction": ')
    before = tree(folder)
    assert llamaduo("curate", *arguments) == 2
    assert says in capsys.readouterr().err
    assert tree(folder) == before


def test_a_dry_run_over_the_batch_of_a_run(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    shutil.copytree(finished_run, tmp_path / "runs" / "small")
    shutil.copy(finished_run / "run.yaml", tmp_path / "llamaduo.yaml")
    text = (tmp_path / "llamaduo.yaml").read_text().splitlines(keepends=True)
    start = next(i for i, line in enumerate(text) if line.startswith("name:"))
    (tmp_path / "llamaduo.yaml").write_text("".join(text[start:]))
    monkeypatch.chdir(tmp_path)
    before = tree(tmp_path)
    assert llamaduo("curate", "--dry-run", "--json", "--name", "small") == 0
    found = json.loads(capsys.readouterr().out)
    kept = {trial["kept"] for trial in found["trials"] if trial["current"]}
    batch = tmp_path / "runs" / "small" / "cycles" / "000"
    assert kept == {len(read_records(batch / "synthetic.jsonl", Pair))}
    assert found["pairs"] == len(read_records(batch / "raw.jsonl", Pair))
    assert tree(tmp_path) == before
