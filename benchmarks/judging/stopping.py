"""What judging in rounds saves, and what it costs: simulated judges and prompts.

    python benchmarks/judging/stopping.py [--trials 4000]

A run has n prompts, K = 4 responses to each and M = 10 judgements of each, from the judges of
``generator.py``. Its target is a mean score of 80, or a coverage percentage of 85 at ζ = 70; the
truth, at full K and M, lies 0, 2, 5 or 10 points from it on either side. Judging goes through
``plan_rounds`` and stops when the interval at the confidence of ``looks_confidences`` leaves the
target out, or, undecided, when ``may_decide`` finds that more judgements will not. A verdict is
wrong where the truth is on the other side of the target (a truth that equals the target meets
it). Beside it, one look with a 95 % interval: at all K × M judgements, and at one judgement of
one response to each prompt.

Takes about two minutes. Writes ``stopping.json`` and ``stopping.md`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from generator import Floats, Noise, level_for, noise, truth

from llamaduo.evaluation.intervals import mean_of
from llamaduo.evaluation.sequential import Round, looks_confidences, may_decide, plan_rounds
from llamaduo.records import Interval

HERE = Path(__file__).parent
PROMPTS = (200, 400)
K, M = 4, 10
THRESHOLD = 70
OFFSETS = (-10, -5, -2, 0, 2, 5, 10)
AT_ONCE = 2_000_000  # scores in memory


@dataclass(frozen=True, slots=True)
class Target:
    """What is aimed at; the figure, and its interval, that scores (prompts, K, M) give."""

    name: str
    bound: float
    measure: Callable[[Noise, float], float]
    look: Callable[[Floats, float], tuple[float, Interval]]


@dataclass(frozen=True, slots=True)
class Design:
    """Which looks are taken, in order, and how sure each is."""

    name: str
    rounds: tuple[Round, ...]
    confidences: tuple[float, ...]


def main() -> None:
    trials = _parser().parse_args().trials
    began = time.perf_counter()
    rows = [
        row
        for target in TARGETS
        for offset in OFFSETS
        for prompts in PROMPTS
        for row in _measured(target, offset, prompts, trials)
    ]
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "scipy")},
        "trials": trials,
        "seconds": round(time.perf_counter() - began),
        "rounds": {str(n): _design(n).rounds for n in PROMPTS},
        "share_at_one": round(truth(level_for(TARGETS[1].bound, _share, M), _share, 1), 2),
        "confidences": {str(n): _design(n).confidences for n in PROMPTS},
        "rows": rows,
    }
    (HERE / "stopping.json").write_text(json.dumps(found, indent=1) + "\n")
    text = "\n".join(_page(found)) + "\n"
    (HERE / "stopping.md").write_text(text)
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure what judging in rounds saves.")
    parser.add_argument("--trials", type=int, default=4_000)
    return parser


# --- what is simulated --------------------------------------------------------------------


def _mean(drawn: Noise, level: float) -> float:
    return float(drawn.scores(level).mean(dtype=np.float64))


def _share(drawn: Noise, level: float) -> float:
    return float(100 * (drawn.scores(level).mean(axis=-1) >= THRESHOLD).mean())


def _mean_look(scores: Floats, confidence: float) -> tuple[float, Interval]:
    values = scores.mean(axis=2).ravel()
    return float(values.mean()), mean_of(values, _numbers(scores), confidence=confidence)


def _share_look(scores: Floats, confidence: float) -> tuple[float, Interval]:
    hits = 100.0 * (scores.mean(axis=2) >= THRESHOLD).ravel()
    return float(hits.mean()), mean_of(hits, _numbers(scores), confidence=confidence)


def _numbers(scores: Floats) -> Any:
    return np.repeat(np.arange(scores.shape[0]), scores.shape[1])


TARGETS = (
    Target("mean score 80", 80, _mean, _mean_look),
    Target("coverage percentage 85", 85, _share, _share_look),
)


def _design(prompts: int) -> Design:
    rounds = plan_rounds(prompts, K, M)
    return Design("adaptive", rounds, looks_confidences(rounds))


# --- what is measured ---------------------------------------------------------------------


def _measured(target: Target, offset: int, prompts: int, trials: int) -> list[dict[str, Any]]:
    designs = (
        _design(prompts),
        Design("fixed K × M", ((prompts, K, M),), (0.95,)),
        Design("fixed 1 × 1", ((prompts, 1, 1),), (0.95,)),
    )
    level = level_for(target.bound + offset, target.measure, M)
    true = truth(level, target.measure, M)
    ends: dict[str, list[tuple[str, int]]] = {design.name: [] for design in designs}
    for scores in _runs(level, prompts, trials):
        for design in designs:
            ends[design.name].append(_judged(scores, target, design))
    met = offset >= 0
    rows = [
        {
            "target": target.name,
            "offset": offset,
            "true": round(true, 2),
            "prompts": prompts,
            "design": design.name,
            **_figures(ends[design.name], design, met=met, fixed=prompts * K * M),
        }
        for design in designs
    ]
    for row in rows:
        print(row, file=sys.stderr)
    return rows


def _runs(level: float, prompts: int, trials: int) -> Iterator[Floats]:
    """The scores of one run after the other: (prompts, K, M)."""
    rng = np.random.default_rng(prompts)
    size = AT_ONCE // (prompts * K * M)
    for start in range(0, trials, size):
        yield from noise(rng, min(size, trials - start), prompts, K, M).scores(level)


def _judged(scores: Floats, target: Target, design: Design) -> tuple[str, int]:
    """How it ends, and after how many rounds."""
    before: Interval | None = None
    asked = (0, 0, 0)
    taken = list(zip(design.rounds, design.confidences, strict=True))
    for number, ((n, k, m), confidence) in enumerate(taken, start=1):
        value, now = target.look(scores[:n, :k, :m], confidence)
        if now.low >= target.bound:
            return "met", number
        if now.high < target.bound:
            return "missed", number
        if before and n == asked[0]:
            growth = k * m / (asked[1] * asked[2])
            if not may_decide(value, target.bound, now, before, growth):
                return "undecided", number
        before, asked = now, (n, k, m)
    return "undecided", len(taken)


def _figures(
    ends: Sequence[tuple[str, int]], design: Design, *, met: bool, fixed: int
) -> dict[str, float]:
    calls = [n * k * m for n, k, m in design.rounds]
    wrong = "missed" if met else "met"
    return {
        "calls": round(100 * float(np.mean([calls[rounds - 1] for _, rounds in ends])) / fixed, 2),
        "wrong": _percent(ends, wrong),
        "undecided": _percent(ends, "undecided"),
    }


def _percent(ends: Sequence[tuple[str, int]], outcome: str) -> float:
    return round(100 * sum(end == outcome for end, _ in ends) / len(ends), 2)


# --- the page -----------------------------------------------------------------------------


def _page(found: dict[str, Any]) -> list[str]:
    rows = found["rows"]
    far = [r for r in rows if r["design"] == "adaptive" and abs(r["offset"]) >= 5]
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    return [
        "# Judging in rounds beside a fixed number of judgements",
        "",
        (
            f"`python benchmarks/judging/stopping.py`, {found['at']}; {found['machine']}, Python"
            f" {found['python']}; {packages}; {found['seconds']} s. {found['trials']:,} simulated"
            f" runs a row; K = {K}, M = {M}; standard deviations of 20 points between prompts, 10"
            " between responses, 8 between repeats (assumed)."
        ),
        "",
        *(
            f"- {n} prompts: {len(rounds)} looks at most ("
            + ", ".join(" × ".join(map(str, one)) for one in rounds)
            + "), with intervals of "
            + ", ".join(f"{100 * one:.2f}" for one in found["confidences"][n])
            + " %."
            for n, rounds in found["rounds"].items()
        ),
        "",
        (
            "Asked where the truth is 5 points or more from the target: at most 20 % of the fixed"
            " calls, at most 2 % wrong. Most of any such row:"
            f" **{max(r['calls'] for r in far):.1f} %** of the calls,"
            f" **{max(r['wrong'] for r in far):.2f} %** wrong."
        ),
        "",
        *(line for target in TARGETS for line in _table(target.name, rows)),
        (
            "Calls are the mean, in % of the fixed K × M. Fixed 1 × 1 is one judgement of one"
            " response to each prompt: 2.5 % of the calls."
        ),
        "",
        (
            "A coverage percentage is of the mean of M scores, so it is not quite the same figure"
            f" at M = 1: where it is 85 with ten judgements, it is {found['share_at_one']:.1f} with"
            " one. Early looks lean to the missed side by as much."
        ),
    ]


def _table(target: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    designs = ("adaptive", "fixed K × M", "fixed 1 × 1")
    found = {(r["prompts"], r["offset"], r["design"]): r for r in rows if r["target"] == target}
    return [
        f"## {target.capitalize()}",
        "",
        (
            "| prompts | truth − target | calls, % | wrong, % | undecided, % |"
            " wrong, fixed K × M | undecided | wrong, fixed 1 × 1 | undecided |"
        ),
        "| ---: |" + " ---: |" * 8,
        *(
            f"| {n} | {offset:+d} | {found[n, offset, 'adaptive']['calls']:.1f} | "
            + " | ".join(
                f"{found[n, offset, design][what]:.1f}"
                for design in designs
                for what in ("wrong", "undecided")
            )
            + " |"
            for n in PROMPTS
            for offset in OFFSETS
        ),
        "",
    ]


if __name__ == "__main__":
    main()
