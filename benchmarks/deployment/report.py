"""How long does the report of a run with 100,000 judgements take, and how large is it?

    python benchmarks/deployment/report.py

Writes a made-up run into a temporary folder: a base model, three cycles, a final split, and the
service LLM's own answers to both splits; 470 test prompts and 80 final ones, 4 responses each (the
service LLM: one), 3 judges that judge each response 4 times, with two sentences of reasons; with
intervals, slices and a report on the judges, as a run concludes them. The report is gathered and
written three times, each time in a process of its own on one core; medians count. Asked for: under
10 s and under 5 MB. Writes ``report.json`` beside this file.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from llamaduo.evaluation.assess import Material, Rules, conclude
from llamaduo.evaluation.settings import JudgingSettings, MetricTarget, TargetSettings
from llamaduo.records import (
    Author,
    CurationFigures,
    Dropped,
    Judged,
    Judgement,
    Judgements,
    Mark,
    Message,
    Pair,
    Provenance,
    Response,
    SplitFigures,
    SynthesisFigures,
    TrainingFigures,
    Verdict,
    pair_id,
)
from llamaduo.storage.jsonl import write_record, write_records
from llamaduo.tasks.settings import TaskSettings

TRAIN, TEST, FINAL, RESPONSES, JUDGEMENTS = 2_000, 470, 80, 4, 4
JUDGES = ("openai-chat:gpt-4o", "anthropic:claude-sonnet-4-5", "google:gemini-2.5-flash")
BATCH, LOST = 4_000, 1_200
TIMES = 3
MOST_SECONDS, MOST_BYTES = 10.0, 5_000_000
STEPS = ("exact duplicates", "quality rules", "near-duplicates", "novelty", "decontamination")
WORDS = (
    "the customer asks whether an order that was placed last week can still be changed and sent to"
    " another address while the answer leaves out what the reference says about fees refunds and"
    " the time it takes until a parcel is returned to the warehouse and checked again"
)

RUN_YAML = """\
llamaduo: {version: 0.1.0, rehearsed: false}
task: {kind: free, topic: orders and returns}
service: {model: "openai-chat:gpt-4o"}
local: {model: llama-3.2-1b-instruct}
inference: {responses_per_prompt: 4, temperature: 0.7, top_p: 0.95}
judging: {judges: [JUDGES], judgements_per_response: 4, score_thresholds: [50, 70]}
synthesis: {pairs: 4000, growth: 1.0}
target: {precision: {mean_score: 80.0}}
limits: {cycles: 4, patience: 2, min_gain: 1.0}
cost: {input_tokens_per_month: 300000000, output_tokens_per_month: 30000000, hardware_usd: 2539}
"""

ONCE = """
import json, os, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from pathlib import Path
from llamaduo.reporting.evidence import gather
from llamaduo.reporting.report import write_report
begun = time.perf_counter()
evidence = gather(Path(sys.argv[1]))
gathered = time.perf_counter()
page = write_report(evidence, Path(sys.argv[1]) / "report")
written = time.perf_counter()
print(json.dumps([gathered - begun, written - gathered, page.stat().st_size]))
"""


def text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(WORDS.split(), k=words)).capitalize() + "."


def pairs(draw: random.Random, count: int) -> list[Pair]:
    found = []
    for _ in range(count):
        messages = (Message("system", text(draw, 30)), Message("user", text(draw, 90)))
        response = text(draw, 70)
        found.append(
            Pair(
                id=pair_id(messages, response),
                messages=messages,
                response=response,
                reference_source="human",
                provenance=Provenance(origin="coverage", source="orders.jsonl:1"),
            )
        )
    return found


RULES = Rules(
    judging=JudgingSettings(judgements_per_response=JUDGEMENTS),
    target=TargetSettings(precision=MetricTarget(mean_score=80.0)),
    task=TaskSettings(),
    measured=TaskSettings(),
    generator=JUDGES[0],
    models={judge: judge for judge in JUDGES},
    script_of=lambda _: "Latin",
)


def responses(
    draw: random.Random, prompts: list[Pair], author: Author, times: int
) -> list[Response]:
    return [
        Response(
            id=f"{pair.id}-{index}",
            pair_id=pair.id,
            index=index,
            author=author,
            text=text(draw, 70),
            finish="stop",
            prompt_tokens=160,
            new_tokens=90,
            seconds=2.0,
        )
        for pair in prompts
        for index in range(times)
    ]


def judged(draw: random.Random, answers: list[Response], mean: float) -> list[Judgement]:
    found = []
    for answer in answers:
        level = draw.gauss(mean, 14)
        for judge in JUDGES:
            for index in range(JUDGEMENTS):
                precision, similarity = (
                    min(100, max(0, round(level + draw.gauss(shift, 5)))) for shift in (4, -4)
                )
                found.append(
                    Judgement(
                        response_id=answer.id,
                        pair_id=answer.pair_id,
                        judge=judge,
                        index=index,
                        marks={
                            "similarity": Mark(similarity, text(draw, 32)),
                            "precision": Mark(precision, text(draw, 32)),
                        },
                        snapshot=judge + "-2026-10-01",
                        call=f"{draw.getrandbits(256):064x}",
                    )
                )
    return found


def write_set(
    draw: random.Random,
    folder: Path,
    prompts: list[Pair],
    mean: float,
    ceiling: Judged | None = None,
) -> Judged:
    """Responses, judgements and what follows from them; a set without a ceiling is one."""
    author: Author = "local" if ceiling else "service"
    answers = tuple(responses(draw, prompts, author, RESPONSES if ceiling else 1))
    found = Judgements(tuple(judged(draw, list(answers), mean)), ())
    material = Material(
        responses=answers,
        pairs=prompts,
        controls=Judgements((), ()),
        judgements=found,
        rounds=1,
        ceiling=ceiling,
    )
    concluded = conclude(material, RULES)
    write_records(folder / "responses.jsonl", answers)
    write_records(folder / "judgements.jsonl", found.scored)
    write_records(folder / "unscored.jsonl", [])
    write_record(folder / "scores.json", concluded.scores)
    write_record(folder / "breakdown.json", concluded.breakdown)
    write_record(folder / "judges.json", concluded.report)
    return Judged(answers, found)


def write_cycle(draw: random.Random, folder: Path, cycle: int) -> None:
    """What fine-tuning left before the answers of a cycle, and synthesis after them."""
    training = TrainingFigures(
        pairs=TRAIN + cycle * (BATCH - LOST),
        set_aside=0,
        epochs=3.0,
        steps=1_500,
        tokens=1_500_000,
        seconds=900.0,
        first_loss=2.1,
        last_loss=0.9,
    )
    write_record(folder / "training.json", training)
    lost = [
        Dropped(pair=pair, step=STEPS[n % len(STEPS)], reason=f"too like a kept pair (0.{n:03d})")
        for n, pair in enumerate(pairs(draw, LOST))
    ]
    write_records(folder / "dropped.jsonl", lost)
    by_step = {step: LOST // len(STEPS) for step in STEPS}
    write_record(folder / "synthesis.json", SynthesisFigures(BATCH, 800, 12, 20))
    write_record(folder / "curation.json", CurationFigures(BATCH - LOST, by_step))


def write_run(folder: Path) -> int:
    """The whole run; how many judgements it has."""
    draw = random.Random(0)
    judges = ", ".join(f'{{model: "{judge}"}}' for judge in JUDGES)
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(RUN_YAML.replace("JUDGES", judges))
    test, final = pairs(draw, TEST), pairs(draw, FINAL)
    write_records(folder / "coverage" / "train.jsonl", pairs(draw, TRAIN))
    write_records(folder / "coverage" / "test.jsonl", test)
    write_records(folder / "coverage" / "final.jsonl", final)
    write_record(
        folder / "coverage" / "split.json", SplitFigures(TRAIN, TEST, FINAL, "9f" * 32, 2_400)
    )
    service = write_set(draw, folder / "service", test, 84.0)
    service_final = write_set(draw, folder / "service-final", final, 84.0)
    sets = [service, service_final, write_set(draw, folder / "base", test, 22.0, service)]
    for cycle, mean in enumerate((55.0, 70.0, 82.0)):
        where = folder / "cycles" / f"{cycle:03d}"
        write_cycle(draw, where, cycle)
        sets.append(write_set(draw, where, test, mean, service))
    sets.append(write_set(draw, folder / "final" / "002", final, 81.0, service_final))
    verdict = Verdict(
        outcome="passed",
        reason="Cycle 2 meets every target.",
        cycle=2,
        best_cycle=2,
        reference_sources=("human",),
    )
    write_record(folder / "verdict.json", verdict)
    return sum(len(one.judgements.scored) for one in sets)


def once(folder: Path) -> tuple[float, float, float, int]:
    """(gather, write, whole process with its imports) in seconds, and the page's bytes."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", ONCE, str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    whole = time.perf_counter() - begun
    gather, write, size = json.loads(done.stdout)
    return gather, write, whole, size


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "orders"
        judgements = write_run(folder)
        bytes_on_disk = sum(path.stat().st_size for path in folder.rglob("*.jsonl"))
        measured = [once(folder) for _ in range(TIMES)]
    gather, write, whole = (median(one[place] for one in measured) for place in range(3))
    size = measured[0][3]
    found = {
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"one of {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "times": TIMES,
        "judgements": judgements,
        "jsonl_bytes": bytes_on_disk,
        "gather_seconds": round(gather, 2),
        "write_seconds": round(write, 2),
        "process_seconds": round(whole, 2),
        "html_bytes": size,
        "asked": {"seconds": MOST_SECONDS, "html_bytes": MOST_BYTES},
        "met": gather + write < MOST_SECONDS and size < MOST_BYTES,
    }
    result = json.dumps(found, indent=2) + "\n"
    Path(__file__).with_name("report.json").write_text(result)
    print(result)


if __name__ == "__main__":
    main()
