"""How a run redacts is fixed once its data is imported, and an old run goes on as it began."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamaduo.config import Config, parse_config, read_resolved
from llamaduo.errors import RunError, RunIncompatible
from llamaduo.records import CoverageDataset
from llamaduo.run import own_run
from llamaduo.stages import collect
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.verification.verify import verify

PROMPT = "Write to ada@lovelace.org"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    row = {"prompt": PROMPT, "response": "done"}
    (tmp_path / "data.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path


def configuration(redaction: str = "") -> Config:
    return parse_config(f"coverage: {{data: data.jsonl}}\n{redaction}", "llamaduo.yaml")


def imported(root: Path, config: Config) -> CoverageDataset:
    directory = RunDirectory(root / "runs" / "main")
    with own_run(config, directory, root=root, cache=root / "cache") as run:
        return collect(run)


def from_before_redaction(root: Path) -> Path:
    """``run.yaml`` of a run that has no such section."""
    imported(root, configuration("redaction: {mode: off}"))
    path = root / "runs" / "main" / "run.yaml"
    text = path.read_text()
    section = "redaction:\n  mode: off\n  patterns: {}\n"
    assert section in text
    path.write_text(text.replace(section, ""))
    return path


def test_it_is_on_without_a_word(root: Path) -> None:
    (pair,) = imported(root, configuration()).pairs
    assert pair.instruction.startswith("Write to ")
    assert "lovelace" not in pair.instruction
    assert (root / "runs/main/redaction.jsonl").stat().st_mode & 0o777 == 0o600


def test_off_leaves_the_data_and_no_table(root: Path) -> None:
    (pair,) = imported(root, configuration("redaction: {mode: off}")).pairs
    assert pair.instruction == PROMPT
    assert not (root / "runs/main/redaction.jsonl").exists()


def test_a_run_from_before_goes_on_without(root: Path) -> None:
    path = from_before_redaction(root)
    for _ in range(2):
        (pair,) = imported(root, configuration()).pairs
        assert pair.instruction == PROMPT
        assert read_resolved(path)[0].redaction.mode == "off"


@pytest.mark.parametrize("section", ["{mode: on}", "{mode: strict}"])
def test_a_run_from_before_cannot_be_told_to_redact(root: Path, section: str) -> None:
    from_before_redaction(root)
    with pytest.raises(RunIncompatible, match=r"redaction\.mode: the run has 'off'"):
        imported(root, configuration(f"redaction: {section}"))


@pytest.mark.parametrize(
    "section", ["{mode: off}", "{mode: strict}", r"{patterns: {number: 'N-\d{6}'}}"]
)
def test_it_is_fixed_once_the_data_is_imported(root: Path, section: str) -> None:
    imported(root, configuration("redaction: {mode: on}"))
    with pytest.raises(RunIncompatible, match="redaction"):
        imported(root, configuration(f"redaction: {section}"))


def test_leaving_the_section_out_later_changes_nothing(root: Path) -> None:
    first = imported(root, configuration("redaction: {mode: strict}"))
    assert imported(root, configuration()) == first
    assert read_resolved(root / "runs/main/run.yaml")[0].redaction.mode == "strict"


def test_a_table_that_is_lost_is_not_drawn_again(root: Path) -> None:
    imported(root, configuration())
    (root / "runs/main/redaction.jsonl").unlink()
    with pytest.raises(RunError, match=r"redaction\.jsonl is missing"):
        imported(root, configuration())
    assert not (root / "runs/main/redaction.jsonl").exists()


def test_verification_names_a_pair_that_has_personal_data(root: Path) -> None:
    (pair,) = imported(root, configuration()).pairs
    directory = RunDirectory(root / "runs" / "main")
    path = directory.coverage / "accepted.jsonl"
    path.write_text(path.read_text().replace("done", "grace@hopper.org"))
    checks = {check.name: check for check in verify(directory)}
    assert f"pair {pair.id} has personal data in it (email)" in checks["import"].detail
    assert "grace" not in checks["import"].detail
