"""A file is the old version or the new one."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.storage.atomic import sha256_of, write_atomic


def test_writes_text_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomic(path, "déjà")
    assert path.read_text(encoding="utf-8") == "déjà"
    write_atomic(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    """The file size limit stands in for a full disk: both fail inside write()."""
    path = tmp_path / "file"
    write_atomic(path, "old")
    program = (
        "import signal, sys; from pathlib import Path;"
        "from llamaduo.storage.atomic import write_atomic;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "write_atomic(Path(sys.argv[1]), 'x' * 100_000)"
    )
    limit = (resource.RLIMIT_FSIZE, (4096, 4096))
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        preexec_fn=lambda: resource.setrlimit(*limit),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "File too large" in done.stderr
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "")
    assert sha256_of(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="exists"):
        write_atomic(tmp_path / "file" / "below", "text")
