"""Real coverage pairs import as they are, and split without near-duplicates between splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.coverage.importing import import_pairs
from llamaduo.coverage.settings import CoverageSettings
from llamaduo.coverage.splitting import split
from llamaduo.tasks.settings import TaskSettings

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not beside this checkout")
@pytest.mark.parametrize(
    ("name", "rows", "category"),
    [("no_robots_classify.jsonl", 250, "Classify"), ("no_robots_coding.jsonl", 200, "Coding")],
)
def test_no_robots_imports_and_splits(name: str, rows: int, category: str) -> None:
    settings = CoverageSettings(data=(name,), reference_source="human", final_fraction=0.1)
    imported = import_pairs(settings, TaskSettings(), DATA)
    assert (imported.read, imported.duplicates, imported.refused) == (rows, 0, ())
    pair = imported.dataset.pairs[0]
    assert pair.metadata["category"] == category
    assert set(pair.metadata) == {"prompt_id", "category"}
    assert pair.provenance.source == f"{name}:1"
    assert pair.reference_source == "human"

    parts = split(imported.dataset, settings)
    sizes = [len(part.pairs) for part in (parts.train, parts.test, parts.final)]
    assert sizes == [rows * 8 // 10, rows // 10, rows // 10]
    assert parts.leaks == ()
