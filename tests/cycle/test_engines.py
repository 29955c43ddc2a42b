"""Every checkpoint of a run on another engine than the one that trains it.

Of random weights two tokens are now and then nearly as likely, and what comes after the first such
place is chance. Up to there every answer on every engine must be the same.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llamaduo.finetuning.adapter import checkpoint_in
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.records import Checkpoint, InferenceFigures, Pair, Response, Verdict
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.storage.atomic import sha256_of
from llamaduo.storage.jsonl import read_record, read_records
from tests.cycle.small_loop import configuration, prepare, run_loop
from tests.inference import vllm_like
from tests.inference.vllm_like import VllmLike, running
from tests.llamas import build_llama

WHERE = {"base": "test", "cycles/000": "test", "final/000": "final"}
"""The sets of answers, and the split that each answers."""
NEW = 8  # as the small loop has it
SLEEPING = ("/wake_up", "/sleep?level=1")
TIE = 0.02
"""Log-likelihoods that lie nearer may change places: several times what 16 bits move them by."""
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
        "finetuning.learning_rate": 0.02,  # one epoch is to be noticed
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
def sure(place: Path, service: str) -> dict[str, list[str]]:
    """How each answer begins, up to where another token would have been as good."""
    found, verdict = run(place, service, "transformers")
    assert verdict.inference == figures(found, "cycles/000")
    assert verdict.inference
    assert verdict.inference.peak_memory_bytes
    base = obtain(LocalSettings(model=str(place / "model")), place)
    tuned = checkpoint_in(found / "cycles" / "000" / "checkpoint", base, 0)
    beginnings = {
        where: beyond_doubt(base if where == "base" else tuned, found / f"coverage/{split}.jsonl")
        for where, split in WHERE.items()
    }
    assert begin_as(found, beginnings)
    assert sum(map(len, beginnings["base"])) > 2 * len(beginnings["base"])  # or it says nothing
    assert not begin_as(found, beginnings | {"cycles/000": beginnings["base"]})
    return beginnings


def beyond_doubt(checkpoint: Checkpoint, prompts: Path) -> list[str]:
    """Plain greedy steps, all of the prompt read again for each."""
    import torch
    from transformers import AutoTokenizer

    from llamaduo.inference.loading import load_model
    from llamaduo.tasks.chat import encode_prompt

    model, tokenizer = load_model(checkpoint), AutoTokenizer.from_pretrained(checkpoint.base)
    found = []
    for pair in read_records(prompts, Pair):
        prompt = list(encode_prompt(tokenizer, pair.messages))
        said: list[int] = []
        while len(said) < NEW:
            with torch.inference_mode():
                logits = model(torch.tensor([prompt + said])).logits[0, -1]
            (first, second), (token, _) = (part.tolist() for part in logits.topk(2))
            if first - second < TIE or token == tokenizer.eos_token_id:
                break
            said.append(token)
        text = str(tokenizer.decode(said, skip_special_tokens=True))
        found.append(text.rstrip("\ufffd"))  # half a character
    return found


def figures(run: Path, where: str) -> InferenceFigures:
    return read_record(run / where / "inference.json", InferenceFigures)


def begin_as(run: Path, beginnings: dict[str, list[str]]) -> bool:
    return all(
        text.startswith(beginning)
        for where, found in texts(run).items()
        for text, beginning in zip(found, beginnings[where], strict=True)
    )


def test_llamacpp_gets_each_checkpoint_as_a_file(
    place: Path, service: str, sure: dict[str, list[str]]
) -> None:
    pytest.importorskip("xllamacpp")
    found, verdict = run(place, service, "gguf", engine="xllamacpp", gguf="F16")
    assert begin_as(found, sure)
    assert verdict.inference
    assert verdict.inference.engine == "xllamacpp"
    assert not (found / ".handover").exists()


def test_a_server_loads_each_adapter(place: Path, service: str, sure: dict[str, list[str]]) -> None:
    folder = place / "model"
    state = VllmLike(obtain(LocalSettings(model=str(folder)), folder), "tiny")
    with running(state) as url:
        found, verdict = run(place, service, "lora", engine="openai", base_url=url, sleep=True)
    resting = ["/wake_up" not in path for path, _ in state.asked if path in SLEEPING]
    assert resting == [False, True, True, False, True, False, True]  # the third: it trains
    assert begin_as(found, sure)
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
    place: Path, service: str, sure: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
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
    assert begin_as(found, sure)
    assert not (found / ".handover").exists()
    with socket.create_server(("127.0.0.1", port)):
        pass  # nobody is left there
