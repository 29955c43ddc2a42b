"""`llamaduo judges`: what judges are worth, and a person's scores beside theirs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.app import main
from llamaduo.evaluation.scores import panel_values
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Judgement, Judgements
from llamaduo.storage.jsonl import read_records
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.verification.verify import verify
from tests.verification.tampering import tree

JUDGE = "openai-chat:rehearsal"


@pytest.fixture(autouse=True)
def run(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only run in the working directory."""
    copy = shutil.copytree(finished_run, tmp_path / "runs" / "small")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return Path(copy)


def judges(*arguments: str) -> int:
    sys.argv = ["llamaduo", "judges", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def records(run: Path) -> dict[str, object]:
    """Every file with its hash, but what SQLite leaves beside the ledger while it is read."""
    return {name: found for name, found in tree(run).items() if "sqlite-" not in name}


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def filled(path: str, run: Path, where: str, *, leave: int = 0) -> None:
    """Fill in all but ``leave`` lines like someone who agrees with the judge in everything."""
    found = Judgements(read_records(run / where / "judgements.jsonl", Judgement), ())
    own = panel_values(found, JudgingSettings())
    told = lines(path)
    for line in told[leave:]:
        line["precision"] = own[line["response_id"]]["precision"]
    Path(path).write_text("".join(json.dumps(line) + "\n" for line in told), encoding="utf-8")


def test_a_sheet_is_written_filled_in_and_read(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = records(run)
    assert judges("--cycle", "base", "--sheet", "human.jsonl", "--responses", "5") == 0
    assert "5 responses of the base model" in capsys.readouterr().out
    sheet = lines("human.jsonl")
    assert len(sheet) == 5
    assert all(line["precision"] is None and line["similarity"] is None for line in sheet)
    assert not any("reason" in line or "score" in line for line in sheet)

    filled("human.jsonl", run, "base", leave=1)
    assert judges("--cycle", "base", "--human", "human.jsonl", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unfilled"] == 1
    assert {one["judge"] for one in found["agreement"]} == {JUDGE, "panel"}
    assert {(one["metric"], one["responses"]) for one in found["agreement"]} == {("precision", 4)}
    assert all(one["spearman"] in (None, pytest.approx(1.0)) for one in found["agreement"])

    assert judges("--cycle", "base", "--human", "human.jsonl") == 0
    shown = capsys.readouterr().out
    assert "Agreement with a person" in shown
    assert "Filled in: 4 of 5 lines." in shown
    assert records(run) == before


def test_without_options_it_is_the_report_on_the_judges(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judges("--cycle", "0") == 0
    assert "The judges of cycle 0" in capsys.readouterr().out
    assert judges("--cycle", "0", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["set"] == "cycles/000"
    assert found["judges"] == json.loads((run / "cycles/000/judges.json").read_text())


def test_a_sheet_that_is_there_is_never_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("human.jsonl").write_text("hours of work\n")
    assert judges("--sheet", "human.jsonl") == 2
    assert "is there already" in capsys.readouterr().err
    assert Path("human.jsonl").read_text() == "hours of work\n"


def test_a_bad_value_names_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert judges("--cycle", "base", "--sheet", "human.jsonl", "--responses", "3") == 0
    told = lines("human.jsonl")
    told[1]["precision"] = "quite good"
    Path("human.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    assert judges("--cycle", "base", "--human", "human.jsonl") == 2
    assert "human.jsonl, line 2: precision is not a number from 0 to 100" in " ".join(
        capsys.readouterr().err.split()
    )


def test_the_texts_of_another_set_are_told_apart(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judges("--cycle", "service", "--sheet", "human.jsonl") == 0
    filled("human.jsonl", run, "service")
    assert judges("--cycle", "base", "--human", "human.jsonl") == 2
    assert "scores nothing that the judges of base scored" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_set_that_is_not_judged_has_no_sheet(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    del manifest["stages"]["base/judge"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert judges("--cycle", "base", "--sheet", "human.jsonl") == 2
    assert "no finished judging of base" in " ".join(capsys.readouterr().err.split())
    assert not Path("human.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--responses", "3"), "Add --sheet FILE"),
        (("--sheet", "a", "--human", "b"), "Give one of them"),
        (("--human", "missing.jsonl"), "No such file"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judges(*arguments) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_looking_changes_nothing_that_is_verified(run: Path) -> None:
    judges("--cycle", "base", "--sheet", "human.jsonl")
    assert all(check.ok for check in verify(RunDirectory(run)))
