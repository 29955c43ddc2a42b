"""What `llamaduo quickstart` starts from: the data and the configuration of each built-in task."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from llamaduo.cli.quickstart import QUICKSTARTS, afterwards, before, prepare
from llamaduo.config import load_config
from llamaduo.errors import UsageError
from llamaduo.rehearsal.tasks import TASKS
from llamaduo.tasks.settings import TaskKind

EACH = pytest.mark.parametrize("kind", QUICKSTARTS)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def test_every_known_task_has_a_quickstart() -> None:
    assert set(QUICKSTARTS) == set(TASKS)
    assert all(TASKS[kind].name == start.name for kind, start in QUICKSTARTS.items())


@EACH
def test_the_configuration_is_valid_and_says_what_the_data_are(
    kind: TaskKind, tmp_path: Path
) -> None:
    config = load_config(prepare(tmp_path, 3, kind))
    start = QUICKSTARTS[kind]
    assert config.task.kind == kind
    assert config.name == start.name
    assert config.synthesis.pairs == start.synthetic
    lines = (tmp_path / config.coverage.data[0]).read_text().splitlines()
    assert len(lines) == start.train + start.test + start.final
    assert round(config.coverage.train_fraction * len(lines)) == start.train
    assert round(config.coverage.final_fraction * len(lines)) == start.final
    assert f"fine-tune on {start.train} pairs" in before(kind).replace("\n", " ")
    assert f"runs/{start.name}-rehearsal" in afterwards(kind, tmp_path)


def test_the_default_is_triage_and_always_the_same_to_the_byte(tmp_path: Path) -> None:
    config = prepare(tmp_path, 0)
    assert digest(tmp_path / "tickets.jsonl") == "6adc5cb45421928a"
    assert digest(config) == "6be12a47d3277ca0"


@EACH
def test_what_is_there_already_stays(kind: TaskKind, tmp_path: Path) -> None:
    config = prepare(tmp_path, 0, kind)
    config.write_text(config.read_text().replace("cycles: 4", "cycles: 1"))
    prepare(tmp_path, 0, kind)
    assert "cycles: 1" in config.read_text()


@EACH
def test_another_seed_or_task_needs_another_folder(kind: TaskKind, tmp_path: Path) -> None:
    prepare(tmp_path, 0, kind)
    with pytest.raises(UsageError, match="than seed 1 makes"):
        prepare(tmp_path, 1, kind)
    for other in set(QUICKSTARTS) - {kind}:
        with pytest.raises(UsageError, match="not that of this quickstart"):
            prepare(tmp_path, 0, other)
