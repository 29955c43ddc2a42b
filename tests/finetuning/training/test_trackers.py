"""Trackers that a training reports to: looked for before anything is spent, and told of it all."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.errors import ExtraMissing
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.finetuning.training.trackers import check_trackers
from llamaduo.finetuning.training.work import carry_out
from llamaduo.records import Checkpoint, silent
from tests.finetuning.made import tickets
from tests.finetuning.recipes.examples import encoded, job


def test_a_tracker_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_trackers(FinetuningSettings())
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(ExtraMissing, match="names trackio and mlflow, which") as caught:
        check_trackers(FinetuningSettings(report_to=("trackio", "mlflow")))
    assert caught.value.hint.startswith("pip install trackio mlflow, or take it out")


def test_tensorboard_is_told_of_every_loss_beside_the_checkpoint(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    work = job(
        tiny,
        encoded(tiny, tickets(8).pairs),
        tmp_path / "checkpoint",
        packing=False,
        micro_batch=2,
        validation_pairs=2,
        report_to=("tensorboard",),
    )
    figures = carry_out(work, silent)
    told = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert len(told.Scalars("train/loss")) == figures.steps == 3
    found = [(event.step, event.value) for event in told.Scalars("eval/loss")]
    assert found == [(step, pytest.approx(loss)) for step, loss in figures.validation]
