"""A run belongs to one process, one version, and says what became of its files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.errors import RunError, RunIncompatible, RunLocked, UsageError
from llamaduo.storage.manifest import check_unchanged, mark_finished, read_manifest
from llamaduo.storage.run_directory import RunDirectory, opened, run_directory


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "-x", "a b", "x" * 65, "é"])
def test_names_that_could_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a run"):
        run_directory(tmp_path, name)


def test_a_new_run_gets_its_configuration_and_manifest(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "runs", "first")
    with opened(run, "1.0", "name: first\n") as manifest:
        assert manifest.stages == {}
    assert run.configuration.read_text() == "name: first\n"
    with opened(run, "1.0", "name: other\n"):
        assert run.configuration.read_text() == "name: first\n", "never overwritten"


def test_a_second_process_is_told_who_owns_the_run(tmp_path: Path) -> None:
    run = run_directory(tmp_path, "first")
    program = (
        "import sys; from pathlib import Path;"
        "from llamaduo.storage.run_directory import *;"
        "opened(RunDirectory(Path(sys.argv[1])), '1.0', '').__enter__()"
    )
    with opened(run, "1.0", ""):
        done = subprocess.run(
            [sys.executable, "-c", program, str(run.root)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert "RunLocked" in done.stderr
    assert "in use by another process" in done.stderr


def test_the_same_process_cannot_open_it_twice(tmp_path: Path) -> None:
    run = run_directory(tmp_path, "first")
    with opened(run, "1.0", ""), pytest.raises(RunLocked), opened(run, "1.0", ""):
        pass


def test_a_folder_that_is_not_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    with (
        pytest.raises(RunError, match="is not a run"),
        opened(RunDirectory(tmp_path / "thesis"), "1.0", ""),
    ):
        pass
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_another_format_names_the_version_that_can_read_it(tmp_path: Path) -> None:
    run = run_directory(tmp_path, "first")
    with opened(run, "1.0", ""):
        pass
    text = run.manifest.read_text().replace('"format": 2', '"format": 99')
    run.manifest.write_text(text.replace('"1.0"', '"7.3"'))
    with pytest.raises(RunIncompatible, match=r"llamaduo 7\.3 in run format 99"):
        read_manifest(run.manifest)


def test_a_finished_stage_notices_changed_and_missing_files(tmp_path: Path) -> None:
    run = run_directory(tmp_path, "first")
    with opened(run, "1.0", "") as manifest:
        (run.root / "folder").mkdir()
        (run.root / "folder" / "weights").write_text("1")
        marked = mark_finished(manifest, run.root, "finetune", [run.root / "folder"])
    finished = read_manifest(run.manifest).stages["finetune"]
    assert finished == marked.stages["finetune"]
    check_unchanged(finished, run.root, "finetune")
    (run.root / "folder" / "weights").write_text("2")
    with pytest.raises(RunError, match=r"weights was changed since stage 'finetune'"):
        check_unchanged(finished, run.root, "finetune")
    (run.root / "folder" / "weights").unlink()
    with pytest.raises(RunError, match="weights is missing"):
        check_unchanged(finished, run.root, "finetune")
