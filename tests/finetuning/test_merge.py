"""A merged model says what base and adapter said together, and needs neither."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llamaduo.errors import ModelError, StageFailed
from llamaduo.finetuning.adapter import CARD, WEIGHTS
from llamaduo.finetuning.finetune import finetune
from llamaduo.finetuning.merge import merge
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Checkpoint
from llamaduo.storage.atomic import sha256_of
from llamaduo.tasks.quiet import quiet
from tests.finetuning.made import tickets
from tests.llamas import edit


@pytest.fixture(scope="module")
def tuned(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    settings = FinetuningSettings(epochs=2, learning_rate=2e-2, processes=0)
    into = tmp_path_factory.mktemp("tuned") / "checkpoint"
    return finetune(tickets(8), settings, start=tiny, cycle=0, into=into)[0]


def logits(folder: Path | str, adapter: str | None = None) -> torch.Tensor:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    with quiet(logging):
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        if adapter:
            model = PeftModel.from_pretrained(model, adapter)
    with torch.inference_mode():
        return model(torch.tensor([[5, 9, 44, 120, 7]])).logits  # type: ignore[no-any-return]


def test_the_merged_model_computes_what_the_adapter_did(tuned: Checkpoint, tmp_path: Path) -> None:
    merge(tuned, tmp_path, "float32")
    beside = logits(tuned.base, tuned.adapter)
    torch.testing.assert_close(logits(tmp_path), beside, atol=1e-4, rtol=1e-4)
    assert (logits(tuned.base) - beside).abs().max() > 0.01  # the adapter does something


def test_weights_are_rounded_once_where_half_the_size_is_asked_for(
    tuned: Checkpoint, tmp_path: Path
) -> None:
    merge(tuned, tmp_path / "full", "float32")
    merge(tuned, tmp_path / "half", "bfloat16")
    sizes = {f: (tmp_path / f / "model.safetensors").stat().st_size for f in ("full", "half")}
    assert sizes["half"] < 0.6 * sizes["full"]
    torch.testing.assert_close(
        logits(tmp_path / "half"), logits(tmp_path / "full"), atol=0.1, rtol=0.1
    )
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "bfloat16"


def test_nothing_says_where_the_base_lay_on_this_machine(tuned: Checkpoint, tmp_path: Path) -> None:
    merge(tuned, tmp_path, "float32")
    for path in tmp_path.glob("*.json"):
        assert tuned.base not in path.read_text()


def test_a_full_disk_is_said_without_a_traceback(tuned: Checkpoint, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # bytes in a file
    try:
        with pytest.raises(StageFailed, match=f"could not be written to {tmp_path}") as refused:
            merge(tuned, tmp_path, "float32")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "Free some space" in refused.value.hint


def test_an_adapter_that_is_not_numbers_is_not_merged(tuned: Checkpoint, tmp_path: Path) -> None:
    broken = tmp_path / "checkpoint"
    shutil.copytree(tuned.adapter or "", broken)
    weights = load_file(broken / WEIGHTS)
    save_file({name: tensor * float("nan") for name, tensor in weights.items()}, broken / WEIGHTS)
    edit(broken / CARD, weights_sha256=sha256_of(broken / WEIGHTS))
    with pytest.raises(StageFailed, match="The adapter cannot be merged: NaNs"):
        merge(replace(tuned, adapter=str(broken)), tmp_path / "merged", "float32")


def test_a_damaged_adapter_is_not_merged(tuned: Checkpoint, tmp_path: Path) -> None:
    damaged = tmp_path / "checkpoint"
    damaged.mkdir()
    for path in Path(tuned.adapter or "").iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "adapter_model.safetensors").write_bytes(b"spoilt")
    with pytest.raises(ModelError, match=r"adapter_model.safetensors"):
        merge(replace(tuned, adapter=str(damaged)), tmp_path / "merged", "float32")
    assert not list((tmp_path / "merged").glob("*.safetensors"))
