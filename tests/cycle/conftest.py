"""What a whole loop needs: data and a model, and the rehearsal service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llamaduo.rehearsal.process import running_rehearsal
from tests.cycle.small_loop import prepare


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small loop's coverage data and model."""
    folder = tmp_path_factory.mktemp("loop")
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def record(folder: Path) -> Path:
    """The rehearsal service's own record of what it was asked."""
    return folder / "asked.jsonl"


@pytest.fixture(scope="module")
def base_url(record: Path) -> Iterator[str]:
    with running_rehearsal(record) as url:
        yield url
