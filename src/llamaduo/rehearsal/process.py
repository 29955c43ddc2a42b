"""The rehearsal service as a child process, for as long as a ``with`` block lasts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from llamaduo.errors import ServiceUnavailable

READY: Final = "rehearsal ready at "
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0


@contextmanager
def running_rehearsal(record: Path | None = None, *, options: Sequence[str] = ()) -> Iterator[str]:
    """Start the service and yield its base URL; it ends with the block, or with this process.

    ``record`` is the file that every request is appended to, ``options`` more of its command
    line: how it misbehaves (``python -m llamaduo.rehearsal --help``).

    Raises:
        ServiceUnavailable: it did not come up within :data:`START_SECONDS`.
    """
    with tempfile.TemporaryFile() as complaints, _spawn(record, options, complaints) as process:
        try:
            yield _await_address(process, complaints)
        finally:
            _end(process)


def _spawn(
    record: Path | None, options: Sequence[str], complaints: IO[bytes]
) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "llamaduo.rehearsal", "--until-stdin-closes", *options]
    if record is not None:
        command += ["--record", str(record)]
    return subprocess.Popen(  # noqa: S603 - our own module, no shell
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        env=os.environ | {"PYTHONPATH": _import_path()},
        start_new_session=True,  # Ctrl-C ends the run first; the service follows
    )


def _import_path() -> str:
    """Where this very llamaduo is, before whatever else the user has on the path."""
    ours = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH")]))


def _await_address(process: subprocess.Popen[str], complaints: IO[bytes]) -> str:
    """The base URL from the ready line. A reader thread bounds the wait on every platform."""
    lines: list[str] = []
    assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
    reader = threading.Thread(
        target=lambda out: lines.append(out.readline()), args=[process.stdout]
    )
    reader.start()
    reader.join(START_SECONDS)
    if not lines:
        process.kill()
        reader.join()
    if not lines[0].startswith(READY):
        process.kill()
        process.wait()
        raise ServiceUnavailable(
            f"The rehearsal service did not start: {_last_line(complaints)}",
            hint="Run `python -m llamaduo.rehearsal` by itself to see what it says.",
        )
    return lines[0].removeprefix(READY).strip()


def _last_line(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"no word from it in {START_SECONDS:.0f} s."


def _end(process: subprocess.Popen[str]) -> None:
    """Close its standard input, which ends it; kill it if it lingers."""
    assert process.stdin is not None  # noqa: S101 - it was opened as a pipe
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
