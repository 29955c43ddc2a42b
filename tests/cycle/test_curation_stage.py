"""The curation stage of a run: what it writes beside the kept pairs, and what it warns of."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.records import Event, FinalSplit, Pair, Portrait, Split, TestSplit, TrainSplit
from llamaduo.run import Run, own_run
from llamaduo.stages import curate_batch
from llamaduo.storage.jsonl import read_record
from llamaduo.storage.run_directory import RunDirectory
from tests.curation.making import pair
from tests.cycle.small_loop import configuration

SUBJECTS = ("bridge", "planet", "violin", "harvest", "glacier", "engine", "poem", "desert")
WORDS = (
    *("how", "why", "old", "loud", "cold", "near", "tell", "name", "paint", "drive", "count"),
    *("sing", "grow", "melt", "rust", "fold", "carry", "light", "stone", "river", "market"),
)


def varied(number: int) -> Pair:
    words = [WORDS[(number * step + step) % len(WORDS)] for step in (1, 3, 5, 7, 11, 13)]
    return pair(f"{' '.join(words)} {SUBJECTS[number % 8]} {number}", f"answer {number}")


SPLIT = Split(
    train=TrainSplit(tuple(varied(n) for n in range(60))),
    test=TestSplit((pair("an unrelated question about the moon", "none"),)),
    final=FinalSplit(()),
    sha256="0" * 64,
    clusters=1,
)


@pytest.fixture
def batch() -> list[Pair]:
    return [pair(f"kindly list {n} and {n + 1} and {n * 3}", f"list {n}") for n in range(100, 400)]


def curated(folder: Path, raw: list[Pair], told: list[Event]) -> tuple[tuple[Pair, ...], Run]:
    directory = RunDirectory(folder / "runs" / "one")
    config = configuration(folder, "http://127.0.0.1:9", **{"task.kind": "free"})
    with own_run(config, directory, root=folder, cache=folder, notify=told.append) as run:
        return curate_batch(run, 0, raw, [], SPLIT), run


def test_the_portrait_is_written_and_its_warnings_are_told_once(
    tmp_path: Path, batch: list[Pair]
) -> None:
    told: list[Event] = []
    kept, run = curated(tmp_path, batch, told)
    folder = run.directory.cycle(0)
    portrait = read_record(folder / "portrait.json", Portrait)
    assert portrait.synthetic.pairs == len(kept)
    assert portrait.train.pairs == len(SPLIT.train.pairs)
    assert portrait.warnings
    warnings = [event.detail for event in told if event.unit == "warning"]
    assert warnings == [f"after cycle 0: {warning}" for warning in portrait.warnings]
    assert "cycles/000/portrait.json" in run.manifest.stages["cycles/000/curate"].files

    told.clear()
    again, _ = curated(tmp_path, batch, told)
    assert again == kept
    assert not told


def test_a_batch_of_which_nothing_is_kept(tmp_path: Path) -> None:
    told: list[Event] = []
    kept, run = curated(tmp_path, list(SPLIT.train.pairs), told)
    assert not kept
    portrait = read_record(run.directory.cycle(0) / "portrait.json", Portrait)
    assert (portrait.synthetic.pairs, portrait.synthetic.lengths) == (0, None)
    assert not [event for event in told if event.unit == "warning"]
