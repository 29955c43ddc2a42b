"""A job's folder, and what makes it another job."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import RunError, RunLocked, StageFailed
from llamaduo.finetuning.launch import _halved
from llamaduo.finetuning.training import job as jobs
from llamaduo.finetuning.training.job import Job, await_free, key_of, left_over, read_job, write_job
from llamaduo.records import Checkpoint, silent
from llamaduo.tasks.chat import EncodedPair
from tests.finetuning.training.test_order import RECIPE

PAIRS = (EncodedPair((1, 2), (3,)), EncodedPair((4,), (5, 6)))


def job_in(folder: Path, tiny: Checkpoint) -> Job:
    return Job(
        key="key",
        folder=str(folder),
        start=tiny,
        recipe=RECIPE,
        cycle=2,
        pairs=2,
        into=str(folder.with_name("checkpoint")),
    )


def test_a_job_is_read_as_it_was_written(tiny: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / ".training"
    folder.mkdir()
    (folder / "of another job").touch()
    job = job_in(folder, tiny)
    write_job(job, PAIRS)
    assert sorted(path.name for path in folder.iterdir()) == ["job.json", "pairs.jsonl"]
    assert read_job(folder) == job
    assert read_job(folder).read_pairs() == PAIRS


def test_only_the_same_job_is_gone_on_with(tiny: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / ".training"
    assert left_over(folder, "key", start=tiny, into=tmp_path) is None
    write_job(job_in(folder, tiny), PAIRS)
    assert left_over(folder, "another", start=tiny, into=tmp_path) is None
    moved = folder.rename(tmp_path / "elsewhere")
    found = left_over(moved, "key", start=tiny, into=tmp_path / "new")
    assert found is not None
    assert (found.folder, found.into) == (str(moved), str(tmp_path / "new"))
    (moved / "pairs.jsonl").unlink()
    assert left_over(moved, "key", start=tiny, into=tmp_path) is None
    with pytest.raises(RunError, match=r"job.json is missing"):
        read_job(tmp_path)


def test_the_key_hangs_on_all_that_decides_the_weights(tiny: Checkpoint, tmp_path: Path) -> None:
    def key(
        pairs: tuple[EncodedPair, ...] = PAIRS,
        start: Checkpoint = tiny,
        cycle: int = 0,
        **asked: Any,
    ) -> str:
        return key_of(pairs, start, {"seed": 0} | asked, cycle)

    keys = [
        key(),
        key(pairs=PAIRS[::-1]),
        key(pairs=(EncodedPair((1,), (2, 3)), PAIRS[1])),
        key(cycle=1),
        key(seed=1),
        key(start=replace(tiny, window=128)),
    ]
    assert len(set(keys)) == len(keys)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in Path(tiny.base).iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert key(start=replace(tiny, base=str(copy))) == key()  # where it lies does not matter
    (copy / "config.json").write_text("{}")
    assert key(start=replace(tiny, base=str(copy))) != key()


def test_one_row_that_does_not_fit_has_what_is_left_to_try(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    lora = job_in(tmp_path / ".training", tiny)
    assert _halved(lora, "no room", silent).recipe.micro_batch == 2
    recipe = replace(RECIPE, micro_batch=1, method="qlora", activation_checkpointing=True)
    with pytest.raises(StageFailed, match="one row of 64 tokens at a time: no room") as caught:
        _halved(replace(lora, recipe=recipe), "no room", silent)
    assert caught.value.hint == "Set finetuning.max_tokens below 64; or take a smaller model."
    with pytest.raises(StageFailed) as caught:
        _halved(replace(lora, recipe=replace(RECIPE, micro_batch=1)), "no room", silent)
    assert "activation_checkpointing: true, or method: qlora, or" in caught.value.hint


def test_a_folder_that_is_still_in_use_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_PATIENCE", 0.2)
    await_free(tmp_path)
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunLocked, match="still at work") as caught:
            await_free(tmp_path)
    assert "End that process" in caught.value.hint
    await_free(tmp_path)
