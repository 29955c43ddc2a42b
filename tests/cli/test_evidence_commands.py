"""`llamaduo verify`, `show` and `compare` as a person and as a program use them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.app import main
from llamaduo.cli.session import find_run
from llamaduo.errors import UsageError
from llamaduo.records import Response
from llamaduo.storage.jsonl import read_records
from tests.reporting.runs import whole_run
from tests.verification.tampering import edit_json, edit_lines, seal, tree

NASTY = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202egnp.exe\x7f\x08done"


@pytest.fixture(autouse=True)
def folder(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one run in it, ``runs/small``."""
    shutil.copytree(finished_run, tmp_path / "runs" / "small")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def llamaduo(*arguments: str) -> int:
    sys.argv = ["llamaduo", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def read_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


# --- which run ----------------------------------------------------------------------------


def test_a_run_by_path_by_name_or_because_it_is_the_only_one(folder: Path) -> None:
    assert find_run("runs/small").root == Path("runs/small")
    assert find_run("small").root == Path("runs/small")
    assert find_run(str(folder / "runs" / "small")).root == folder / "runs" / "small"
    assert find_run(None).root == Path("runs/small")


def test_a_run_that_is_not_there_or_not_the_only_one(folder: Path) -> None:
    with pytest.raises(UsageError, match="looked for other and runs/other") as refused:
        find_run("other")
    assert refused.value.hint == "Runs in runs: small."
    with pytest.raises(UsageError, match=r"looked for \.\./runs"):
        find_run("../runs")
    whole_run(folder / "runs" / "second")
    with pytest.raises(UsageError, match="Which run") as unclear:
        find_run(None)
    assert "second, small" in unclear.value.hint


def test_no_run_at_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder / "runs")
    assert llamaduo("show", "run") == 2
    assert "There is no run in runs" in capsys.readouterr().err


# --- verify -------------------------------------------------------------------------------


def test_a_run_that_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(folder / "runs")
    assert llamaduo("verify", "small") == 0
    shown = capsys.readouterr()
    assert "base: judgements" in shown.out
    assert re.search(r"base: judgements +\d+ judgements +against its raw reply", shown.out)
    assert "checks hold" in shown.out
    assert "nothing in a run is signed" in shown.out
    assert "DIFFERS" not in shown.out
    assert tree(folder / "runs") == before


def test_a_run_that_was_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder / "runs" / "small"
    edit_lines(
        run / "base/judgements.jsonl", lambda rows: rows[0]["marks"]["precision"].update(score=97)
    )
    seal(run)
    assert llamaduo("verify", "small") == 1
    shown = capsys.readouterr().out
    assert "DIFFERS   base: judgements" in shown
    assert "precision is 97, in its reply" in shown
    assert "2 of 29 checks differ" in shown
    assert llamaduo("verify", "small", "--json") == 1
    checks = read_json(capsys)
    assert [*checks[0]] == ["name", "ok", "checked", "unit", "against", "detail"]
    assert [c["name"] for c in checks if not c["ok"]] == ["base/judgements", "base/scores"]


def test_a_run_that_is_unfinished(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder / "runs" / "small"
    (run / "verdict.json").unlink()
    shutil.rmtree(run / "bundle")
    assert llamaduo("verify", "small") == 0
    assert "unfinished: it was verified as far as it got" in capsys.readouterr().out


def test_a_run_of_another_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_json(folder / "runs/small/manifest.json", lambda found: found.update(format=99))
    assert llamaduo("verify", "small") == 1
    assert "run format 99" in capsys.readouterr().err


def test_a_folder_without_a_manifest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "runs/small/manifest.json").unlink()
    assert llamaduo("verify", "small") == 1
    assert "manifest.json is missing" in capsys.readouterr().err


# --- show ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("run", "STOPPED, TARGET MISSED"),
        ("cycle --cycle 1", "Cycle 1"),
        ("cycle --cycle base", "Base model"),
        ("cycle --cycle service", "Service LLM"),
        ("cycle --cycle 1", "The judges of cycle 1"),
        ("run", "P-Match, %"),
        ("run", "Metrics that cost nothing"),
        ("responses --limit 3", "3 of 16 responses; --limit 0 shows all."),
        ("judgements --cycle final --limit 1", "Judgements of the final split"),
        ("pairs --split test", "Category and priority?"),
        ("pairs --split synthetic --contains nowhere", "nothing fits"),
        ("dropped", "Dropped by curation"),
        ("calls --stage judge --limit 2", "All of them:"),
        ("calls --state failed", "No call fits"),
    ],
)
def test_tables(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("show", *words.split()) == 0
    shown = capsys.readouterr()
    assert says in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(
    "words",
    ["responses", "judgements", "pairs", "pairs --split synthetic", "dropped", "calls"],
)
def test_json_is_an_array_of_all_unless_limited(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llamaduo("show", *words.split(), "--json") == 0
    every = read_json(capsys)
    assert llamaduo("show", *words.split(), "--json", "--limit", "2") == 0
    assert read_json(capsys) == every[:2]


def test_json_records_are_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("show", "responses", "--cycle", "base", "--json") == 0
    found = {one["id"]: one for one in read_json(capsys)}
    stored = read_records(folder / "runs/small/base/responses.jsonl", Response)
    assert found.keys() == {one.id for one in stored}
    for one in stored:
        assert found[one.id]["text"] == one.text
        assert found[one.id]["scores"].keys() == {"similarity", "precision"}
        assert found[one.id]["prompt"][-1]["role"] == "user"
    assert llamaduo("show", "run", "--json") == 0
    whole = read_json(capsys)
    assert whole["verdict"]["outcome"] == "stopped"
    assert [*whole["sets"]] == [
        *("Base model", "Cycle 0", "Cycle 1", "Service LLM"),
        *("Final split", "Service LLM, final split"),
    ]
    assert whole["sets"]["Service LLM"]["scores"]["panel"]["precision"]["interval"]
    assert whole["sets"]["Cycle 1"]["judges"]["judges"]
    assert whole["sets"]["Cycle 1"]["breakdown"]["slices"]
    assert llamaduo("show", "cycle", "--cycle", "0", "--json") == 0
    assert read_json(capsys)["curation"]["kept"] > 0


def test_one_response_in_full(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = read_records(folder / "runs/small/base/responses.jsonl", Response)[0]
    assert llamaduo("show", "responses", "--cycle", "base", "--id", first.id) == 0
    shown = capsys.readouterr().out
    for part in ("Prompt: user", "Reference (human)", "Response:", "Judgement 1 by", "Raw reply"):
        assert part in shown
    assert '"finish_reason": "stop"' in shown
    assert llamaduo("show", "responses", "--cycle", "base", "--id", first.id, "--json") == 0
    whole = read_json(capsys)
    assert whole["judgements"][0]["ledger"]["reply"]["object"] == "chat.completion"
    assert whole["judgements"][0]["ledger"]["key"] == whole["judgements"][0]["call"]


def test_one_call_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("show", "calls", "--limit", "1", "--json") == 0
    key = read_json(capsys)[0]["key"]
    assert llamaduo("show", "calls", "--key", key[:16]) == 0
    shown = capsys.readouterr().out
    assert f"Call {key}" in shown
    assert "Request: user" in shown
    assert "Raw reply" in shown
    assert llamaduo("show", "calls", "--key", "zz") == 2
    assert "begins with 'zz'" in capsys.readouterr().err


def test_text_of_a_model_cannot_command_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "runs/small/base/responses.jsonl"
    edit_lines(path, lambda rows: rows[0].update(text=NASTY))
    first = read_records(path, Response)[0]
    commands = (
        ("show", "responses", "--cycle", "base", "--limit", "0"),
        ("show", "responses", "--cycle", "base", "--id", first.id),
        ("show", "responses", "--cycle", "base", "--json"),
        ("verify", "small"),
    )
    for command in commands:
        llamaduo(*command)
        shown = capsys.readouterr().out
        assert not {c for c in shown if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0}
        assert "\u202e" not in shown
    assert llamaduo("show", "responses", "--cycle", "base", "--json", "--contains", "owned") == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("responses nothere", "There is no run 'nothere'"),
        ("responses --cycle 9", "no responses of cycle 9"),
        ("responses --id nothere", "begins with 'nothere'"),
        ("pairs --split dev", "dev"),
        ("responses --metric recall", "recall"),
        ("responses --judge nobody", "The judges are: openai-chat:"),
        ("judgements --judge nobody", "No judge has a name with 'nobody' in it"),
        ("pairs --split train --cycle 0", "The train pairs are of no cycle"),
        ("pairs --split synthetic --cycle 9", "no curated batch after cycle 9"),
        ("dropped --cycle 9", "It has one after: 0."),
    ],
)
def test_wrong_usage(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("show", *words.split()) == 2
    assert says in capsys.readouterr().err


def in_a_terminal(columns: int, *arguments: str) -> str:
    """What a command writes to a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 500, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "llamaduo", *arguments]
    written = bytearray()
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes any more
            while block := os.read(ours, 65536):
                written += block
    os.close(ours)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    return re.sub(r"\r+\n?", "\n", text)  # progress goes back to the beginning of its line


def test_a_terminal_too_narrow_for_a_table_gets_paragraphs() -> None:
    shown = in_a_terminal(40, "show", "responses", "--cycle", "base", "--limit", "1")
    assert "\n  Similarity: " in shown
    assert "\n  Reference: " in shown
    assert max(map(len, shown.splitlines())) <= 40


def test_a_terminal_too_narrow_for_all_metrics_gets_a_table_for_each() -> None:
    shown = in_a_terminal(80, "show", "run")
    scores = shown[shown.index("Scores by cycle") : shown.index("Mean score from 0 to 100")]
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    heads = [line.split() for line in scores.splitlines() if line.lstrip().startswith("Set ")]
    assert [head[1] for head in heads] == ["Prompts", "mean", "mean"]
    figure, interval = re.search(r"Base model +([0-9.]+) .*\n +\[([0-9., ]+)\]", scores).groups()  # type: ignore[union-attr]
    low, high = map(float, interval.split(", "))
    assert low <= float(figure) <= high


def test_a_narrow_terminal_keeps_the_counts_of_a_verification() -> None:
    lines = in_a_terminal(60, "verify").splitlines()
    assert max(map(len, lines)) <= 60
    assert any(re.fullmatch(r"ok +base: judgements +\d+ judgements", line) for line in lines)
    assert any(line.startswith("          The target in run.yaml") for line in lines)


# --- compare ------------------------------------------------------------------------------


def test_two_cycles(capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("compare", "small:base", "runs/small:1") == 0
    shown = capsys.readouterr().out
    assert "small, the base model" in shown
    assert "Prompt by prompt" in shown
    assert llamaduo("compare", "small:0", "small:1", "--json") == 0
    assert read_json(capsys)["same_prompts"] is True


def test_other_prompts_are_said_before_any_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole_run(folder / "runs" / "other")
    assert llamaduo("compare", "small", "other") == 0
    first = capsys.readouterr().out.lstrip().splitlines()[0]
    assert first.startswith("The test splits differ, so the scores are not comparable")


def test_a_side_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("compare", "small", "small:7") == 2
    assert "no responses of cycle 7" in capsys.readouterr().err
    assert llamaduo("compare", "small", "none:1") == 2
    assert "There is no run 'none'" in capsys.readouterr().err
