"""How often 95 % intervals have the truth in them: simulated judges and prompts.

    python benchmarks/judging/intervals.py [--trials 4000]

The judges are those of ``generator.py``. For means (of scores of
all sizes, and of scores that are 97 or 10), shares that reach ζ = 70, win rates with ties, and
differences of means and of shares between two LLMs on the same prompts: for several
true values, 16 to 400 prompts and three efforts (K responses to a prompt, M judgements of each),
4,000 simulated runs. Beside ours:

- *naive*: ± 1.96 standard errors over all K × M scores (all K hits or comparisons), as if each
  were drawn by itself;
- *clustered t*: Student's interval over the means of prompts.

Takes two to five minutes. Writes ``intervals.json`` and ``intervals.md`` beside this file.
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
from generator import Floats, Noise, level_for, noise, truth, two
from numpy.typing import NDArray
from scipy.special import stdtrit

from llamaduo.evaluation.intervals import difference_of, mean_of
from llamaduo.records import Interval

HERE = Path(__file__).parent
PROMPTS = (16, 50, 200, 400)
EFFORTS = ((4, 10), (4, 2), (1, 1))
THRESHOLD = 70
MEANS = (60, 75, 85, 92)
SHARES = (50, 70, 85, 90, 95, 97)
VERDICTS = (80, 88, 92.5, 95)
WINS = (30, 50, 70, 90)
MEAN_PAIRS = ((60, 75), (75, 75), (92, 85), (92, 92))
VERDICT_PAIRS = ((92.5, 92.5), (88, 95))
SHARE_PAIRS = ((50, 70), (85, 85), (90, 97), (97, 97))
ASKED = 93.0
AT_ONCE = 2_000_000  # scores in memory

Bounds = NDArray[np.float64]
"""(trials, 2): low and high."""


@dataclass(frozen=True, slots=True)
class Case:
    """One true figure. ``draws`` gives, for so many trials and prompts, the values that each
    method sees: all scores, and the responses' own, of one LLM or of two."""

    kind: str
    name: str
    k: int
    m: int
    true: float
    draw: Callable[[np.random.Generator, int, int], Sequence[tuple[Floats, Floats]]]
    ours: Callable[..., Interval]


def main() -> None:
    trials = _parser().parse_args().trials
    began = time.perf_counter()
    rows = [_measured(case, prompts, trials) for case in _cases() for prompts in PROMPTS]
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "scipy")},
        "trials": trials,
        "seconds": round(time.perf_counter() - began),
        "rows": rows,
    }
    (HERE / "intervals.json").write_text(json.dumps(found, indent=1) + "\n")
    text = "\n".join(_page(found)) + "\n"
    (HERE / "intervals.md").write_text(text)
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure how often intervals cover the truth.")
    parser.add_argument("--trials", type=int, default=4_000)
    return parser


# --- what is simulated --------------------------------------------------------------------


def _mean(drawn: Noise, level: float) -> float:
    return float(drawn.scores(level).mean(dtype=np.float64))


def _share(drawn: Noise, level: float) -> float:
    return float(100 * (drawn.scores(level).mean(axis=-1) >= THRESHOLD).mean())


def _wins(drawn: Noise, level: float) -> float:
    return float(100 * drawn.points(level).mean(dtype=np.float64))


def _seen_scores(drawn: Noise, level: float) -> tuple[Floats, Floats]:
    scores = drawn.scores(level)
    return scores, scores.mean(axis=-1)


def _seen_hits(drawn: Noise, level: float) -> tuple[Floats, Floats]:
    hits = 100 * (drawn.scores(level).mean(axis=-1) >= THRESHOLD).astype(np.float32)
    return hits, hits


def _verdicts(drawn: Noise, level: float) -> float:
    return float(_seen_verdicts(drawn, level)[1].mean(dtype=np.float64))


def _seen_verdicts(drawn: Noise, level: float) -> tuple[Floats, Floats]:
    """Scores of answers that are right or wrong, and nothing in between: 97 or 10."""
    scores = np.where(drawn.scores(level) >= THRESHOLD, 97, 10).astype(np.float32)
    return scores, scores.mean(axis=-1)


def _seen_points(drawn: Noise, level: float) -> tuple[Floats, Floats]:
    points = 100 * drawn.points(level)
    return points, points


def _cases() -> Iterator[Case]:
    for k, m in EFFORTS:
        for wanted in MEANS:
            yield _one("mean", wanted, k, m, _mean, _seen_scores)
        for wanted in VERDICTS:
            yield _one("mean of 97s and 10s", wanted, k, m, _verdicts, _seen_verdicts)
        for wanted in SHARES:
            yield _one("share", wanted, k, m, _share, _seen_hits)
        for left, right in MEAN_PAIRS:
            yield _pair("difference of means", (left, right), k, m, _mean, _seen_scores)
        for left, right in SHARE_PAIRS:
            yield _pair("difference of shares", (left, right), k, m, _share, _seen_hits)
        for left, right in VERDICT_PAIRS:
            yield _pair(
                "difference of means of 97s and 10s", (left, right), k, m, _verdicts, _seen_verdicts
            )
    for k in (4, 1):  # both orders are two judgements
        for wanted in WINS:
            yield _one("win rate", wanted, k, 2, _wins, _seen_points)


def _one(
    kind: str,
    wanted: float,
    k: int,
    m: int,
    measure: Callable[[Noise, float], float],
    seen: Callable[[Noise, float], tuple[Floats, Floats]],
) -> Case:
    level = level_for(wanted, measure, m)

    def draw(
        rng: np.random.Generator, trials: int, prompts: int
    ) -> Sequence[tuple[Floats, Floats]]:
        return (seen(noise(rng, trials, prompts, k, m), level),)

    return Case(kind, f"{wanted}", k, m, truth(level, measure, m), draw, mean_of)


def _pair(
    kind: str,
    wanted: tuple[float, float],
    k: int,
    m: int,
    measure: Callable[[Noise, float], float],
    seen: Callable[[Noise, float], tuple[Floats, Floats]],
) -> Case:
    """The local LLM with K responses to a prompt, and the service LLM with one."""
    left, right = (level_for(value, measure, m) for value in wanted)

    def draw(
        rng: np.random.Generator, trials: int, prompts: int
    ) -> Sequence[tuple[Floats, Floats]]:
        ours, theirs = two(rng, trials, prompts, (k, 1), m)
        return seen(ours, left), seen(theirs, right)

    def interval(*values: Any) -> Interval:
        return difference_of(*values)[1]

    true = truth(left, measure, m) - truth(right, measure, m)
    return Case(kind, f"{wanted[0]} and {wanted[1]}", k, m, true, draw, interval)


# --- what is measured ---------------------------------------------------------------------


def _measured(case: Case, prompts: int, trials: int) -> dict[str, Any]:
    rng = np.random.default_rng([prompts, case.k, case.m])
    found: dict[str, list[Bounds]] = {"ours": [], "naive": [], "clustered_t": []}
    size = max(1, AT_ONCE // (prompts * case.k * case.m))
    for start in range(0, trials, size):
        drawn = case.draw(rng, min(size, trials - start), prompts)
        found["ours"].append(_ours(case, [responses for _, responses in drawn]))
        found["naive"].append(_naive([scores for scores, _ in drawn]))
        found["clustered_t"].append(_student([responses for _, responses in drawn]))
    row: dict[str, Any] = {
        "kind": case.kind,
        "case": case.name,
        "k": case.k,
        "m": case.m,
        "prompts": prompts,
        "true": round(case.true, 2),
    }
    for method, parts in found.items():
        low, high = np.concatenate(parts).T
        covered = (low <= case.true) & (case.true <= high)
        row[method] = {
            "covers": round(100 * float(covered.mean()), 2),
            "width": round(float((high - low).mean()), 2),
        }
    print(row, file=sys.stderr)
    return row


def _ours(case: Case, values: Sequence[Floats]) -> Bounds:
    numbers = [np.repeat(np.arange(v.shape[1]), v.shape[2]) for v in values]
    found = []
    for trial in zip(*values, strict=True):
        given = [x for v, i in zip(trial, numbers, strict=True) for x in (v.ravel(), i)]
        interval = case.ours(*given)
        found.append((interval.low, interval.high))
    return np.array(found)


def _naive(values: Sequence[Floats]) -> Bounds:
    flat = [v.reshape(len(v), -1).astype(np.float64) for v in values]
    error = np.sqrt(sum(v.var(axis=1, ddof=1) / v.shape[1] for v in flat))
    return _around(_less([v.mean(axis=1) for v in flat]), 1.96 * error)


def _student(values: Sequence[Floats]) -> Bounds:
    means = _less([v.mean(axis=2, dtype=np.float64) for v in values])
    prompts = means.shape[1]
    error = np.sqrt(means.var(axis=1, ddof=1) / prompts)
    return _around(means.mean(axis=1), stdtrit(prompts - 1, 0.975) * error)


def _less(values: Sequence[Bounds]) -> Bounds:
    return values[0] - values[1] if len(values) > 1 else values[0]


def _around(centre: Bounds, half: Bounds) -> Bounds:
    return np.stack([centre - half, centre + half], axis=1)


# --- the page -----------------------------------------------------------------------------


def _page(found: dict[str, Any]) -> list[str]:
    rows = found["rows"]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    worst = min(row["ours"]["covers"] for row in rows)
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    return [
        "# Do 95 % intervals cover the truth?",
        "",
        (
            f"`python benchmarks/judging/intervals.py`, {found['at']}; {found['machine']}, Python"
            f" {found['python']}; {packages}; {found['seconds']} s. {found['trials']:,} simulated"
            " runs a cell; scores with a standard deviation of 20 points between prompts, 10"
            " between responses, 8 between repeats (assumed), rounded and kept within 0 and 100."
        ),
        "",
        (
            f"Asked: at least {ASKED:g} % everywhere. Lowest of {len(rows)} cells:"
            f" **{worst:.1f} %**."
        ),
        "",
        "## Lowest coverage over all true values and efforts, %",
        "",
        "| | prompts | ours | clustered t | naive | width, ours | width, clustered t |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_summary(kind, n, rows) for kind in kinds for n in PROMPTS),
        "",
        "Widths are in points, the mean over the same cells.",
        "",
        *(line for kind in kinds for line in _table(kind, rows)),
    ]


def _summary(kind: str, prompts: int, rows: Sequence[dict[str, Any]]) -> str:
    some = [row for row in rows if row["kind"] == kind and row["prompts"] == prompts]
    lowest = [min(row[m]["covers"] for row in some) for m in ("ours", "clustered_t", "naive")]
    widths = [sum(row[m]["width"] for row in some) / len(some) for m in ("ours", "clustered_t")]
    cells = " | ".join(f"{value:.1f}" for value in (*lowest, *widths))
    return f"| {kind} | {prompts} | {cells} |"


def _table(kind: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    some = [row for row in rows if row["kind"] == kind]
    cases = list(dict.fromkeys((row["case"], row["k"], row["m"]) for row in some))
    return [
        f"## {kind.capitalize()}: coverage in % (mean width in points)",
        "",
        "| true | K × M | " + " | ".join(f"{n} prompts" for n in PROMPTS) + " |",
        "| --- | --- |" + " ---: |" * len(PROMPTS),
        *(
            f"| {case} | {k} × {m} | "
            + " | ".join(
                f"{row['ours']['covers']:.1f} ({row['ours']['width']:.1f})"
                for row in some
                if (row["case"], row["k"], row["m"]) == (case, k, m)
            )
            + " |"
            for case, k, m in cases
        ),
        "",
    ]


if __name__ == "__main__":
    main()
