"""How many correct tickets survive curation, and how many are taken for contamination?

    python benchmarks/curation/tickets.py

Draws train, held-out and new tickets of the built-in task independently of each other, at the
quickstart's sizes and larger, on 20 seeds each, and curates the new ones. Every ticket is correct
and none was copied, so each drop is a price paid, and each one for contamination a likeness by
chance. Writes ``results.md`` beside this file.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from llamaduo.curation.curate import curate
from llamaduo.curation.settings import CurationSettings
from llamaduo.records import FinalSplit, Message, Pair, Provenance, TestSplit, TrainSplit, pair_id
from llamaduo.rehearsal.tickets import tickets
from llamaduo.tasks.settings import TaskSettings

SIZES = ((48, 56, 140), (48, 24, 256), (128, 48, 256), (400, 200, 1000))
SEEDS = range(20)


def pairs(count: int, seed: int) -> list[Pair]:
    found = []
    for row in tickets(count, seed):
        *prompt, last = (Message(m["role"], m["content"]) for m in row["messages"])
        found.append(
            Pair(
                id=pair_id(prompt, last.content),
                messages=tuple(prompt),
                response=last.content,
                reference_source="human",
                provenance=Provenance(origin="coverage", source="tickets"),
            )
        )
    return found


def curate_once(train: int, held_out: int, raw: int, seed: int) -> Counter[str]:
    """How many of ``raw`` new tickets each step dropped, and how many were kept."""
    drawn = pairs(train + held_out + raw, seed)
    curated = curate(
        drawn[train + held_out :],
        train=TrainSplit(tuple(drawn[:train])),
        earlier=(),
        test=TestSplit(tuple(drawn[train : train + held_out])),
        final=FinalSplit(()),
        settings=CurationSettings(),
        task=TaskSettings(kind="classification"),
    )
    return Counter(drop.step for drop in curated.dropped) + Counter(kept=len(curated.kept))


def main() -> None:
    python = f"Python {platform.python_version()}"
    where = f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, {platform.system()}, {python}"
    lines = [
        "# Curation of correct, independent tickets",
        "",
        f"{where}; {len(SEEDS)} seeds a row.",
        "Asked for: at least 60 % kept, at most 1 % taken for contamination.",
        "",
        "| train / held out / new | kept, mean (worst) | taken for contamination, mean (worst) |",
        "| --- | --- | --- |",
    ]
    for train, held_out, raw in SIZES:
        counts = [curate_once(train, held_out, raw, seed) for seed in SEEDS]
        kept = [100 * count["kept"] / raw for count in counts]
        taken = [100 * count["decontamination"] / raw for count in counts]
        lines.append(
            f"| {train} / {held_out} / {raw} | {fmean(kept):.1f} % ({min(kept):.1f} %) |"
            f" {fmean(taken):.2f} % ({max(taken):.2f} %) |"
        )
    text = "\n".join([*lines, ""])
    Path(__file__).with_name("results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
