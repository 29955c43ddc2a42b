"""`llamaduo deploy`, as a user runs it: forms, questions in a terminal, what is refused."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.app import main
from llamaduo.deployment.bundle import open_bundle
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.storage.jsonl import read_record
from tests.cycle.small_loop import CONFIGURATION
from tests.llamas import edit
from tests.silent_server import silent

ASKED = ("--set", "limits.confirm_above_usd=0")
PRICED = ("--set", "service.price={input: 1, output: 2}", *ASKED)
UNPRICED = ("--set", "service.base_url=null")


@pytest.fixture(scope="module")
def judge_url() -> Iterator[str]:
    with running_rehearsal() as url:
        yield url


@pytest.fixture(autouse=True)
def folder(
    finished_run: Path, judge_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A user's folder with a finished run, ``runs/small``. Not a rehearsal: its service LLM
    answers at an address of its own."""
    shutil.copytree(finished_run, tmp_path / "runs" / "small")
    model = finished_run.parents[1] / "model"
    text = CONFIGURATION.format(base_url=judge_url, model=model) + "name: small\n"
    (tmp_path / "llamaduo.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setenv("LLAMADUO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def deploy(*arguments: str) -> int:
    sys.argv = ["llamaduo", "deploy", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def in_a_terminal(*arguments: str, answers: tuple[tuple[str, str], ...]) -> tuple[int, str]:
    """Run the command in a terminal; whenever it shows the first of ``answers``' texts, type
    what belongs to it. Returns the exit code and everything that was drawn."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "llamaduo", "deploy", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "300"},
    )
    os.close(theirs)
    drawn, seen, waiting = "", 0, list(answers)
    while (piece := _read(ours)) or process.poll() is None:
        drawn += piece
        if waiting and waiting[0][0] in drawn[seen:]:
            seen = len(drawn)
            assert "\x1b" not in _read(ours, seconds=0.5), "the question is drawn over"
            os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
    os.close(ours)
    assert not waiting, drawn
    return process.wait(), drawn


def _read(terminal: int, seconds: float = 0.1) -> str:
    if not select.select([terminal], [], [], seconds)[0]:
        return ""
    try:
        return os.read(terminal, 1 << 16).decode(errors="replace")
    except OSError:  # the other side was closed
        return ""


def words(drawn: str) -> str:
    """What was drawn, without colours and with single spaces."""
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn).split())


# --- forms --------------------------------------------------------------------------------


def test_the_bundle_is_merged_and_how_to_serve_it_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy() == 0
    shown = capsys.readouterr()
    assert open_bundle(folder / "runs" / "small" / "bundle").form == "merged"
    assert "Not checked for parity: `llamaduo deploy --check` does that." in shown.out
    assert "Bundle: runs/small/bundle (merged, target missed, 7 files" in words(
        shown.out.replace(f"{folder}/", "")
    )
    assert "the provider's terms were not stated" in shown.out
    assert "Serve it: llamaduo serve runs/small/bundle\n" in shown.out
    assert "merge: done in" in shown.err


def test_a_folder_with_a_space_can_be_pasted_into_a_shell(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "my folder").mkdir()
    for name in ("runs", "llamaduo.yaml"):
        (folder / name).rename(folder / "my folder" / name)
    assert deploy("--config", "my folder/llamaduo.yaml", "--form", "adapter") == 0
    assert "llamaduo serve 'my folder/runs/small/bundle'\n" in capsys.readouterr().out


def test_json_is_one_document_with_every_hash(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--form", "adapter", "--gguf", "Q8_0", "--gguf", "Q8_0", "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    bundle = open_bundle(folder / "runs" / "small" / "bundle")
    assert found == {
        "bundle": str(folder / "runs" / "small" / "bundle"),
        "label": "target missed",
        "form": "adapter",
        "files": bundle.files,
        "parity": None,
    }
    assert {"adapter_model.safetensors", "model-Q8_0.gguf", "Modelfile"} <= set(bundle.files)
    assert "model-F16.gguf" not in bundle.files


def test_checked_forms_are_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy("--check") == 0
    shown = words(capsys.readouterr().out)
    assert "Parity with the training-time model" in shown
    assert "merged passed 8 of 8 (100.0 %)" in shown
    assert "Not checked" not in shown


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("--server", "http://127.0.0.1:1/v1"), 2, "--server is checked for parity only"),
        (("--check", "--server", "http://a:b@127.0.0.1:1/v1"), 2, "LLAMADUO_TOKEN"),
        (("--check", "--server", "http://[::1/v1"), 1, "does not answer"),
        (("--check", "--server", "http://127.0.0.1:1/v1"), 1, "does not answer"),
        (("--name", "other"), 2, "There is no run in"),
        (("--rehearse",), 2, "There is no run in"),
        (("--set", "target.precision.mean_score=1"), 1, "reached with another target"),
        (("--set", "limits.cycles=3"), 1, "reached with other limits"),
        (("--set", "finetuning.epochs=2"), 1, "finetuning.epochs"),
    ],
)
def test_refused_before_anything_is_built(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    named: str,
) -> None:
    run = folder / "runs" / "small"
    before = [(run / name).read_bytes() for name in ("run.yaml", "bundle/bundle.json")]
    assert deploy(*arguments) == code
    said = capsys.readouterr().err
    assert named in said
    assert "Next:" in said
    assert "a:b@" not in said
    assert [(run / name).read_bytes() for name in ("run.yaml", "bundle/bundle.json")] == before


def test_another_budget_is_no_other_verdict(folder: Path) -> None:
    assert deploy("--form", "adapter", "--set", "limits.budget_usd=5") == 0
    edit(folder / "runs" / "small" / "verdict.json", reason="used up (limits.budget_usd)")
    assert deploy("--form", "adapter", "--set", "limits.budget_usd=6") == 1


def test_an_unfinished_run_names_the_next_step(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "runs" / "small" / "verdict.json").unlink()
    assert deploy() == 1
    said = capsys.readouterr().err
    assert "has no verdict yet" in said
    assert "Finish it with `llamaduo run`." in said


def test_gguf_of_a_tokenizer_that_is_not_covered_names_the_next_step(
    folder: Path, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from llamaduo.finetuning.models.fingerprint import fingerprint_of

    model = folder / "model"
    shutil.copytree(finished_run.parents[1] / "model", model)
    edit(model / "tokenizer.json", normalizer={"type": "NFKC"})
    for place in ("coverage/base.json", "manifest.json"):  # as if the run had begun with it
        path = folder / "runs" / "small" / place
        old = fingerprint_of(finished_run.parents[1] / "model")
        path.write_text(path.read_text().replace(old, fingerprint_of(model)))
    for name in ("llamaduo.yaml", "runs/small/run.yaml"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(str(finished_run.parents[1] / "model"), str(model)))
    assert deploy("--gguf", "F16") == 2
    said = capsys.readouterr().err
    assert "it normalizes text first (NFKC)" in said
    assert "Set deployment.converter to a llama.cpp checkout" in said
    assert "merge" not in said
    assert deploy("--gguf", "F16", "--set", "deployment.converter=nowhere") == 2
    assert f"{folder / 'nowhere'} is missing" in capsys.readouterr().err


@pytest.mark.parametrize("models", [(), ("one", "two")])
def test_a_server_that_does_not_say_which_model_is_meant(
    models: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with silent(*models) as url:
        assert deploy("--check", "--server", url) == 2
    assert "none is called small" in capsys.readouterr().err


# --- what judging the differences costs ---------------------------------------------------

STRICT = ("--set", "deployment.parity=1")
"""No loss at all is allowed: a tiny Llama's answers are worth hardly more than silence."""


def test_without_leave_nothing_is_spent_and_nothing_promoted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = folder / "runs" / "small"
    for price, said in ((PRICED, "about $0.0"), (UNPRICED, "at a price that is not known")):
        with silent("other", "small") as url:
            assert deploy("--check", "--server", url, *price) == 2
        shown = capsys.readouterr().err
        assert "some answers differ. Scoring them takes up to 32 calls, " in shown
        assert f"Scoring what differs costs money ({said}" in shown
        assert "Give --yes, set limits.budget_usd, or raise limits.confirm_above_usd." in shown
        assert open_bundle(run / "bundle").form == "adapter"
        assert not (run / "parity.json").exists()


@pytest.mark.parametrize("leave", [("--yes",), ("--set", "limits.budget_usd=5")])
def test_with_leave_the_judges_are_asked_and_a_worse_form_is_refused(
    folder: Path, leave: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with silent("small") as url:
        assert deploy("--check", "--server", url, *STRICT, *PRICED, *leave) == 3
    said = capsys.readouterr().err
    assert "Scoring them takes up to 32 calls, about $0.0" in said
    assert re.search(rf"Not promoted\. server {url}: it loses [\d.]+ points of", said)
    assert "the bundle is as it was before" in said
    assert open_bundle(folder / "runs" / "small" / "bundle").form == "adapter"


def test_what_is_free_is_not_asked_about(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with silent("small") as url:
        assert deploy("--check", "--server", url, *STRICT) == 3
    assert "calls, " not in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 3)])
def test_in_a_terminal_it_asks_for_leave(folder: Path, answer: str, code: int) -> None:
    terms = ("--set", "service.terms={text: t, allow_publishing: false}")
    with silent("small") as url:
        ended, drawn = in_a_terminal(
            "--check",
            "--server",
            url,
            *STRICT,
            *PRICED,
            *terms,
            answers=(("Ask the judges?", answer),),
        )
    assert ended == code
    assert ("Not promoted." in drawn) is (answer == "y")


# --- the provider's terms -----------------------------------------------------------------


def test_terms_are_asked_for_once_in_a_terminal(folder: Path) -> None:
    from llamaduo.records import Terms

    asked = (("Terms:", "https://x.example/terms: yes"), ("be public?", "y"))
    ended, drawn = in_a_terminal("--form", "adapter", answers=asked)
    assert ended == 0, drawn
    accepted = Terms(
        service="openai-chat:rehearsal", text="https://x.example/terms: yes", allow_publishing=True
    )
    run = folder / "runs" / "small"
    assert read_record(run / "terms.json", Terms) == accepted
    assert open_bundle(run / "bundle").terms == accepted
    assert "https://x.example/terms: yes" in (run / "bundle" / "README.md").read_text()
    ended, drawn = in_a_terminal("--form", "adapter", answers=())
    assert ended == 0
    assert "Which terms" not in drawn


def test_terms_may_be_left_open(folder: Path) -> None:
    ended, drawn = in_a_terminal("--form", "adapter", answers=(("Terms:", ""),))
    assert ended == 0
    assert "the provider's terms were not stated" in drawn
    assert open_bundle(folder / "runs" / "small" / "bundle").terms is None
    ended, again = in_a_terminal("--form", "adapter", answers=())
    assert ended == 0
    assert "Which terms" not in again  # it was asked once


def test_an_unfinished_run_is_not_asked_for_terms(folder: Path) -> None:
    (folder / "runs" / "small" / "verdict.json").unlink()
    ended, drawn = in_a_terminal(answers=())
    assert ended == 1
    assert "Which terms" not in drawn
