"""A small finished run with a bundle that can be published: written as a run writes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from llamaduo.deployment.bundle import Bundle, Generation, building, seal
from llamaduo.deployment.card import CardFacts, card
from llamaduo.deployment.dataset import data_facts, read_pairs
from llamaduo.records import (
    Interval,
    Measure,
    Message,
    Metric,
    MetricScores,
    Pair,
    Provenance,
    ReferenceSource,
    Scores,
    SplitFigures,
    Terms,
    Verdict,
    pair_id,
)
from llamaduo.storage.jsonl import write_record, write_records
from llamaduo.tasks.settings import TaskSettings

JUDGE = "openai-chat:gpt-4o"
TASK = TaskSettings(kind="classification", topic="support tickets")
ALLOWED = Terms(service=JUDGE, text="https://provider.example/terms: yes.", allow_publishing=True)


def pair(
    prompt: str,
    response: str = "login, low",
    source: ReferenceSource = "human",
    *,
    cycle: int | None = None,
    metadata: dict[str, str] | None = None,
) -> Pair:
    messages = (Message("system", "Triage."), Message("user", prompt))
    made = Provenance(
        origin="coverage" if cycle is None else "synthetic",
        source="private/customers.jsonl:7",
        cycle=cycle,
        seeds=() if cycle is None else ("aaaa",),
        call=None if cycle is None else "ledger-key",
    )
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source=source,
        provenance=made,
        metadata=metadata or {},
    )


def metric(mean: float | None) -> MetricScores:
    return MetricScores(
        mean_score=mean,
        coverage_percentage={} if mean is None else {50: 90.0, 70: 62.5},
        responses=8,
        scored=16,
        unscored=1,
        lowest=70.0,
        highest=80.0,
        interval=None if mean is None else Interval(mean - 6, mean + 6),
        intervals={} if mean is None else {50: Interval(60.0, 98.0), 70: Interval(30.0, 86.0)},
    )


def scores(mean: float, judges: tuple[str, ...] = (JUDGE,)) -> Scores:
    both: dict[Metric, MetricScores] = {"similarity": metric(mean - 5), "precision": metric(mean)}
    return Scores(
        prompts=4,
        responses=8,
        judges=dict.fromkeys(judges, both),
        panel=both,
        free={"exact_match": Measure(37.5, Interval(12.5, 71.0), 4, 8)},
    )


def bundle(**changes: object) -> Bundle:
    """A bundle of cycle 1 that met its target, but for ``changes``."""
    verdict = Verdict(
        outcome="passed",
        reason="Cycle 1 meets every target.",
        cycle=1,
        best_cycle=1,
        reference_sources=("human",),
    )
    made = Bundle(
        name="tickets",
        form="adapter",
        dtype="float32",
        label="target met",
        model="smollm2-135m-instruct",
        fingerprint="f1" * 32,
        licence="apache-2.0",
        cycle=1,
        window=8192,
        generation=Generation(temperature=0.7, top_p=0.95, max_new_tokens=12),
        verdict=verdict,
        scores=scores(81.25),
        rehearsed=False,
        service=JUDGE,
        judges=(JUDGE,),
        versions={"llamaduo": "0.1.0"},
        seeds={"finetuning": 7},
        data={"split": "9f" * 32},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def write_run(
    root: Path,
    *,
    train: tuple[Pair, ...] = (pair("my password keeps failing"),),
    test: tuple[Pair, ...] = (pair("the invoice is too high", "billing, low"),),
    synthetic: tuple[Pair, ...] = (),
    packed: Bundle | None = None,
) -> Path:
    """A run directory with coverage, a batch of synthetic pairs and a bundle; its place."""
    for name, pairs in {"train": train, "test": test, "final": ()}.items():
        write_records(root / "coverage" / f"{name}.jsonl", pairs)
    figures = SplitFigures(len(train), len(test), 0, "9f" * 32, len(train) + len(test))
    write_record(root / "coverage" / "split.json", figures)
    write_records(root / "cycles" / "000" / "synthetic.jsonl", synthetic)
    described = packed or bundle()
    with building(root / "bundle") as folder:
        (folder / "adapter_model.safetensors").write_bytes(b"weights" * 1000)
        (folder / "adapter_config.json").write_text(json.dumps({"r": 8}))
        (folder / "tokenizer.json").write_text("{}")
        facts = CardFacts(bundle=described, data=data_facts(read_pairs(root)), task=TASK)
        seal(folder, described, card(facts), root / "bundle")
    return root
