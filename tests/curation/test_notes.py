"""On the summarization task's notes, which are made of few phrases, correct pairs survive, and
the copies that the service writes do not."""

from __future__ import annotations

import random
from collections import Counter

from llamaduo.rehearsal.tasks.notes import SYSTEM
from llamaduo.rehearsal.tasks.summarization import SUMMARIZATION
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import curated, pair, pair_of_row

TASK = TaskSettings(kind="summarization")
TRAIN, HELD_OUT, RAW = 16, 64, 300


def test_nearly_all_correct_pairs_survive() -> None:
    steps: Counter[str] = Counter()
    seeds = range(3)
    for seed in seeds:
        known = [pair_of_row(row) for row in SUMMARIZATION.rows(TRAIN + HELD_OUT, seed)]
        fresh = [pair_of_row(row) for row in SUMMARIZATION.rows(RAW, 1000 + seed)]
        result = curated(fresh, known[:TRAIN], known[TRAIN:], task=TASK)
        steps.update(drop.step for drop in result.dropped)
    assert steps.total() <= 0.01 * RAW * len(seeds)


def test_a_note_with_one_more_remark_is_dropped() -> None:
    known = [pair_of_row(row) for row in SUMMARIZATION.rows(TRAIN + HELD_OUT, 0)]
    train, held_out = known[:TRAIN], known[TRAIN:]
    chance = random.Random(1)
    copies = [
        pair(SUMMARIZATION.near_copy(one.instruction, chance), one.response, SYSTEM)
        for one in train
    ]
    assert not curated(copies, train, held_out, task=TASK).kept
