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

from llamaduo.finetuning.finetune import FOLDER, RECIPE, finetune
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.finetuning.training.job import CHECKPOINTS
from llamaduo.records import Checkpoint, Event, Recipe, silent
from llamaduo.storage.jsonl import read_record
from tests.finetuning.made import HUNDRED_STEPS, assert_same_weights, tickets
from tests.finetuning.training.victim import train
from tests.llamas import build_llama

REPOSITORY = Path(__file__).resolve().parents[3]
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
    module = [sys.executable, "-m", "tests.finetuning.training.victim"]
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


def cut_off(start: Checkpoint, into: Path, settings: FinetuningSettings, at: int) -> None:
    """A training in this process that ends at a step and leaves what was written by then."""

    def interrupt(event: Event) -> None:
        if event.unit == "steps" and event.done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(tickets(16), settings, start=start, cycle=0, into=into, notify=interrupt)
    assert list((into.with_name(FOLDER) / CHECKPOINTS).glob("step-*"))


OFTEN = HUNDRED_STEPS.model_copy(update={"epochs": 3.0, "save_every_minutes": 1e-9})
"""Twelve steps on 16 pairs, with a checkpoint after each."""


def test_what_another_job_began_is_not_gone_on_with(tiny: Checkpoint, tmp_path: Path) -> None:
    into, events = tmp_path / "checkpoint", list[Event]()
    cut_off(tiny, into, OFTEN, 6)
    other = OFTEN.model_copy(update={"epochs": 1.0, "learning_rate": 4e-3})
    finetune(tickets(16), other, start=tiny, cycle=0, into=into, notify=events.append)
    (notice,) = (event.detail for event in events if event.unit == "notice")
    assert notice.startswith("begins anew: pairs, settings, base model, machine or version are")
    assert [event.done for event in events if event.unit == "steps"] == [1, 2, 3, 4]


def test_what_is_only_said_or_saved_may_change(tiny: Checkpoint, tmp_path: Path) -> None:
    into = tmp_path / "checkpoint"
    cut_off(tiny, into, OFTEN, 6)
    never = OFTEN.model_copy(update={"save_every_minutes": 0.0})
    _, figures = finetune(tickets(16), never, start=tiny, cycle=0, into=into)
    assert figures.resumed == 1
    assert read_record(tmp_path / RECIPE, Recipe).save_every_seconds == 0


METHODS: dict[str, dict[str, Any]] = {
    "packed": {"method": "lora", "packing": True, "batch_size": None, "batch_tokens": 200},
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
    settings = FinetuningSettings.model_validate(OFTEN.model_dump() | asked)
    undisturbed, into = (tmp_path / name / "checkpoint" for name in ("undisturbed", "cut"))
    finetune(tickets(16), settings, start=tiny, cycle=0, into=undisturbed)

    cut_off(tiny, into, settings, 6)
    _, figures = finetune(tickets(16), settings, start=tiny, cycle=0, into=into)
    assert figures.resumed == 1
    assert_same_weights(undisturbed, into)


def test_the_best_so_far_and_the_patience_survive(tiny: Checkpoint, tmp_path: Path) -> None:
    # At this rate the loss falls, and then flies away; a validation after every step.
    changes = {"learning_rate": 0.3, "validation_fraction": 0.25, "patience": 3, "epochs": 40.0}
    settings = OFTEN.model_copy(update=changes)
    undisturbed, into = (tmp_path / name / "checkpoint" for name in ("undisturbed", "cut"))
    _, expected = finetune(tickets(16), settings, start=tiny, cycle=0, into=undisturbed)
    best = expected.best_step
    assert best is not None
    assert expected.steps == best + 3 < 40 * 3

    cut_off(tiny, into, settings, best + 2)
    _, figures = finetune(tickets(16), settings, start=tiny, cycle=0, into=into)
    assert (figures.resumed, figures.steps, figures.best_step) == (1, best + 3, best)
    assert figures.validation == expected.validation
    assert (figures.first_loss, figures.last_loss) == (expected.first_loss, expected.last_loss)
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
