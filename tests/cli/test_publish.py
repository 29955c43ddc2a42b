"""`llamaduo publish`, as a user runs it, against a Hub on loopback."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llamaduo.storage.jsonl import write_record
from llamaduo.storage.manifest import FORMAT, Manifest
from tests.deployment.loopback_hub import TOKEN, LoopbackHub, loopback_hub
from tests.deployment.published_runs import pair, write_run

MAIL = pair("write to ada@lovelace.org")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with one finished run, which has personal data in it."""
    (tmp_path / "llamaduo.yaml").write_text(
        "task: {kind: classification, topic: support tickets}\ncoverage: {data: tickets.jsonl}\n"
    )
    run = write_run(tmp_path / "runs" / "main", train=(MAIL, pair("my password keeps failing")))
    write_record(run / "manifest.json", Manifest(FORMAT, "0.1.0"))
    return tmp_path


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with loopback_hub() as server:
        yield server


def environment(folder: Path, hub: LoopbackHub, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    client = {"HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    return kept | client | {"HF_HOME": str(folder / "hf")} | more


def llamaduo(
    folder: Path, hub: LoopbackHub, *arguments: str, **env: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "llamaduo", "publish", "--repo", "ada/t", *arguments],
        cwd=folder,
        env=environment(folder, hub, **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_without_a_terminal_and_without_yes_all_is_shown_and_nothing_sent(
    folder: Path, hub: LoopbackHub
) -> None:
    done = llamaduo(folder, hub)
    assert done.returncode == 2
    assert "Nothing was sent" in done.stderr
    assert hub.written() == []
    for shown in (
        f"To {hub.address} as ada, private.",
        f"{hub.address}/ada/t (model, will be created)",
        f"{hub.address}/datasets/ada/t-data (dataset, will be created)",
        "adapter_model.safetensors",
        "7,000",
        "data/train.jsonl",
        "email addresses",
        MAIL.id,
        "Names and postal addresses are not looked for.",
        "not stated",
    ):
        assert shown in done.stdout
    assert "lovelace" not in done.stdout + done.stderr


def test_yes_sends_and_json_is_one_document(folder: Path, hub: LoopbackHub) -> None:
    done = llamaduo(folder, hub, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert [one["kind"] for one in found["repositories"]] == ["model", "dataset"]
    assert all(one["private"] for one in found["repositories"])
    assert found["account"] == "ada"
    assert found["personal"]["train"] == {"email": {"found": 1, "pairs": [MAIL.id]}}
    assert sorted(hub.repos) == ["datasets/ada/t-data", "models/ada/t"]


def test_public_with_personal_data_is_refused_before_the_hub_hears_of_it(
    folder: Path, hub: LoopbackHub
) -> None:
    done = llamaduo(folder, hub, "--public", "--yes")
    assert done.returncode == 2
    assert "personal data that is not redacted in train" in done.stderr
    assert MAIL.id in done.stderr
    assert "Next:" in done.stderr
    assert hub.asked == []


def test_without_a_token_the_next_step_is_named(folder: Path, hub: LoopbackHub) -> None:
    done = llamaduo(folder, hub, "--yes", HF_TOKEN="")
    assert done.returncode == 2
    assert "hf auth login" in done.stderr
    assert hub.asked == []


@pytest.mark.parametrize(("answer", "sent"), [("n", False), ("y", True)])
def test_in_a_terminal_it_asks(folder: Path, hub: LoopbackHub, answer: str, sent: bool) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "llamaduo", "publish", "--repo", "ada/t", "--no-dataset"],
        cwd=folder,
        env=environment(folder, hub),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    shown, said = process.communicate()
    os.close(ours)
    assert "Send this?" in said
    assert "they stay here" in shown
    assert process.returncode == (0 if sent else 1)
    assert list(hub.repos) == (["models/ada/t"] if sent else [])
    assert ("Published, private" in shown) is sent


def test_a_run_in_progress_is_not_published(folder: Path, hub: LoopbackHub) -> None:
    from llamaduo.storage.lock import locked

    with locked(folder / "runs" / "main"):
        done = llamaduo(folder, hub, "--yes")
    assert done.returncode == 1
    assert "in use by another process" in done.stderr
    assert hub.asked == []
