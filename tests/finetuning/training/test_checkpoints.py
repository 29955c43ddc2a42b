"""Checkpoints: whole or not there, of one job alone, and the one before until the next is whole."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from llamaduo.errors import StageFailed
from llamaduo.finetuning.finetune import FOLDER, finetune
from llamaduo.finetuning.training import checkpoints
from llamaduo.finetuning.training.checkpoints import MANIFEST, begin, give_up, latest, seal, step_of
from llamaduo.finetuning.training.job import CHECKPOINTS
from llamaduo.records import Checkpoint, Event
from tests.finetuning.made import HUNDRED_STEPS, assert_same_weights, tickets


def write(folder: Path, step: int, job: str = "job") -> Path:
    place = begin(folder, step)
    (place / "weights").write_bytes(b"w" * step)
    (place / "state.json").write_text("{}")
    return seal(folder, step, job)


def test_the_one_before_goes_when_the_next_is_whole(tmp_path: Path) -> None:
    first = write(tmp_path, 1)
    begin(tmp_path, 2)
    assert latest(tmp_path, "job") == first
    second = write(tmp_path, 2)
    assert latest(tmp_path, "job") == second
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]
    assert step_of(second) == 2


def test_nothing_is_whole_without_its_manifest(tmp_path: Path) -> None:
    whole = write(tmp_path, 3)
    (whole / MANIFEST).unlink()
    assert latest(tmp_path, "job") is None


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_damaged_one_is_passed_over(tmp_path: Path, harm: str) -> None:
    good = write(tmp_path / "a", 4)
    bad = write(tmp_path / "b", 5)
    bad = bad.rename(good.with_name(bad.name))
    if harm == "changed":
        (bad / "weights").write_bytes(b"wwwwx")
    else:
        (bad / "state.json").unlink()
    assert latest(good.parent, "job") == good


def test_another_jobs_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 6, "another job")
    assert latest(tmp_path, "job") is None
    assert latest(tmp_path / "nowhere", "job") is None


def test_what_was_given_up_takes_no_space(tmp_path: Path) -> None:
    kept = write(tmp_path, 1)
    (begin(tmp_path, 2) / "half").write_bytes(b"x")
    give_up(tmp_path, 2)
    assert list(tmp_path.iterdir()) == [kept]
    (checkpoints.unsealed(tmp_path, 7)).mkdir()  # of a process that was killed
    write(tmp_path, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000008"]


class Disk:
    """A disk on which no file may be larger than some bytes, from one step to another."""

    def __init__(self, full_from: int, full_to: int) -> None:
        self._from, self._to = full_from, full_to
        self._soft, self._hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.warnings: list[str] = []

    def notify(self, event: Event) -> None:
        if event.unit == "warning":
            self.warnings.append(event.detail)
        if event.unit == "steps" and event.done == self._from:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, self._hard))
        if event.unit == "steps" and event.done == self._to:
            self.free()

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._soft, self._hard))


EVERY_STEP = HUNDRED_STEPS.model_copy(update={"save_every_minutes": 1e-9, "epochs": 2.0})
"""Eight steps for 16 pairs."""


def test_training_goes_on_while_the_disk_is_full(tiny: Checkpoint, tmp_path: Path) -> None:
    undisturbed, into = tmp_path / "a" / "checkpoint", tmp_path / "b" / "checkpoint"
    finetune(tickets(16), EVERY_STEP, start=tiny, cycle=0, into=undisturbed)
    disk = Disk(3, 6)
    try:
        finetune(tickets(16), EVERY_STEP, start=tiny, cycle=0, into=into, notify=disk.notify)
    finally:
        disk.free()
    folder = into.with_name(FOLDER) / CHECKPOINTS
    assert disk.warnings == [
        f"the checkpoint of step {step} could not be written to {folder}: File too large."
        " Training goes on; the checkpoint before it is kept. Free some space."
        for step in (3, 4, 5)
    ]
    assert_same_weights(undisturbed, into)


def test_weights_that_cannot_be_written_are_named_and_gone_on_to(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    into, disk = tmp_path / "checkpoint", Disk(5, 99)
    arguments = {"start": tiny, "cycle": 0, "into": into}
    try:
        with pytest.raises(StageFailed, match=f"could not be written to {into}: File too") as full:
            finetune(tickets(16), EVERY_STEP, **arguments, notify=disk.notify)  # type: ignore[arg-type]
    finally:
        disk.free()
    assert "it goes on from the last checkpoint" in full.value.hint
    kept = [path.name for path in (tmp_path / FOLDER / CHECKPOINTS).iterdir()]
    assert kept == ["step-00000004"]
    events: list[Event] = []
    finetune(tickets(16), EVERY_STEP, **arguments, notify=events.append)  # type: ignore[arg-type]
    assert [event.done for event in events if event.unit == "steps"] == [5, 6, 7, 8]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
