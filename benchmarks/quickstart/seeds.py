"""Does the quickstart's loop turn, and meet its target with margin, whatever the seed?

    python benchmarks/quickstart/seeds.py [--seeds 5] [--at-once 1]

Runs `llamaduo quickstart` once a seed (tickets, split, sampling and LoRA weights all depend on
it), prints one row each, and writes them to ``results.json`` and ``results.md`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
ZETA = "70"


def run(seed: int, threads: int) -> dict[str, Any]:
    """One quickstart in a folder of its own; what it scored and how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "llamaduo", "quickstart", "--json"]
        begun = time.monotonic()
        done = subprocess.run(
            [*command, "--seed", str(seed), "--into", folder],
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - begun
        found = json.loads(done.stdout)
    sets = {"base": found["base"], "final": found["final"]}
    sets |= {f"cycle {n}": scores for n, scores in enumerate(found["cycles"])}
    return {
        "seed": seed,
        "exit code": done.returncode,
        "outcome": found["verdict"]["outcome"],
        "cycles": len(found["cycles"]),
        "seconds": round(seconds),
        "sets": {name: measures(scores) for name, scores in sets.items()},
    }


def measures(scores: dict[str, Any]) -> dict[str, float]:
    """The two targets of the quickstart, and what costs nothing."""
    precision = scores["panel"]["precision"]
    return {
        "precision": round(precision["mean_score"], 1),
        f"precision at {ZETA}": round(precision["coverage_percentage"][ZETA], 1),
        "exact match": round(scores["free"]["exact_match"]["value"], 1),
    }


def machine() -> str:
    with Path("/proc/cpuinfo").open() as file:
        name = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )


def as_markdown(results: dict[str, Any]) -> str:
    share = f"{results['at once']} at once, {results['threads']} torch thread(s) each"
    where = f"{results['date']}, {results['machine']}; {share}"
    lines = [
        "# The quickstart on different seeds",
        "",
        f"{where}. Set-up is not included.",
        "",
        "Each cell: mean precision / coverage percentage at ζ = 70 / exact match. The target is",
        "85 / 80 / none, on the test split.",
        "",
        "| seed | base | cycle 0 | cycle 1 | final | outcome | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in results["runs"]:
        cells = [
            " / ".join(str(v) for v in one["sets"].get(name, {}).values()) or "–"
            for name in ("base", "cycle 0", "cycle 1", "final")
        ]
        outcome = f"{one['outcome']} after {one['cycles']} cycles"
        lines.append(f"| {one['seed']} | {' | '.join(cells)} | {outcome} | {one['seconds']} |")
    seconds = median(one["seconds"] for one in results["runs"])
    return "\n".join([*lines, "", f"Median: {seconds:.0f} s.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=1)
    options = parser.parse_args()
    threads = max(1, len(os.sched_getaffinity(0)) // options.at_once)
    with ThreadPoolExecutor(options.at_once) as pool:
        runs = list(pool.map(lambda seed: run(seed, threads), range(options.seeds)))
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "at once": options.at_once,
        "threads": threads,
        "runs": runs,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    (HERE / "results.md").write_text(as_markdown(results))
    print(as_markdown(results))


if __name__ == "__main__":
    main()
