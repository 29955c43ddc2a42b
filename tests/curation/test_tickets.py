"""On the built-in task's short, template-like prompts, correct pairs survive."""

from __future__ import annotations

from collections import Counter

import pytest

from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import curated, pair_of_row

TASK = TaskSettings(kind="classification", topic="support tickets")


@pytest.mark.parametrize(("train", "held_out", "raw"), [(48, 24, 256), (128, 48, 256)])
def test_most_correct_tickets_survive_and_few_are_taken_for_copies(
    train: int, held_out: int, raw: int
) -> None:
    steps: Counter[str] = Counter()
    seeds = range(5)
    for seed in seeds:
        known = [pair_of_row(row) for row in tickets(train + held_out, seed)]
        fresh = [pair_of_row(row) for row in tickets(raw, 1000 + seed)]
        result = curated(fresh, known[:train], known[train:], task=TASK)
        steps.update(drop.step for drop in result.dropped)
        assert len(result.kept) >= 0.6 * raw
    assert steps["decontamination"] <= 0.01 * raw * len(seeds)
    assert steps["quality rules"] == 0


def test_a_held_out_ticket_is_caught_verbatim_and_embedded() -> None:
    known = [pair_of_row(row) for row in tickets(72, 3)]
    train, held = known[:48], known[48:]
    assert not curated(held, train, held, task=TASK).kept
    wrapped = [
        pair_of_row(
            {
                "messages": [
                    {"role": "user", "content": f"Read this before lunch. {p.instruction} Thanks"},
                    {"role": "assistant", "content": p.response},
                ]
            }
        )
        for p in held
    ]
    assert not curated(wrapped, train, held, task=TASK).kept
