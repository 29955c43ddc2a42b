"""Does the quickstart's model answer the same in every form it is deployed in?

    python benchmarks/deployment/parity.py [--quickstart FOLDER]

Takes the run of `llamaduo quickstart` in FOLDER (default: `quickstart`), draws 200 tickets that
it has not seen, and sends them, greedy, through the training-time model, the merged model and
both GGUF files, as `llamaduo deploy --check` does with the test split. The rehearsal service
scores the answers that differ. Writes ``parity.json`` and ``parity.md`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from llamaduo.cli.session import begin_existing, owned
from llamaduo.deploy import best_checkpoint, make
from llamaduo.gate import Forms, check_parity
from llamaduo.packing import describe
from llamaduo.records import (
    Event,
    Message,
    Pair,
    Parity,
    ParityCheck,
    Provenance,
    Scores,
    Verdict,
    pair_id,
)
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.run import Run
from llamaduo.storage.jsonl import read_record, read_records

PROMPTS = 200
SEED = 1001
HERE = Path(__file__).parent


def unseen(run: Run) -> list[Pair]:
    """200 tickets that are in none of the run's files of pairs."""
    root = run.directory.root
    files = [*root.glob("coverage/*.jsonl"), *root.glob("cycles/*/synthetic.jsonl")]
    known = {pair.messages for path in files for pair in read_records(path, Pair)}
    drawn = [
        pair for row in tickets(2 * PROMPTS, SEED) if (pair := pair_of(row)).messages not in known
    ]
    return drawn[:PROMPTS]


def pair_of(row: dict[str, list[dict[str, str]]]) -> Pair:
    *prompt, last = (Message(m["role"], m["content"]) for m in row["messages"])  # type: ignore[arg-type]
    return Pair(
        id=pair_id(prompt, last.content),
        messages=tuple(prompt),
        response=last.content,
        reference_source="human",
        provenance=Provenance(origin="coverage", source="tickets"),
    )


def measure(run: Run) -> Parity:
    verdict = read_record(run.directory.verdict, Verdict)
    best = best_checkpoint(run, verdict)
    scores = read_record(run.directory.cycle(verdict.best_cycle) / "scores.json", Scores)
    bundle = describe(run, best, verdict, scores, "merged")
    with tempfile.TemporaryDirectory() as folder:
        make(run, best, bundle, Path(folder))
        forms = Forms(Path(folder), bundle)
        return check_parity(
            run,
            best,
            forms,
            unseen(run),
            into=Path(folder) / "answers",
            ask_leave=lambda _form, _calls: None,
        )


def table(parity: Parity) -> str:
    head = "| form | identical | exact match | precision | similarity | passed |"
    return "\n".join([head, "| --- |" + " --- |" * 5, *map(row, parity.checks)]) + "\n"


def row(check: ParityCheck) -> str:
    scores = (check.score_difference.get(metric, 0.0) for metric in ("precision", "similarity"))
    points = " | ".join(f"{value:+.2f}" for value in (check.exact_match_difference, *scores))
    identical = f"{check.identical} of {check.prompts} ({check.share:.1%})"
    passed = "yes" if check.passed else f"no: {check.reason}"
    return f"| {check.form} | {identical} | {points} | {passed} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quickstart", type=Path, default=Path("quickstart"))
    folder = parser.parse_args().quickstart
    overrides = ["deployment.gguf=[F16, Q8_0]"]
    session = begin_existing(folder / "llamaduo.yaml", None, True, overrides)
    with owned(session, show) as run:
        parity = measure(run)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine}
    (HERE / "parity.json").write_text(json.dumps(about | asdict(parity), indent=2) + "\n")
    text = (
        f"# Parity of the quickstart's bundle\n\n{about['date']}, {machine}. {parity.prompts}"
        " tickets that the run has not seen, greedy, against the training-time model (the adapter"
        " beside the base). Differences are points of 100.\n\n" + table(parity)
    )
    (HERE / "parity.md").write_text(text)
    print(text)


def show(event: Event) -> None:
    if event.stage.startswith("parity") and event.done == event.total:
        print(f"{event.stage}: {event.done} {event.unit}", flush=True)


if __name__ == "__main__":
    main()
