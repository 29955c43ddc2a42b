"""The probe: real steps with a real, tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.config import Config, parse_config
from llamaduo.errors import ModelError
from llamaduo.estimate import split_of
from llamaduo.probe import STEPS, probe
from llamaduo.records import Event
from llamaduo.storage.run_directory import RunDirectory
from tests.cycle.small_loop import CONFIGURATION, prepare


def configuration(folder: Path, *overrides: str) -> Config:
    text = CONFIGURATION.format(base_url="http://127.0.0.1:9/v1", model=folder / "model")
    return parse_config(text, "small_loop", overrides)


def test_a_few_steps_and_answers_say_how_fast_the_machine_is(tmp_path: Path) -> None:
    prepare(tmp_path)
    config, events = configuration(tmp_path), list[Event]()
    split = split_of(config, RunDirectory(tmp_path / "none"), tmp_path)
    before = sorted(tmp_path.rglob("*"))
    probed = probe(config, split, cache=tmp_path / "c", root=tmp_path, notify=events.append)
    assert probed.speed.source == "probe"
    assert min(probed.speed.training, probed.speed.writing) > 0
    assert all(tokens > 0 for tokens in probed.count(split.train.pairs[0]))
    assert sum(event.unit == "steps" for event in events) == STEPS
    assert {event.stage for event in events} == {"probe: finetune", "probe: infer"}
    assert sorted(tmp_path.rglob("*")) == before, "nothing of it is kept"


def test_steps_that_take_long_end_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    monkeypatch.setattr("llamaduo.probe.SECONDS", 0.0)
    config, events = configuration(tmp_path), list[Event]()
    split = split_of(config, RunDirectory(tmp_path / "none"), tmp_path)
    probed = probe(config, split, cache=tmp_path / "c", root=tmp_path, notify=events.append)
    assert sum(event.unit == "steps" for event in events) == 2
    assert probed.speed.training > 0


def test_a_model_that_is_elsewhere_is_not_downloaded_for_a_probe(tmp_path: Path) -> None:
    prepare(tmp_path)
    config = configuration(tmp_path, "local.model=nobody/nothing-at-all")
    split = split_of(config, RunDirectory(tmp_path / "none"), tmp_path)
    with pytest.raises(ModelError, match="nobody/nothing-at-all is not on this machine yet"):
        probe(config, split, cache=tmp_path / "c", root=tmp_path)
