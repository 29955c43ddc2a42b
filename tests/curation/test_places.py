"""On the closed-QA task's texts, which are made of few phrases, correct pairs survive."""

from __future__ import annotations

from collections import Counter

from llamaduo.rehearsal.tasks.closed_qa import CLOSED_QA
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import curated, pair_of_row

TASK = TaskSettings(kind="closed_qa")
TRAIN, HELD_OUT, RAW = 24, 56, 128


def test_most_correct_pairs_survive_and_few_are_taken_for_copies() -> None:
    steps: Counter[str] = Counter()
    seeds = range(5)
    for seed in seeds:
        known = [pair_of_row(row) for row in CLOSED_QA.rows(TRAIN + HELD_OUT, seed)]
        fresh = [pair_of_row(row) for row in CLOSED_QA.rows(RAW, 1000 + seed)]
        result = curated(fresh, known[:TRAIN], known[TRAIN:], task=TASK)
        steps.update(drop.step for drop in result.dropped)
        assert len(result.kept) >= 0.9 * RAW
    assert steps["decontamination"] <= 0.01 * RAW * len(seeds)
    assert steps["quality rules"] == 0
