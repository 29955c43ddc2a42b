"""One tiny base model and one server of it, shared by the tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.made import LONG_WINDOW, WINDOW, Running, merged_bundle, serving
from tests.tiny_llama import build_tiny_llama


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_llama(tmp_path_factory.mktemp("serving") / "base", window=WINDOW)


@pytest.fixture(scope="session")
def bundle(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return merged_bundle(base, tmp_path_factory.mktemp("bundles") / "tiny", gguf=True)


@pytest.fixture(scope="session")
def server(bundle: Path) -> Iterator[Running]:
    with serving([bundle]) as running:
        yield running


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose window is so long that an answer to :data:`ENDLESS` takes minutes."""
    folder = tmp_path_factory.mktemp("endless")
    base = build_tiny_llama(folder / "base", window=LONG_WINDOW)
    return merged_bundle(base, folder / "bundle", window=LONG_WINDOW, gguf=True)
