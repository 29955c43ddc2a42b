"""On the coding task's exercises, which are made of few phrases, correct pairs survive."""

from __future__ import annotations

from collections import Counter

from llamaduo.rehearsal.tasks.coding import CODING
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import curated, pair_of_row

TASK = TaskSettings(kind="coding")
TRAIN, HELD_OUT, RAW = 16, 64, 128


def test_most_correct_pairs_survive_and_few_are_taken_for_copies() -> None:
    steps: Counter[str] = Counter()
    kept = 0
    seeds = range(5)
    for seed in seeds:
        known = [pair_of_row(row) for row in CODING.rows(TRAIN + HELD_OUT, seed)]
        fresh = [pair_of_row(row) for row in CODING.rows(RAW, 1000 + seed)]
        result = curated(fresh, known[:TRAIN], known[TRAIN:], task=TASK)
        steps.update(drop.step for drop in result.dropped)
        kept += len(result.kept)
    assert kept >= 0.94 * RAW * len(seeds)
    assert steps["decontamination"] <= 0.03 * RAW * len(seeds)
    assert steps["quality rules"] == 0
