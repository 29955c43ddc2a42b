"""Training in a process of its own: what becomes of it is said by name, and can be gone on with."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from llamaduo.errors import StageFailed
from llamaduo.finetuning.finetune import FOLDER, RECIPE, finetune
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.finetuning.training.job import CHECKPOINTS, LOG
from llamaduo.records import Checkpoint, Event, Recipe, TrainingFigures, TrainSplit, silent
from llamaduo.storage.jsonl import read_record
from tests.finetuning.made import HUNDRED_STEPS, assert_same_weights, checkpoint_of, pair, tickets
from tests.llamas import build_llama

SETTINGS = HUNDRED_STEPS.model_copy(
    update={"epochs": 3.0, "lora_dropout": 0.0, "processes": 1, "save_every_minutes": 1e-6}
)
"""Twelve steps on 16 pairs, with a checkpoint after each."""
PAIRS = tickets(16)


@dataclass
class Parent:
    """One that has a training done by a child, and does something to it at a step."""

    start: Checkpoint
    folder: Path
    events: list[Event] = field(default_factory=list)

    @property
    def into(self) -> Path:
        return self.folder / "checkpoint"

    def train(
        self,
        settings: FinetuningSettings = SETTINGS,
        *,
        at: int = 0,
        act: Callable[[int], object] = lambda _: None,
        train: TrainSplit = PAIRS,
    ) -> TrainingFigures:
        """``act`` on the id of the process that trains, when it has done step ``at``."""

        def notify(event: Event) -> None:
            self.events.append(event)
            if event.unit == "steps" and event.done == at:
                act(psutil.Process().children(recursive=True)[-1].pid)

        given = {"start": self.start, "cycle": 0, "into": self.into}
        return finetune(train, settings, **given, notify=notify)[1]  # type: ignore[arg-type]

    def said(self, unit: str) -> list[str]:
        return [event.detail for event in self.events if event.unit == unit]


@pytest.fixture
def parent(tiny: Checkpoint, tmp_path: Path) -> Parent:
    return Parent(tiny, tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of a training that nothing happens to, in this process."""
    into = tmp_path_factory.mktemp("undisturbed") / "checkpoint"
    here = SETTINGS.model_copy(update={"processes": 0, "save_every_minutes": 0.0})
    finetune(PAIRS, here, start=tiny, cycle=0, into=into, notify=silent)
    return into


def signalled(number: signal.Signals) -> Callable[[int], None]:
    return lambda pid: os.kill(pid, number)


def limited(kind: int, soft: int) -> Callable[[int], None]:
    """Lower a limit of the child's; it may be raised again."""

    def act(pid: int) -> None:
        resource.prlimit(pid, kind, (soft, resource.prlimit(pid, kind)[1]))

    return act


# --- crashes ------------------------------------------------------------------------------


def test_a_killed_child_is_a_record_and_the_next_goes_on(parent: Parent, undisturbed: Path) -> None:
    loaded = ""

    def kill(pid: int) -> None:
        nonlocal loaded
        loaded = Path(f"/proc/{pid}/maps").read_text()
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(StageFailed, match="was ended by signal SIGKILL") as caught:
        parent.train(at=5, act=kill)
    assert "torch" in loaded
    unused = ("pyarrow", "pandas", "scipy", "bitsandbytes")
    assert not [name for name in unused if f"/site-packages/{name}/" in loaded]
    assert str(parent.folder / FOLDER / LOG) in caught.value.hint
    assert "it goes on from step " in caught.value.hint
    parent.events.clear()
    figures = parent.train(SETTINGS.model_copy(update={"processes": 0}))  # it may be another
    assert figures.resumed == 1
    assert figures.steps == 12
    assert parent.said("notice")[0].startswith("goes on after step ")
    assert_same_weights(parent.into, undisturbed)
    assert sorted(path.name for path in parent.folder.iterdir()) == ["checkpoint", "recipe.json"]


@pytest.mark.proof
def test_a_crash_in_native_code_is_named(parent: Parent) -> None:
    with pytest.raises(StageFailed, match="was ended by signal SIGSEGV"):
        parent.train(at=2, act=signalled(signal.SIGSEGV))


def test_an_exception_leaves_its_traceback_in_the_log(
    parent: Parent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "path"
    broken.mkdir()
    (broken / "torch.py").write_text("raise ImportError('this installation is broken')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    with pytest.raises(StageFailed, match="words:\n  ImportError: this installation is") as caught:
        parent.train()
    assert "exit code 1" in caught.value.message
    assert "it goes on from the beginning" in caught.value.hint
    log = (parent.folder / FOLDER / LOG).read_text()
    assert "Traceback" in log
    assert "torch.py" in log


@pytest.mark.proof
def test_what_the_child_refuses_is_refused_here(parent: Parent) -> None:
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(StageFailed, match="diverged") as caught:
        parent.train(wild)
    assert caught.value.hint == "Lower finetuning.learning_rate."


# --- memory -------------------------------------------------------------------------------


@pytest.mark.proof
def test_out_of_memory_halves_the_micro_batch_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every large tensor is asked of the system and given back to it; a wide model has many.
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    wide: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4}
    parent = Parent(checkpoint_of(build_llama(tmp_path / "model", **wide)), tmp_path / "cycle")
    long = TrainSplit(tuple(pair("word " * 40 + str(i), "shipping") for i in range(16)))
    whole = SETTINGS.model_copy(update={"batch_size": 16, "save_every_minutes": 0.0, "epochs": 6})

    def starve(pid: int) -> None:
        if parent.said("warning"):  # the process after that has room
            return
        limited(resource.RLIMIT_AS, psutil.Process(pid).memory_info().vms - 20_000_000)(pid)

    figures = parent.train(whole, at=1, act=starve, train=long)
    assert (figures.halved, figures.steps) == (1, 6)
    assert parent.said("warning") == [
        "out of memory: rows at once 8 instead of 16, 2 times in a step instead of 1"
    ]
    recipe = read_record(parent.folder / RECIPE, Recipe)
    assert (recipe.micro_batch, recipe.accumulation) == (8, 2)
    assert "memory ran out" in recipe.reasons["micro_batch"]


# --- disk ---------------------------------------------------------------------------------


@pytest.mark.proof
def test_a_full_disk_keeps_the_checkpoint_before_it(parent: Parent, undisturbed: Path) -> None:
    with pytest.raises(StageFailed, match="weights could not be written") as caught:
        parent.train(at=5, act=limited(resource.RLIMIT_FSIZE, 20_000))
    assert "Free some space" in caught.value.hint
    kept = [path.name for path in (parent.folder / FOLDER / CHECKPOINTS).iterdir()]
    warnings = parent.said("warning")
    assert warnings
    assert "File too large. Training goes on" in warnings[0]
    assert len(kept) == 1  # and nothing half-written beside it
    assert kept[0] in {"step-00000004", "step-00000005", "step-00000006", "step-00000007"}
    parent.train()
    assert_same_weights(parent.into, undisturbed)


# --- Ctrl-C -------------------------------------------------------------------------------


@pytest.mark.proof
def test_ctrl_c_keeps_a_checkpoint_of_the_step_under_way(parent: Parent, undisturbed: Path) -> None:
    seldom = SETTINGS.model_copy(update={"save_every_minutes": 60.0})

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parent.train(seldom, at=5, act=interrupt)
    (kept,) = (parent.folder / FOLDER / CHECKPOINTS).iterdir()
    assert int(kept.name.removeprefix("step-")) >= 5
    assert psutil.Process().children(recursive=True) == []
    assert "stopping after this step" in parent.said("notice")[-1]
    assert parent.train(seldom).resumed == 1
    assert_same_weights(parent.into, undisturbed)


# --- several devices ----------------------------------------------------------------------


@pytest.mark.proof
def test_two_processes_train_what_one_trains(parent: Parent, tmp_path: Path) -> None:
    """One of them killed on the way, and the last step of an epoch too small for both."""
    two = SETTINGS.model_copy(update={"processes": 2, "validation_fraction": 0.1})
    one = two.model_copy(update={"processes": 0, "save_every_minutes": 0.0})
    train, alone = tickets(20), Parent(parent.start, tmp_path / "alone")
    expected = alone.train(one, train=train)
    with pytest.raises(StageFailed) as caught:
        parent.train(two, at=6, act=signalled(signal.SIGKILL), train=train)
    assert "exit code 1" in caught.value.message
    assert "it goes on from step " in caught.value.hint
    assert psutil.Process().children(recursive=True) == []
    figures = parent.train(two, train=train)
    assert (figures.steps, figures.resumed) == (15, 1)
    assert figures.loss_tokens == expected.loss_tokens
    assert figures.best_step == expected.best_step
    assert dict(figures.validation) == pytest.approx(dict(expected.validation), abs=1e-5)
    assert_same_weights(parent.into, alone.into, within=1e-5)  # sums in another order
