"""A dry run says what curation at each threshold would have done."""

from __future__ import annotations

from collections import Counter

from llamaduo.curation.curate import prepare
from llamaduo.curation.settings import CurationSettings
from llamaduo.curation.thresholds import THRESHOLDS, VARIED, Trial, what_if
from llamaduo.records import Event, FinalSplit, Pair, TestSplit, TrainSplit
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import curated, pair

PLACES = ("the sea", "the hills", "a town by the sea", "the hills and the sea", "a quiet harbour")
RAW = [pair(f"Write a short poem about {where} in {when}") for where in PLACES for when in "AB"]
TRAIN = [pair("What is the capital of France?", "Paris")]
HELD_OUT = [pair("Write a long poem about the sea and the harbour in A"), pair("Name a river")]


def trials(settings: CurationSettings, told: list[Event]) -> tuple[Trial, ...]:
    prepared = prepare(
        RAW,
        train=TrainSplit(tuple(TRAIN)),
        earlier=(),
        test=TestSplit(tuple(HELD_OUT)),
        final=FinalSplit(()),
        settings=settings,
        task=TaskSettings(),
    )
    return what_if(prepared, settings, told.append)


def expected(settings: CurationSettings, setting: str) -> tuple[int, int]:
    result = curated(RAW, TRAIN, HELD_OUT, settings=settings)
    drops = Counter(drop.step for drop in result.dropped)
    return drops[VARIED[setting]], len(result.kept)


def test_each_trial_is_what_curating_so_comes_to() -> None:
    settings = CurationSettings(novelty=0.65)
    found = trials(settings, [])
    for trial in found:
        varied = settings.model_copy(update={trial.setting: trial.threshold})
        assert (trial.dropped, trial.kept) == expected(varied, trial.setting), trial
    assert len({trial.kept for trial in found}) > 2


def test_each_threshold_is_tried_beside_the_one_that_is_set() -> None:
    found = trials(CurationSettings(novelty=0.65), [])
    tried = {name: [t.threshold for t in found if t.setting == name] for name in VARIED}
    assert tried["novelty"] == sorted({*THRESHOLDS, 0.65})
    assert tried["contamination"] == tried["near_duplicate"] == list(THRESHOLDS)
    assert [(t.setting, t.threshold) for t in found if t.current] == [
        ("near_duplicate", 0.7),
        ("novelty", 0.65),
        ("contamination", 0.7),
    ]


def test_it_says_how_far_it_is() -> None:
    told: list[Event] = []
    found = trials(CurationSettings(), told)
    assert [event.done for event in told] == list(range(len(found) + 1))
    assert all(event.total == len(found) for event in told)


def test_an_empty_batch() -> None:
    prepared = prepare(
        list[Pair](),
        train=TrainSplit(()),
        earlier=(),
        test=TestSplit(()),
        final=FinalSplit(()),
        settings=CurationSettings(),
        task=TaskSettings(),
    )
    assert all(t.dropped == t.kept == 0 for t in what_if(prepared, CurationSettings()))
