"""What the embedded model learns of each rehearsal task, beside the service's own answers.

    python benchmarks/judging/tasks.py [--task closed_qa ...] [--seeds 3] [--at-once 1]

Runs `llamaduo quickstart --task TASK` once a task and seed. Looked at: the mean precision (with
its coverage percentage at ζ = 70) of the base model, after each cycle and of the service LLM's own
answers to the test prompts; P-Match, the best cycle's mean in percent of the service's, on the test
and on the final split; the gain of the best cycle over the base model, by prompt, with a 95 %
interval; how many tokens a cycle trained on. A task that is not run again keeps its rows. Writes
``tasks.json`` and ``tasks.md`` beside this file.
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
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from llamaduo.cli.quickstart import QUICKSTARTS
from llamaduo.evaluation.intervals import difference_of
from llamaduo.evaluation.scores import panel_values
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Judgement, Judgements, TrainingFigures
from llamaduo.storage.jsonl import read_record, read_records

HERE = Path(__file__).parent
ZETA = "70"
NOTHING = "–"
Found = dict[str, Any]
ABOUT = (
    "SmolLM2-135M-Instruct, fine-tuned and asked on this machine; the service LLM and the judge are"
    " the rehearsal program, which knows the right answers and gets 8 % of its own wrong."
)
CELLS = (
    f"Each cell: mean precision / coverage percentage at ζ = {ZETA}, on the test split. P-Match:"
    " the best cycle's mean in percent of the service's, on the test split and on the final one."
    " Gain: the best cycle over the base model, in points, with its 95 % interval, clustered by"
    " prompt. Tokens: what the largest cycle trained on, all epochs."
)


def run(task: str, seed: int, threads: int) -> Found:
    """One quickstart in a folder of its own: what it scored and how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "llamaduo", "quickstart", "--json", "--task", task]
        begun = time.monotonic()
        done = subprocess.run(
            [*command, "--seed", str(seed), "--into", folder],
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode not in {0, 3}:
            raise SystemExit(f"{task}, seed {seed}: exit code {done.returncode}")
        found = json.loads(done.stdout) | {"seconds": round(time.monotonic() - begun)}
        return {"task": task, "seed": seed} | figures(found, Path(folder) / found["run"])


def figures(found: Found, run_folder: Path) -> Found:
    """What the table says of one run."""
    best = found["verdict"]["best_cycle"]
    cycles = sorted((run_folder / "cycles").iterdir())
    trained = [read_record(folder / "training.json", TrainingFigures) for folder in cycles]
    service, final_service = measures(found["service"]), measures(found["service_final"])
    return {
        "outcome": found["verdict"]["outcome"],
        "best cycle": best,
        "seconds": found["seconds"],
        "base": measures(found["base"]),
        "cycles": [measures(scores) for scores in found["cycles"]],
        "service": service,
        "final": measures(found["final"]),
        "service, final": final_service,
        "P-Match": match(measures(found["cycles"][best]), service),
        "P-Match, final": match(measures(found["final"]), final_service),
        "gain": gain(run_folder / "base", cycles[best]),
        "tokens": [round(one.tokens / one.epochs) for one in trained],
        "tokens, all epochs": [one.tokens for one in trained],
    }


def measures(scores: Found | None) -> Found | None:
    """The target's two measures."""
    if scores is None:
        return None
    precision = scores["panel"]["precision"]
    share = precision["coverage_percentage"][ZETA]
    return {"mean": round(precision["mean_score"], 1), f"at {ZETA}": round(share, 1)}


def match(local: Found | None, service: Found | None) -> float | None:
    """P-Match of the mean precision, in percent."""
    if not local or not service or not service["mean"]:
        return None
    return round(100 * float(local["mean"]) / float(service["mean"]), 1)


def gain(base: Path, best: Path) -> Found:
    """Points of precision that ``best`` has more than ``base``, over the prompts of both."""
    ours, our_prompts = precision_of(best)
    theirs, their_prompts = precision_of(base)
    numbers = {name: i for i, name in enumerate(sorted({*our_prompts, *their_prompts}))}
    value, interval, prompts = difference_of(
        ours,
        [numbers[name] for name in our_prompts],
        theirs,
        [numbers[name] for name in their_prompts],
    )
    ends = [round(interval.low, 1), round(interval.high, 1)]
    return {"points": round(value, 1), "interval": ends, "prompts": prompts}


def precision_of(folder: Path) -> tuple[list[float], list[str]]:
    """The panel's precision of every response in ``folder``, and the prompt of each."""
    judgements = tuple(read_records(folder / "judgements.jsonl", Judgement))
    prompt_of = {one.response_id: one.pair_id for one in judgements}
    panel = panel_values(Judgements(judgements, ()), JudgingSettings())
    return [panel[i]["precision"] for i in prompt_of], list(prompt_of.values())


# --- the table ----------------------------------------------------------------------------------


def as_markdown(results: Mapping[str, Any]) -> str:
    where = f"{results['date']}, {results['machine']}."
    columns = ("task", "seed", "base", "after each cycle", "service", "P-Match, %", "gain")
    lines = [
        "# The rehearsal tasks, from the embedded model",
        "",
        f"{where} {ABOUT}",
        "",
        CELLS,
        "",
        f"| {' | '.join((*columns, 'tokens', 'outcome', 'seconds'))} |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | --- | ---: |",
        *(row(one) for one in results["runs"]),
    ]
    return "\n".join([*lines, ""])


def row(one: Found) -> str:
    low, high = one["gain"]["interval"]
    cells = [
        one["task"],
        str(one["seed"]),
        cell(one["base"]),
        ", ".join(cell(cycle) for cycle in one["cycles"]),
        cell(one["service"]),
        f"{shown(one['P-Match'])}, final {shown(one['P-Match, final'])}",
        f"{one['gain']['points']:+} ({low} to {high})",
        f"{max(one['tokens, all epochs']):,}",
        f"{one['outcome']} after {len(one['cycles'])} cycles",
        str(one["seconds"]),
    ]
    return f"| {' | '.join(cells)} |"


def cell(scores: Found | None) -> str:
    return f"{scores['mean']} / {scores[f'at {ZETA}']}" if scores else NOTHING


def shown(value: float | None) -> str:
    return NOTHING if value is None else str(value)


def machine() -> str:
    with Path("/proc/cpuinfo").open() as file:
        name = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )


def kept(again: Sequence[str]) -> list[Found]:
    """The rows of the tasks that are not run ``again``."""
    path = HERE / "tasks.json"
    known = json.loads(path.read_text())["runs"] if path.is_file() else []
    return [one for one in known if one["task"] not in again]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", action="append", choices=QUICKSTARTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=1)
    options = parser.parse_args()
    tasks = options.task or list(QUICKSTARTS)
    threads = max(1, len(os.sched_getaffinity(0)) // options.at_once)
    with ThreadPoolExecutor(options.at_once) as pool:
        pairs = product(tasks, range(options.seeds))
        waiting = [pool.submit(run, task, seed, threads) for task, seed in pairs]
        runs = [one.result() for one in waiting]
    order = list(QUICKSTARTS)
    runs = sorted([*kept(tasks), *runs], key=lambda one: (order.index(one["task"]), one["seed"]))
    results = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), "runs": runs}
    (HERE / "tasks.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    (HERE / "tasks.md").write_text(as_markdown(results))
    print(as_markdown(results))


if __name__ == "__main__":
    main()
