"""A tiny base model, and a checkpoint fine-tuned enough to answer otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.finetuning.finetune import finetune
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Checkpoint, TrainSplit
from tests.inference.made import pairs
from tests.tiny_llama import build_tiny_llama


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = build_tiny_llama(tmp_path_factory.mktemp("tiny"))
    return Checkpoint(model="tiny", base=str(folder), window=256)


@pytest.fixture(scope="session")
def tuned(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    # Enough for every answer to be decided: a rate twice as high ends nearly where it began.
    settings = FinetuningSettings(epochs=12, learning_rate=1e-2, batch_size=4, processes=0)
    into: Path = tmp_path_factory.mktemp("tuned") / "checkpoint"
    return finetune(TrainSplit(pairs(16)), settings, start=tiny, cycle=0, into=into)[0]
