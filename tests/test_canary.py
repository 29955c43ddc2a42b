"""The search for the service key of the suite finds it wherever a test lets it go."""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.canary import CANARY, files_with_key

LEAKS = """
import logging
import pytest
from tests.canary import CANARY

def test_keeps(tmp_path): (tmp_path / "key").write_text(CANARY)
def test_prints(): print(CANARY)
def test_logs(): logging.getLogger("a").warning("sent %s", CANARY)
@pytest.fixture
def talker():
    yield
    print(CANARY)
def test_prints_at_its_end(talker): pass
def test_reads(capsys):
    print(CANARY)
    capsys.readouterr()
@pytest.mark.parametrize("text", [CANARY])
def test_named(text): pass
@pytest.fixture(scope="session")
def folder(tmp_path_factory): return tmp_path_factory.mktemp("whole_run")
def test_writes(folder): (folder / "ledger.sqlite").write_text(f"x{CANARY}x")
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder where the search that goes on around these tests does not look."""
    with TemporaryDirectory() as name:
        yield Path(name)


def test_files_with_the_key_are_found(folder: Path) -> None:
    for number in range(3):
        encoded = base64.b64encode(f"{'u' * number}:{CANARY}:x".encode())
        (folder / f"basic-{number}").write_bytes(encoded)
    (folder / "runs").mkdir()
    (folder / "runs" / "log").write_text(f"Bearer {CANARY}\n")
    (folder / f"cache-{CANARY}").touch()
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("CREATE TABLE attempts (reply BLOB)")
        ledger.execute("INSERT INTO attempts VALUES (?)", (f"{{{CANARY}}}".encode(),))
    found = {path.name for path in files_with_key(folder)}
    assert found == {*(path.name for path in folder.iterdir()), "log"} - {"runs"}


def test_its_home_and_what_has_none_of_it_are_not(folder: Path) -> None:
    (folder / "key").write_text(CANARY)
    (folder / "model.safetensors").write_text(CANARY)
    (folder / "log").write_text(CANARY[:-1])
    assert files_with_key(folder) == []


def test_a_session_with_leaks_fails_and_names_them(folder: Path) -> None:
    (folder / "test_leaks.py").write_text(LEAKS)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.canary", "-p", "no:cacheprovider"),
            *("-n", "1", "-rfE", "--basetemp", folder / "tmp", folder),
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    shown = ended.stdout.replace(CANARY, "KEY").replace(str(folder), "FOLDER")
    assert ended.returncode == 1, shown
    for line in (
        "ERROR test_leaks.py::test_prints - The service key is in: Captured stdout call.",
        "ERROR test_leaks.py::test_logs - The service key is in: Captured log call.",
        "ERROR test_leaks.py::test_prints_at_its_end - The service key is in: Captured stdout tear",
        "FAILED test_leaks.py::test_reads - AssertionError: The service key is in what the test",
        "ERROR test_leaks.py::test_named[KEY] - The service key is in: name of the test.",
        "ERROR test_leaks.py::test_writes - Failed: The service key is in FOLDER/tmp/popen-gw0/",
    ):
        assert line in shown
    assert "whole_run0/ledger.sqlite.\n" in shown
    assert "1 failed, 6 passed, 5 errors" in shown
