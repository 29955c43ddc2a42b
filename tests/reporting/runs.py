"""Synthetic run directories, written through the storage that real runs use.

The figures are made up so that every sum can be checked by hand; the layout is a run's own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from llamaduo.records import (
    PANEL,
    Breakdown,
    Comparison,
    Confusion,
    Divergence,
    Dropped,
    HumanAgreement,
    InferenceFigures,
    Interval,
    JudgeFinding,
    Judgement,
    JudgeReport,
    JudgingEffort,
    Mark,
    Measure,
    Message,
    Metric,
    MetricScores,
    NonInferiority,
    Pair,
    PanelReport,
    Parity,
    ParityCheck,
    Provenance,
    ReferenceSource,
    Response,
    Scores,
    Slice,
    TokenStatistics,
    TrainingFigures,
    Unscored,
    Verdict,
    WinRate,
    pair_id,
)
from llamaduo.reporting.panel import PanelScore
from llamaduo.service.ledger import SpendRow
from llamaduo.storage.atomic import write_atomic
from llamaduo.storage.jsonl import write_record, write_records

JUDGES = ("openai-chat:judge-a", "anthropic:judge-b")

RUN_YAML = """\
llamaduo: {version: 0.1.0, rehearsed: REHEARSED}
task: {kind: classification, topic: support-ticket triage, labels: [], json_schema: null}
coverage: {data: [tickets.jsonl], train_fraction: 0.8}
service: {model: "openai-chat:gpt-4o", base_url: null, concurrency: 8}
local: {model: smollm2-135m-instruct, revision: null}
inference: {responses_per_prompt: 4, temperature: 0.7, top_p: 0.95}
judging:
  judges: [{model: "openai-chat:judge-a"}, {model: "anthropic:judge-b"}]
  judgements_per_response: 2
  score_thresholds: [50, 70]
synthesis: {pairs: 128, growth: 2.0, pairs_per_request: 5}
target:
  precision: {mean_score: 80.0, coverage_percentage: {'70': 90.0}}
  similarity: {mean_score: null, coverage_percentage: {}}
limits: {cycles: 4, patience: 2, min_gain: 1.0, budget_usd: 5.0}
"""

SPEND = (
    SpendRow(
        stage="judge",
        model="openai-chat:judge-a",
        answered=1200,
        in_doubt=1,
        failed=2,
        input_tokens=480_000,
        output_tokens=96_000,
        usd=2.16,
        priced=True,
    ),
    SpendRow(
        stage="synthesize",
        model="openai-chat:gpt-4o",
        answered=60,
        in_doubt=0,
        failed=0,
        input_tokens=30_000,
        output_tokens=24_000,
        usd=0.315,
        priced=True,
    ),
)


def pair(prompt: str, response: str, source: ReferenceSource = "human", system: str = "") -> Pair:
    first = (Message("system", system),) if system else ()
    messages = (*first, Message("user", prompt))
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source=source,
        provenance=Provenance(origin="coverage", source="tickets.jsonl:1"),
    )


def metric(
    mean: float | None, over_50: float, over_70: float, unscored: int = 0, judges: int = 1
) -> MetricScores:
    """Scores of 64 responses, judged twice by each judge; every interval is ± 4, within 0–100."""
    middle = mean if mean is not None else 0.0
    return MetricScores(
        mean_score=mean,
        coverage_percentage={50: over_50, 70: over_70},
        responses=64,
        scored=128 * judges - unscored,
        unscored=unscored,
        lowest=middle - unscored,
        highest=middle + unscored,
        interval=None if mean is None else around(mean),
        intervals={50: around(over_50), 70: around(over_70)},
    )


def around(value: float, half: float = 4.0) -> Interval:
    return Interval(max(0.0, value - half), min(100.0, value + half))


def measure(value: float, half: float = 4.0, prompts: int = 16, responses: int = 64) -> Measure:
    """A figure of 64 responses to 16 prompts, ± ``half``; differences may be below zero."""
    return Measure(value, Interval(value - half, value + half), prompts, responses)


def scores(precision: float, similarity: float, unscored: int = 0) -> Scores:
    """Scores by two judges, the second three points more lenient; 64 responses to 16 prompts."""
    lenient: dict[Metric, MetricScores] = {
        "precision": metric(precision + 3, 90.0, 75.0),
        "similarity": metric(similarity + 3, 80.0, 60.0),
    }
    strict: dict[Metric, MetricScores] = {
        "precision": metric(precision - 3, 88.0, 71.0, unscored),
        "similarity": metric(similarity - 3, 78.0, 52.0, unscored),
    }
    panel: dict[Metric, MetricScores] = {
        "precision": metric(precision, min(precision + 4, 100), max(precision - 6, 0), unscored, 2),
        "similarity": metric(
            similarity, min(similarity + 4, 100), max(similarity - 9, 0), unscored
        ),
    }
    return Scores(
        prompts=16,
        responses=64,
        judges={JUDGES[0]: strict, JUDGES[1]: lenient},
        panel=panel,
        free={"exact_match": measure(precision / 2)},
    )


def inference(new_tokens: int = 1024, took: float = 8.0) -> InferenceFigures:
    return InferenceFigures(
        prompts=16,
        responses=64,
        too_long=1,
        new_tokens=new_tokens,
        seconds=took,
        p50_seconds=0.91,
        p95_seconds=1.42,
        truncated=3,
        empty=1,
        engine="transformers",
        peak_memory_bytes=1_230_000_000,
    )


def training(pairs: int) -> TrainingFigures:
    return TrainingFigures(
        pairs=pairs,
        set_aside=2,
        epochs=2.0,
        steps=pairs // 4,
        tokens=pairs * 150,
        seconds=pairs * 0.75,
        first_loss=2.413,
        last_loss=0.318,
    )


def verdict(cycle: int, outcome: Any, reason: str, shortfalls: tuple[str, ...] = ()) -> Verdict:
    return Verdict(
        outcome=outcome,
        reason=reason,
        cycle=cycle,
        best_cycle=cycle,
        reference_sources=("human", "service"),
        shortfalls=shortfalls,
    )


def response(pair: Pair, index: int, text: str) -> Response:
    return Response(
        id=f"{pair.id}-{index}",
        pair_id=pair.id,
        index=index,
        author="local",
        text=text,
        finish="stop",
        prompt_tokens=73,
        new_tokens=16,
        seconds=0.9,
    )


def judgements(response: Response, precision: int, similarity: int, reason: str) -> list[Judgement]:
    """Two judgements by each judge, all alike."""
    return [
        Judgement(
            response_id=response.id,
            pair_id=response.pair_id,
            judge=judge,
            index=index,
            marks={
                "similarity": Mark(similarity, f"{reason} Compared with the reference."),
                "precision": Mark(precision, reason),
            },
            snapshot="judge-2026-11",
            call="abc",
        )
        for judge in JUDGES
        for index in range(2)
    ]


def marked(judgement: Judgement, **scores: int) -> Judgement:
    """The judgement with other scores for these metrics."""
    changed = {name: replace(judgement.marks[name], score=score) for name, score in scores.items()}
    return replace(judgement, marks={**judgement.marks, **changed})


def panel_score(**scores: float) -> PanelScore:
    return PanelScore(scores)


def write_json(path: Path, value: object) -> None:
    write_atomic(path, json.dumps(value))


def start_run(folder: Path, *, rehearsed: bool = False) -> Path:
    """A run that has its configuration and nothing else."""
    write_atomic(folder / "run.yaml", RUN_YAML.replace("REHEARSED", str(rehearsed).lower()))
    return folder


def write_coverage(folder: Path, test: list[Pair], final: int = 0) -> None:
    train = [pair(f"train prompt {number}", "label") for number in range(64)]
    coverage = folder / "coverage"
    write_records(coverage / "accepted.jsonl", [*train, *test])
    write_records(coverage / "train.jsonl", train)
    write_records(coverage / "test.jsonl", test)
    write_records(coverage / "final.jsonl", [])
    write_json(
        coverage / "import.json",
        {
            "read": 1100,
            "accepted": 80 + final,
            "duplicates": 3,
            "refused": [
                {"place": "tickets.jsonl:7", "reason": "tool calls are not supported"},
                {"place": "tickets.jsonl:9", "reason": "tool calls are not supported"},
                {"place": "tickets.jsonl:12", "reason": "the response is empty"},
            ],
        },
    )
    write_json(
        coverage / "split.json",
        {
            "train": 64,
            "test": 16,
            "final": final,
            "sha256": "9f" * 32,
            "clusters": 71,
            "leaks": [["aaaa", "bbbb"]],
        },
    )
    write_json(
        coverage / "lengths.json",
        {
            "pairs": 80,
            "fits": 78,
            "longest_prompt": 1410,
            "longest_response": 61,
            "histogram": [[128, 70], [2048, 10]],
            "window": 1024,
            "answer_tokens": 92,
            "tokens": {
                "train": {
                    "pairs": 64,
                    "shortest": 85,
                    "longest": 2386,
                    "mean": 389.25,
                    "deviation": 256.0,
                },
                "test": {
                    "pairs": 16,
                    "shortest": 148,
                    "longest": 1150,
                    "mean": 426.0,
                    "deviation": 245.5,
                },
            },
        },
    )


def write_answers(folder: Path, found: Scores, unscored: int = 0) -> None:
    write_record(folder / "scores.json", found)
    write_record(folder / "inference.json", inference())
    lost = [
        Unscored(
            response_id="r",
            pair_id="p",
            judge=JUDGES[0],
            index=number,
            kind="malformed",
            reason="score out of range",
        )
        for number in range(unscored)
    ]
    write_records(folder / "unscored.jsonl", lost)


def write_batch(folder: Path, made: int, drops: dict[tuple[str, str], int]) -> None:
    """A synthetic batch: ``drops`` counts what curation dropped by (step, reason)."""
    lost = [
        Dropped(
            pair=pair(f"synthetic {step} {number}", "label"),
            step=step,
            reason=f"{reason} (0.{number:02d})",
        )
        for (step, reason), count in drops.items()
        for number in range(count)
    ]
    write_records(folder / "dropped.jsonl", lost)
    by_step: dict[str, int] = {}
    for one in lost:
        by_step[one.step] = by_step.get(one.step, 0) + 1
    write_json(
        folder / "synthesis.json",
        {"cycle": 0, "pairs": made, "requests": 26, "salvaged": 1, "malformed": 2},
    )
    write_json(
        folder / "curation.json",
        {"kept": made - len(lost), "dropped": by_step, "discounted": ["Classify the ticket:"]},
    )


def write_tokens(folder: Path, kept: int) -> None:
    """Token statistics of what was kept of a synthetic batch."""
    found = TokenStatistics(pairs=kept, shortest=10, longest=2386, mean=95.0, deviation=53.0)
    write_record(folder / "tokens.json", found)


def parity(*, passed: bool = True) -> Parity:
    """A merged model that answers alike, and a quantized one that differs at one prompt of 16."""
    merged = ParityCheck(
        form="merged",
        prompts=16,
        identical=16,
        templates_equal=True,
        exact_match_difference=0.0,
        passed=True,
        reason="every answer is identical",
    )
    quantized = ParityCheck(
        form="gguf Q8_0",
        prompts=16,
        identical=15,
        templates_equal=False,
        template_note="no generation prompt",
        exact_match_difference=-6.25,
        score_difference={"precision": -0.4, "similarity": 0.3},
        first_divergence=Divergence(pair_id="ab12", at=5, expected="bug, high", found="bug, low"),
        passed=passed,
        reason="scores within one point",
    )
    return Parity(cycle=1, prompts=16, required=0.99, checks=(merged, quantized))


def whole_run(folder: Path, *, rehearsed: bool = False) -> Path:
    """A finished run: base, two cycles, one batch between, target met, no final split."""
    start_run(folder, rehearsed=rehearsed)
    test = [
        pair(f"test prompt {n}", f"label {n}", "service" if n % 4 == 0 else "human", "Triage.")
        for n in range(16)
    ]
    write_coverage(folder, test)
    write_answers(folder / "base", scores(12.0, 20.0))
    first, second = folder / "cycles" / "000", folder / "cycles" / "001"
    write_answers(first, scores(61.25, 55.5, unscored=2), unscored=2)
    write_record(first / "training.json", training(64))
    write_record(
        first / "verdict.json",
        verdict(
            0, "continue", "mean precision 61.2 is below 80.0.", ("mean precision 61.2 of 80",)
        ),
    )
    drops = {
        ("novelty", "too like a kept pair"): 20,
        ("decontamination", "like a held-out prompt"): 3,
        ("exact duplicates", "the same pair is kept already"): 9,
    }
    write_batch(first, 128, drops)
    write_tokens(first, 96)
    write_answers(second, scores(91.5, 84.0))
    write_record(second / "training.json", training(160))
    met = verdict(1, "passed", "Every target is met by cycle 1.")
    write_record(second / "verdict.json", met)
    write_samples(second, test)
    write_record(folder / "verdict.json", met)
    return folder


def write_samples(folder: Path, test: list[Pair]) -> None:
    """One response to each test prompt; the nth scores 5 × n for precision, 4 × n similarity."""
    responses = [response(one, 0, f"answer {number}") for number, one in enumerate(test)]
    found = [
        judgement
        for number, one in enumerate(responses)
        for judgement in judgements(one, 5 * number, 4 * number, f"Reason {number}.")
    ]
    write_records(folder / "responses.jsonl", responses)
    write_records(folder / "judgements.jsonl", found)


# --- with everything that judging can leave ----------------------------------------------------

RICH = """\
  aggregate: median
  stopping: adaptive
  service_responses: 1
  pairwise: true
  metrics: {tone_of_voice: "100 is friendly and plain, 0 is rude."}
"""
RICH_TARGET = """\
  metrics: {tone_of_voice: {mean_score: 70.0, coverage_percentage: {}}}
  free: {label_accuracy: 95.0}
  win_rate: 45.0
  not_worse_than_service_by: 5.0
  evidence: interval
"""


def rich_run(folder: Path, *, references: ReferenceSource = "human") -> Path:
    """A finished run with a custom metric, the service LLM's own answers to both splits, pairwise
    comparison, slices, confusions and reports about the judges. It ended undecided."""
    whole_run(folder)
    path = folder / "run.yaml"
    text = path.read_text().replace("synthesis:", f"{RICH}synthesis:")
    write_atomic(path, text.replace("limits:", f"{RICH_TARGET}limits:"))
    held_out = [pair(f"held-out prompt {n}", f"label {n}", references) for n in range(16)]
    write_coverage(folder, held_out, final=8)
    write_records(folder / "coverage" / "final.jsonl", held_out[:8])
    sets = {
        "base": (12.0, 20.0),
        "cycles/000": (61.25, 55.5),
        "cycles/001": (91.5, 84.0),
        "service": (95.0, 80.0),
        "final/001": (88.0, 81.0),
        "service-final": (94.0, 79.0),
    }
    for where, (precision, similarity) in sets.items():
        write_rich_answers(folder / where, precision, similarity, held_out)
    undecided = replace(
        verdict(1, "undecided", "Its interval holds the target."),
        prompts_needed=240,
        non_inferiority=NonInferiority(
            metric="precision",
            margin=5.0,
            difference=measure(-6.0, 3.5, prompts=8, responses=32),
            standing="undecided",
        ),
    )
    write_record(folder / "verdict.json", undecided)
    return folder


def write_rich_answers(
    folder: Path, precision: float, similarity: float, held_out: list[Pair]
) -> None:
    write_record(folder / "scores.json", rich_scores(precision, similarity, folder.name))
    write_record(folder / "breakdown.json", breakdown(precision))
    write_record(folder / "judges.json", panel_report())
    responses = [response(one, 0, f"answer {number}") for number, one in enumerate(held_out)]
    found = [
        replace(judgement, marks={**judgement.marks, "tone_of_voice": Mark(70 + n, "Plain.")})
        for n, one in enumerate(responses)
        for judgement in judgements(one, 5 * n, 4 * n, f"Reason {n}.")
    ]
    write_records(folder / "responses.jsonl", responses)
    write_records(folder / "judgements.jsonl", found)
    if not folder.name.startswith("service"):
        write_comparisons(folder, responses)


def rich_scores(precision: float, similarity: float, name: str) -> Scores:
    """:func:`scores` with a third metric, and everything that is compared with the service LLM."""
    plain = scores(precision, similarity)
    tone: dict[Metric, MetricScores] = {"tone_of_voice": metric(precision - 10, 80.0, 55.5)}
    free = {
        "exact_match": measure(precision / 2),
        "label_accuracy": measure(precision - 2),
        "rouge_l": measure(similarity, prompts=15, responses=60),
    }
    found = replace(
        plain,
        judges={judge: {**by_metric, **tone} for judge, by_metric in plain.judges.items()},
        panel={**plain.panel, **tone},
        free=free,
        effort=JudgingEffort(
            stopping="adaptive",
            rounds=3,
            asked=64,
            fixed=256,
            standing="undecided",
            confidence=0.988,
        ),
    )
    if name.startswith("service"):
        return found
    rate = WinRate(wins=20, ties=24, losses=20, rate=measure(50.0, 11.5), unscored=2)
    return replace(
        found,
        versus_service={
            "precision": measure(precision - 95, 5.5),
            "similarity": measure(similarity - 80, 3.0),
            "exact_match": measure(precision / 2 - 47.5, 9.0),
        },
        win_rates={PANEL: rate, **dict.fromkeys(JUDGES, rate)},
    )


def breakdown(precision: float) -> Breakdown:
    """Slices by label, language and length, twelve in all, and a confusion of three labels."""
    names = {
        "label": [f"label {number}" for number in range(7)],
        "language": ["English", "German"],
        "length": ["up to 50 words", "51 to 200 words", "over 200 words"],
    }
    slices = [
        Slice(
            by=by,  # type: ignore[arg-type]
            name=name,
            prompts=4 * (n + 1),
            responses=16 * (n + 1),
            measures={
                "precision": measure(precision - 3 * n, 9.0, 4 * (n + 1), 16 * (n + 1)),
                "label_accuracy": measure(precision - 2, 9.0, 4 * (n + 1), 16 * (n + 1)),
            },
        )
        for by, found in names.items()
        for n, name in enumerate(found)
    ]
    confusion = Confusion(
        labels=("billing", "login", "shipping"),
        counts=((20, 1, 0, 1), (0, 18, 2, 0), (3, 0, 16, 3)),
    )
    return Breakdown(slices=tuple(slices), confusion=confusion)


def panel_report(*findings: JudgeFinding) -> PanelReport:
    """The second judge is of the generator's family, and was another model half-way."""
    found = findings or (
        JudgeFinding("related", f"{JUDGES[0]} is of the generator’s family.", False),
        JudgeFinding("constant", f"{JUDGES[0]} gives 100 to right and wrong answers.", True),
    )
    one = JudgeReport(
        judge=JUDGES[0],
        family="OpenAI",
        related=True,
        snapshots={"judge-a-2026-01": 100, "judge-a-2026-02": 28},
        scored=128,
        refused=3,
        malformed=1,
        repaired=2,
        repeat_deviation={"precision": 6.25, "similarity": 7.5, "tone_of_voice": 9.0},
        length_slope=measure(1.5, 1.0),
        position_preference=measure(-4.0, 6.0),
        family_bias=measure(3.25, 2.0),
        findings=found,
    )
    other = replace(one, judge=JUDGES[1], family="Anthropic", related=False, findings=())
    return PanelReport(
        judges=(one, other),
        alpha={"precision": 0.81, "similarity": 0.774, "tone_of_voice": None},
        human=(
            HumanAgreement(
                judge=PANEL, metric="precision", responses=40, spearman=0.75, kappa=-0.125
            ),
        ),
    )


def write_comparisons(folder: Path, responses: list[Response]) -> None:
    compared = [
        Comparison(
            response_id=one.id,
            rival_id=f"{one.pair_id}-service",
            pair_id=one.pair_id,
            judge=JUDGES[0],
            index=0,
            local_first=local_first,
            better="tie",
            reason="Both are right.",
            snapshot="judge-2026-11",
            call="abc",
        )
        for one in responses
        for local_first in (True, False)
    ]
    lost = Unscored(
        response_id="r", pair_id="p", judge=JUDGES[0], index=1, kind="refused", reason="refused"
    )
    write_records(folder / "comparisons.jsonl", compared)
    write_records(folder / "uncompared.jsonl", [lost])
