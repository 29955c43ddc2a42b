"""A training that is killed ends with the weights of one that never was."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from llamaduo.finetuning.finetune import FOLDER, finetune
from llamaduo.finetuning.job import CHECKPOINTS
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Checkpoint, Event, silent
from tests.finetuning.made import HUNDRED_STEPS, assert_same_weights, tickets
from tests.finetuning.victim import train
from tests.llamas import build_llama

REPOSITORY = Path(__file__).resolve().parents[2]
STEPS = 100


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of 1.3 M parameters, and what 100 undisturbed steps make of it."""
    home = tmp_path_factory.mktemp("resume")
    shape: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 5}
    build_llama(home / "model", **shape, initializer_range=0.02)
    train(home, home / "undisturbed" / "checkpoint", HUNDRED_STEPS, silent)
    return home


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    """A folder of this test's own with the same model in it."""
    (tmp_path / "model").symlink_to(home / "model")
    return tmp_path


def check_same_end(home: Path, folder: Path) -> None:
    assert_same_weights(home / "undisturbed" / "checkpoint", folder / "cycle" / "checkpoint")
    left = {path.name for path in (folder / "cycle").iterdir()}
    assert left == {"checkpoint", "recipe.json"}


def go_on(folder: Path, settings: FinetuningSettings) -> list[Event]:
    """The next ``llamaduo run``: what it says."""
    events: list[Event] = []
    train(folder, folder / "cycle" / "checkpoint", settings, events.append)
    return events


def command(folder: Path, processes: int, plan: list[int]) -> list[str]:
    module = [sys.executable, "-m", "tests.finetuning.victim"]
    return [*module, str(folder), str(processes), json.dumps(plan)]


def die_at(folder: Path, steps: list[int]) -> None:
    """Lives in one process each, which kills itself at its step."""
    done = subprocess.run(
        command(folder, 0, steps),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(steps), done.stderr


@contextmanager
def living(folder: Path, processes: int) -> Iterator[subprocess.Popen[str]]:
    """A parent that has its training done by children."""
    with subprocess.Popen(
        command(folder, processes, []),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        try:
            yield parent
        finally:
            parent.kill()


def await_step(parent: subprocess.Popen[str], step: int) -> None:
    assert parent.stdout is not None
    for line in parent.stdout:
        unit, done, _ = json.loads(line)
        if unit == "steps" and done >= step:
            return
    raise AssertionError("it ended before that step")


def kill(parent: subprocess.Popen[str], whom: str) -> None:
    """End the training: the child, the parent or both. Nobody of them is left."""
    family = psutil.Process(parent.pid).children(recursive=True)
    assert family
    if whom != "parent":
        family[-1].kill()
    if whom != "child":
        parent.kill()
    parent.wait(60)
    _, left = psutil.wait_procs(family, timeout=30)
    assert left == []


def test_killed_in_llamaduos_own_process(home: Path, folder: Path) -> None:
    die_at(folder, [61])
    checkpoints = folder / "cycle" / FOLDER / CHECKPOINTS
    assert list(checkpoints.glob("step-*"))
    events = go_on(folder, HUNDRED_STEPS)
    notices = [event.detail for event in events if event.unit == "notice"]
    assert any(detail.startswith("goes on after step ") for detail in notices)
    check_same_end(home, folder)


def test_what_another_job_began_is_not_gone_on_with(home: Path, folder: Path) -> None:
    def interrupt(event: Event) -> None:
        if event.unit == "steps" and event.done == 50:
            raise KeyboardInterrupt

    into = folder / "cycle" / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train(folder, into, HUNDRED_STEPS, interrupt)
    assert list((folder / "cycle" / FOLDER / CHECKPOINTS).glob("step-*"))
    other = HUNDRED_STEPS.model_copy(update={"epochs": 1.0, "learning_rate": 4e-3})
    events = go_on(folder, other)
    assert not any(event.detail.startswith("goes on") for event in events)
    assert [event.done for event in events if event.unit == "steps"] == list(range(1, 21))


METHODS: dict[str, dict[str, Any]] = {
    "packed": {"method": "lora", "packing": True, "batch_size": None, "batch_tokens": 200},
    "validated": {"method": "lora", "validation_fraction": 0.2, "patience": 2},
    "halves": {"method": "lora", "micro_batch": 1, "batch_size": 4, "processes": 0},
    "qlora": {"method": "qlora"},
    "full": {
        "method": "full",
        "lora_rank": None,
        "lora_alpha": None,
        "lora_dropout": None,
        "learning_rate": 1e-3,
    },
}


@pytest.mark.parametrize("asked", METHODS.values(), ids=METHODS)
def test_every_way_to_train_goes_on_exactly(
    tiny: Checkpoint, tmp_path: Path, asked: dict[str, Any]
) -> None:
    if asked["method"] == "qlora":
        pytest.importorskip("bitsandbytes")
    often = {"epochs": 3.0, "save_every_minutes": 1e-9}
    settings = FinetuningSettings.model_validate(HUNDRED_STEPS.model_dump() | often | asked)
    undisturbed, into = (tmp_path / name / "checkpoint" for name in ("undisturbed", "cut"))
    finetune(tickets(16), settings, start=tiny, cycle=0, into=undisturbed)

    def interrupt(event: Event) -> None:
        if event.unit == "steps" and event.done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(tickets(16), settings, start=tiny, cycle=0, into=into, notify=interrupt)
    _, figures = finetune(tickets(16), settings, start=tiny, cycle=0, into=into)
    assert figures.resumed == 1
    assert_same_weights(undisturbed, into)


@pytest.mark.proof
def test_killed_at_twenty_steps(home: Path, folder: Path) -> None:
    chance = random.Random(7)
    die_at(folder, sorted(chance.sample(range(3, STEPS), 20)))
    go_on(folder, HUNDRED_STEPS)
    check_same_end(home, folder)


@pytest.mark.proof
def test_children_and_parents_killed_five_times(home: Path, folder: Path) -> None:
    chance = random.Random(8)
    whom = ["child", "parent", "both", "child", "parent"]
    for who, step in zip(whom, sorted(chance.sample(range(3, STEPS - 5), 5)), strict=True):
        with living(folder, 1) as parent:
            await_step(parent, step)
            kill(parent, who)
    go_on(folder, HUNDRED_STEPS.model_copy(update={"processes": 1}))
    check_same_end(home, folder)
