"""A tiny model folder and pairs to train it on."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.records import Checkpoint
from tests.tiny_llama import build_tiny_llama


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_llama(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Checkpoint:
    return obtain(LocalSettings(model=str(tiny_folder)), cache=tiny_folder / "unused")
