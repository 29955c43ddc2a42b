"""How long 100,000 judgements take to become scores, with intervals.

    python benchmarks/judging/scoring.py [--repeats 5]

1,000 prompts, K = 10 responses to each, M = 5 judgements of each by 2 judges, in the product's own
records. Scores are drawn as in ``generator.py``'s simulations; responses are of 30, 60 or 150
words, four fifths of them their reference's, or one of four labels. Timed are, each by itself:
what judges said (means, coverage percentages at two ζ, by judge and for the panel, with all
intervals), every metric that costs nothing, and all that follows from a finished judging
(``conclude``: both of these, slices, the report on the judges). Every repeat starts with empty
caches; the median counts.

Takes about two minutes. Writes ``scoring.json`` and ``scoring.md`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from llamaduo.evaluation.assess import Material, Rules, conclude
from llamaduo.evaluation.free import free_measures, measure_each
from llamaduo.evaluation.scores import score
from llamaduo.evaluation.settings import JudgingSettings, MetricTarget, TargetSettings
from llamaduo.records import (
    Judged,
    Judgement,
    Judgements,
    Mark,
    Message,
    Pair,
    Provenance,
    Response,
    pair_id,
)
from llamaduo.tasks import code, metrics
from llamaduo.tasks.settings import TaskSettings

HERE = Path(__file__).parent
PROMPTS, K, M = 1_000, 10, 5
JUDGES = ("openai-chat:judge-a", "anthropic:judge-b")
WORDS = (30, 60, 150)
LABELS = ("billing", "delivery", "returns", "other")
KEPT = 0.8
"""The share of a reference's words that a response repeats, in order."""
JUDGED = "what judges said: means, coverage percentages, intervals"
FREE = "metrics that cost nothing"
WHOLE = "everything: both, slices, the report on the judges"
BOUND_S = 5.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What the responses are, and the task that they are of."""

    name: str
    task: TaskSettings
    judged: Judged
    pairs: tuple[Pair, ...]


def main() -> None:
    repeats = _parser().parse_args().repeats
    rows = [row for shape in shapes() for row in measured(shape, repeats)]
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "scipy")},
        "judgements": PROMPTS * K * M * len(JUDGES),
        "repeats": repeats,
        "rows": rows,
    }
    (HERE / "scoring.json").write_text(json.dumps(found, indent=2) + "\n")
    (HERE / "scoring.md").write_text(table(found))
    slow = [row for row in rows if row["seconds"] >= BOUND_S]
    sys.exit(f"{len(slow)} figures are not below {BOUND_S:g} s" if slow else 0)


def measured(shape: Shape, repeats: int) -> Iterator[dict[str, Any]]:
    works: dict[str, Callable[[], object]] = {
        JUDGED: lambda: score(wordless(shape.judged), shape.pairs, JUDGING, shape.task),
        FREE: lambda: free_measures(
            shape.judged.responses,
            measure_each(shape.judged.responses, shape.pairs, shape.task),
            shape.task,
        ),
        "scores.json: judges and free metrics": lambda: score(
            shape.judged, shape.pairs, JUDGING, shape.task
        ),
        WHOLE: lambda: conclude(material(shape), rules(shape.task)),
    }
    for what, work in works.items():
        taken = [timed(work) for _ in range(repeats)]
        row = {"responses": shape.name, "what": what, "seconds": statistics.median(taken)}
        print(f"{shape.name:>10}  {what:<60} {row['seconds']:6.2f} s", flush=True)
        yield {**row, "all": [round(one, 3) for one in taken]}


def timed(work: Callable[[], object]) -> float:
    for cache in (*vars(metrics).values(), *vars(code).values()):
        if hasattr(cache, "cache_clear"):
            cache.cache_clear()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- the records ----------------------------------------------------------------------------

JUDGING = JudgingSettings(judgements_per_response=M)


def rules(task: TaskSettings) -> Rules:
    return Rules(
        judging=JUDGING,
        target=TargetSettings(precision=MetricTarget(mean_score=70.0)),
        task=task,
        measured=task,
        generator="openai-chat:gpt-4o",
        models=dict(zip(JUDGES, JUDGES, strict=True)),
        script_of=lambda _: "Latin",
    )


def material(shape: Shape) -> Material:
    return Material(
        responses=shape.judged.responses,
        pairs=shape.pairs,
        controls=Judgements((), ()),
        judgements=shape.judged.judgements,
        rounds=1,
    )


def wordless(judged: Judged) -> Judged:
    """The same without texts, so that metrics that cost nothing take next to no time."""
    return replace(judged, responses=tuple(replace(one, text="") for one in judged.responses))


def shapes() -> Iterator[Shape]:
    rng = np.random.default_rng(6)
    vocabulary = ["".join(rng.choice(list("abcdefghijklmnop"), 6)) for _ in range(5_000)]
    for words in WORDS:
        references = [list(rng.choice(vocabulary, words)) for _ in range(PROMPTS)]
        texts = [[_changed(rng, own, vocabulary) for _ in range(K)] for own in references]
        yield _shape(f"{words} words", TaskSettings(), rng, list(map(" ".join, references)), texts)
    labels = [str(rng.choice(LABELS)) for _ in range(PROMPTS)]
    given = [[str(rng.choice([own, *LABELS])) for _ in range(K)] for own in labels]
    task = TaskSettings(kind="classification", labels=LABELS)
    yield _shape("labels", task, rng, labels, given)


def _changed(rng: np.random.Generator, reference: Sequence[str], vocabulary: Sequence[str]) -> str:
    kept = rng.random(len(reference)) < KEPT
    other = rng.choice(vocabulary, len(reference))
    return " ".join(
        w if keep else str(o) for w, keep, o in zip(reference, kept, other, strict=True)
    )


def _shape(
    name: str,
    task: TaskSettings,
    rng: np.random.Generator,
    references: Sequence[str],
    texts: Sequence[Sequence[str]],
) -> Shape:
    pairs = tuple(_pair(n, reference) for n, reference in enumerate(references))
    responses = tuple(
        _response(pair, k, text)
        for pair, own in zip(pairs, texts, strict=True)
        for k, text in enumerate(own)
    )
    return Shape(name, task, Judged(responses, _judgements(rng, responses)), pairs)


def _pair(number: int, reference: str) -> Pair:
    messages = (Message("user", f"Question {number} about this and that"),)
    return Pair(
        id=pair_id(messages, reference),
        messages=messages,
        response=reference,
        reference_source="human",
        provenance=Provenance(origin="coverage", source=f"made.jsonl:{number}"),
    )


def _response(pair: Pair, index: int, text: str) -> Response:
    return Response(
        id=f"{pair.id}-{index}",
        pair_id=pair.id,
        index=index,
        author="local",
        text=text,
        finish="stop",
        prompt_tokens=40,
        new_tokens=60,
        seconds=0.4,
    )


def _judgements(rng: np.random.Generator, responses: Sequence[Response]) -> Judgements:
    """Standard deviations of 20 between prompts, 10 between responses, 8 between repeats."""
    prompts = np.repeat(rng.normal(70, 20, PROMPTS), K)
    worth = prompts + rng.normal(0, 10, len(responses))
    drawn = worth[:, None, None] + rng.normal(0, 8, (len(responses), len(JUDGES), 2 * M))
    points = np.clip(np.rint(drawn), 0, 100).astype(int)
    scored = [
        Judgement(
            response_id=response.id,
            pair_id=response.pair_id,
            judge=judge,
            index=index,
            marks={
                "similarity": Mark(int(own[j, 2 * index]), "So it is."),
                "precision": Mark(int(own[j, 2 * index + 1]), "So it is."),
            },
            snapshot=f"{judge}-2026-11",
            call="0" * 64,
        )
        for j, judge in enumerate(JUDGES)
        for response, own in zip(responses, points, strict=True)
        for index in range(M)
    ]
    return Judgements(tuple(scored), ())


# --- what is written ------------------------------------------------------------------------


def table(found: dict[str, Any]) -> str:
    rows = found["rows"]
    shown = list(dict.fromkeys(row["responses"] for row in rows))
    by_place = {(row["what"], row["responses"]): row["seconds"] for row in rows}
    lines = [
        "# How long scoring takes",
        "",
        (
            f"{found['judgements']:,} judgements: {PROMPTS:,} prompts, K = {K}, M = {M},"
            f" {len(JUDGES)} judges. Seconds, the median of {found['repeats']}, on"
            f" {found['machine']}, Python {found['python']}; at most {BOUND_S:g} are asked for."
        ),
        "",
        f"| | {' | '.join(shown)} |",
        f"| --- | {' | '.join('---:' for _ in shown)} |",
        *(
            f"| {what} | {' | '.join(f'{by_place[what, name]:.2f}' for name in shown)} |"
            for what in dict.fromkeys(row["what"] for row in rows)
        ),
        "",
        (
            "Of free tasks the metrics that cost nothing are exact match and ROUGE-L, of"
            " classification label accuracy too. `benchmarks/judging/scoring.py` measures it."
        ),
    ]
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    return parser


if __name__ == "__main__":
    main()
