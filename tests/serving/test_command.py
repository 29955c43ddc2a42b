"""``llamaduo serve`` as a process: its one line, its signals, its errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llamaduo.cli.app import main
from tests.serving.made import ENDLESS, LONG_WINDOW, body


@contextmanager
def command(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "llamaduo", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_it_serves_until_it_is_told_to_stop(endless: Path) -> None:
    token = "a-long-random-text"  # noqa: S105 - of a server that lives for a test
    options = ["--json", "--engine", "transformers", "--window", str(LONG_WINDOW)]
    with command(f"mine={endless}", *options, LLAMADUO_TOKEN=token) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        assert ready["models"] == ["mine"]
        assert ready["engine"] == "transformers"
        assert ready["address"].startswith("http://127.0.0.1:")
        url = f"{ready['address']}/chat/completions"
        headers = {"Authorization": f"Bearer {token}"}
        asked = body(model="mine", stream=True, user="secret-prompt") | ENDLESS
        assert httpx2.post(url, json=asked).status_code == 401
        with httpx2.stream("POST", url, json=asked, headers=headers, timeout=30) as reply:
            lines = reply.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            told = [line for line in lines if line]
        assert "shutting_down" in told[-1]
        assert process.wait(20) == 0
        said = process.stdout.read() + process.stderr.read()
        assert token not in said
        assert "parcel" not in said  # nothing of a prompt


def test_ctrl_c_ends_it_at_once_when_nobody_is_served(bundle: Path) -> None:
    with command(str(bundle), "--engine", "transformers") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("Serving tiny at http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "says", "next_step"),
    [
        (["nowhere"], "nowhere is not a bundle", "llamaduo deploy"),
        (["--token-env", "NO_SUCH", "nowhere"], "NO_SUCH is not set", "--token-env"),
        (["--host", "0.0.0.0", "nowhere"], "no token is set", "LLAMADUO_TOKEN"),  # noqa: S104
    ],
)
def test_errors_are_sentences(
    arguments: list[str],
    says: str,
    next_step: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("LLAMADUO_TOKEN", raising=False)
    monkeypatch.setattr(sys, "argv", ["llamaduo", "serve", "--port", "0", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert says in said
    assert next_step in said
    assert "Traceback" not in said
