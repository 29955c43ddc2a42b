"""Every checkpoint of a run on another engine than the one that trains it."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llamaduo.finetuning.models import obtain
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.records import InferenceFigures, Response, Verdict
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.storage.atomic import sha256_of
from llamaduo.storage.jsonl import read_record, read_records
from tests.cycle.small_loop import configuration, prepare, run_loop
from tests.inference import vllm_like
from tests.inference.vllm_like import VllmLike, running
from tests.llamas import build_llama

WHERE = ("base", "cycles/000", "final/000")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    prepare(folder)
    build_llama(folder / "model")
    return folder


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with running_rehearsal() as url:
        yield url


def run(place: Path, url: str, name: str, **given: Any) -> tuple[Path, Verdict]:
    """One cycle, greedy."""
    asked = {
        "limits.cycles": 1,
        "judging.judgements_per_response": 1,
        "inference.temperature": 0,
        "inference.responses_per_prompt": 1,
    } | {f"inference.{key}": json.dumps(value) for key, value in given.items()}
    config = configuration(place, url, **{key: str(value) for key, value in asked.items()})
    verdict = run_loop(config, place, name)
    return place / "runs" / name, verdict


def texts(run: Path) -> dict[str, list[str]]:
    return {
        where: [r.text for r in read_records(run / where / "responses.jsonl", Response)]
        for where in WHERE
    }


@pytest.fixture(scope="module")
def expected(place: Path, service: str) -> dict[str, list[str]]:
    found, verdict = run(place, service, "transformers")
    assert verdict.inference == figures(found, "cycles/000")
    assert verdict.inference
    assert verdict.inference.peak_memory_bytes
    return texts(found)


def figures(run: Path, where: str) -> InferenceFigures:
    return read_record(run / where / "inference.json", InferenceFigures)


def alike(run: Path, expected: dict[str, list[str]]) -> float:
    """The share of texts that are the same: two engines may differ in the last bits of a sum."""
    pairs = [
        (one, other)
        for where, found in texts(run).items()
        for one, other in zip(found, expected[where], strict=True)
    ]
    return sum(one == other for one, other in pairs) / len(pairs)


def test_llamacpp_gets_each_checkpoint_as_a_file(
    place: Path, service: str, expected: dict[str, list[str]]
) -> None:
    pytest.importorskip("xllamacpp")
    found, verdict = run(place, service, "gguf", engine="xllamacpp", gguf="F16")
    assert alike(found, expected) > 0.95
    assert verdict.inference
    assert verdict.inference.engine == "xllamacpp"
    assert not (found / ".handover").exists()


def test_a_server_loads_each_adapter(
    place: Path, service: str, expected: dict[str, list[str]]
) -> None:
    folder = place / "model"
    state = VllmLike(obtain(LocalSettings(model=str(folder)), folder), "tiny")
    with running(state) as url:
        found, verdict = run(place, service, "lora", engine="openai", base_url=url)
    assert alike(found, expected) > 0.95
    adapter = str((found / "cycles" / "000" / "checkpoint").resolve())
    loads = [body for path, body in state.asked if path == "/v1/load_lora_adapter"]
    weights = sha256_of(Path(adapter) / "adapter_model.safetensors")
    assert loads == 2 * [{"lora_name": f"lora-000-{weights[:8]}", "lora_path": adapter}]
    assert list(state.loaded) == ["tiny"]
    assert verdict.inference
    assert verdict.inference.engine == "openai"
    assert verdict.inference.peak_memory_bytes is None


@pytest.mark.proof
def test_a_server_is_started_for_each_checkpoint(
    place: Path, service: str, expected: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    script = str(Path(vllm_like.__file__))
    command = [sys.executable, script, "--model", "{model}", "--name", "{name}"]
    found, _ = run(
        place,
        service,
        "started",
        engine="openai",
        base_url=f"http://127.0.0.1:{port}/v1",
        serve_command=[*command, "--port", str(port)],
    )
    assert alike(found, expected) > 0.95
    assert not (found / ".handover").exists()
    with socket.create_server(("127.0.0.1", port)):
        pass  # nobody is left there
