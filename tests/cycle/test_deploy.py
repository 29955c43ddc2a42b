"""From a finished run to the bundle in place: forms, the parity gate, what is refused."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from llamaduo.deploy import Deployed, deploy
from llamaduo.deployment.bundle import Bundle, open_bundle
from llamaduo.errors import ParityMissed, RunError
from llamaduo.inference.served import Served
from llamaduo.packing import bundle_best
from llamaduo.records import Checkpoint, Parity, Scores, Verdict
from llamaduo.run import Run, own_run
from llamaduo.storage.jsonl import read_record
from llamaduo.storage.run_directory import RunDirectory
from tests.cycle.small_loop import configuration, run_loop


@pytest.fixture(scope="module")
def finished(folder: Path, base_url: str) -> Path:
    """A finished run, with the adapter bundle that the loop packed."""
    run_loop(configuration(folder, base_url), folder, "done")
    return folder / "runs" / "done"


@pytest.fixture
def copy(finished: Path, folder: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    into = folder / "runs" / tmp_path.name
    shutil.copytree(finished, into)
    return into


@contextmanager
def owned(directory: Path, base_url: str, **overrides: str) -> Iterator[Run]:
    folder = directory.parents[1]
    config = configuration(folder, base_url, **overrides)
    with own_run(config, RunDirectory(directory), root=folder, cache=folder / "cache") as run:
        yield run


def deployed(directory: Path, base_url: str, *, check: bool = False, **overrides: str) -> Deployed:
    asked: list[tuple[str, int]] = []
    with owned(directory, base_url, **overrides) as run:
        return deploy(run, check=check, ask_leave=lambda *call: asked.append(call))


def test_the_loop_leaves_an_adapter_bundle_that_opens(finished: Path) -> None:
    bundle = open_bundle(finished / "bundle")
    assert (bundle.form, bundle.name, bundle.label) == ("adapter", "done", "target missed")
    assert bundle.verdict == read_record(finished / "verdict.json", Verdict)
    assert bundle.final == read_record(next(finished.glob("final/*/scores.json")), Scores)
    assert set(bundle.seeds) == {"coverage", "finetuning", "inference", "synthesis"}
    assert "$lm_response" in bundle.templates["judge"][-1].content
    assert bundle.versions.keys() >= {"llamaduo", "python", "torch", "transformers", "peft"}
    assert bundle.data.keys() >= {"split", "coverage/train.jsonl", "cycles/000/synthetic.jsonl"}
    assert "target missed" in (finished / "bundle" / "README.md").read_text().lower()


def test_tokens_of_every_split_and_batch_are_counted(finished: Path) -> None:
    lengths = json.loads((finished / "coverage" / "lengths.json").read_text())
    assert lengths["tokens"].keys() == {"train", "test", "final"}
    batch = json.loads((finished / "cycles" / "000" / "tokens.json").read_text())
    kept = json.loads((finished / "cycles" / "000" / "curation.json").read_text())["kept"]
    assert batch["pairs"] == kept
    assert batch["shortest"] <= batch["mean"] <= batch["longest"]


def test_a_merged_bundle_needs_nothing_else(copy: Path, base_url: str) -> None:
    bundle = deployed(copy, base_url, check=True).bundle
    assert open_bundle(copy / "bundle") == bundle
    assert "model.safetensors" in bundle.files
    assert not any(name.startswith("adapter") for name in bundle.files)
    assert bundle.parity == read_record(copy / "parity.json", Parity)
    assert [check.form for check in bundle.parity.checks] == ["merged"]
    assert (copy / "parity" / "merged.jsonl").is_file()
    for name in bundle.files:
        if name.endswith((".json", ".md", ".jinja")):
            assert str(copy.parents[1]) not in (copy / "bundle" / name).read_text()


def test_every_form_is_checked_before_it_is_promoted(copy: Path, base_url: str) -> None:
    bundle = deployed(
        copy,
        base_url,
        check=True,
        **{
            "deployment.form": "adapter",
            "deployment.gguf": "[F16, Q8_0]",
            "deployment.parity": "0",
        },
    ).bundle
    assert bundle.parity is not None
    forms = {check.form: check for check in bundle.parity.checks}
    assert list(forms) == ["adapter", "gguf F16", "gguf Q8_0"]
    assert all(check.templates_equal for check in forms.values())
    assert {"adapter_model.safetensors", "model-F16.gguf", "model-Q8_0.gguf", "Modelfile"} <= set(
        bundle.files
    )
    assert "model.safetensors" not in bundle.files


def test_the_bundle_that_was_deployed_stays_when_the_run_is_resumed(
    copy: Path, base_url: str
) -> None:
    before = deployed(copy, base_url).bundle
    with owned(copy, base_url) as run:
        verdict = read_record(copy / "verdict.json", Verdict)
        scores = read_record(copy / "cycles" / f"{verdict.best_cycle:03d}" / "scores.json", Scores)
        best = Checkpoint(
            model=before.model,
            base=str(copy.parents[1] / "model"),
            adapter=str(copy / "cycles" / f"{verdict.best_cycle:03d}" / "checkpoint"),
            cycle=verdict.best_cycle,
            window=before.window,
            fingerprint=before.fingerprint,
        )
        bundle_best(run, best, verdict, scores)
        assert open_bundle(copy / "bundle").form == "merged"
        bundle_best(run, best, replace(verdict, reason="another"), scores)
    assert open_bundle(copy / "bundle").form == "adapter"


# --- what is refused ----------------------------------------------------------------------


class Silent(BaseHTTPRequestHandler):
    """A server that answers every prompt with nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": ""}
        choices = [{"message": message, "finish_reason": "stop"}]
        raw = json.dumps({"choices": choices}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def silent_server() -> Iterator[Served]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield Served(f"http://127.0.0.1:{http.server_port}/v1", "silent")
        http.shutdown()
        thread.join()


def test_a_form_that_answers_worse_is_not_promoted(
    copy: Path, base_url: str, silent_server: Served
) -> None:
    before = open_bundle(copy / "bundle")
    asked: list[tuple[str, int]] = []
    with (
        owned(copy, base_url) as run,
        pytest.raises(ParityMissed, match=r"server .* loses .* points of") as refused,
    ):
        deploy(run, check=True, ask_leave=lambda *call: asked.append(call), server=silent_server)
    assert refused.value.exit_code == 3
    assert open_bundle(copy / "bundle") == before
    parity = read_record(copy / "parity.json", Parity)
    server = parity.checks[-1]
    assert (server.identical, server.passed) == (0, False)
    assert server.first_divergence is not None
    assert asked == [(f"server {silent_server.url}", 2 * server.prompts * 2)]
    assert not list(copy.glob(".bundle-*"))


def test_an_unfinished_run_has_nothing_to_deploy(copy: Path, base_url: str) -> None:
    (copy / "verdict.json").unlink()
    with pytest.raises(RunError, match="no verdict yet"):
        deployed(copy, base_url)


def test_a_checkpoint_that_was_changed_is_not_deployed(copy: Path, base_url: str) -> None:
    best = read_record(copy / "verdict.json", Verdict).best_cycle
    weights = copy / "cycles" / f"{best:03d}" / "checkpoint" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    before: Bundle = open_bundle(copy / "bundle")
    with pytest.raises(RunError, match="was changed since"):
        deployed(copy, base_url)
    assert open_bundle(copy / "bundle") == before
