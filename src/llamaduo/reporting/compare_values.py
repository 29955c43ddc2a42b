"""What every response of a side came to, by prompt: what differences take their intervals from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from llamaduo.records import Interval, Measure, Metric, Pair, Response
from llamaduo.reporting.panel import Aggregate, JudgementScore, PanelScore, panel_scores
from llamaduo.storage.jsonl import read_records
from llamaduo.tasks.labels import label_set
from llamaduo.tasks.metrics import measured
from llamaduo.tasks.settings import TaskSettings

Values = Mapping[str, Sequence[float]]
"""Pair id → the value of each of its responses that have one, 0 to 100."""


class Figure(NamedTuple):
    """Whose value it is: a judge's, or with "" the panel's or nobody's, which is free."""

    judge: str
    metric: Metric


Apart = Callable[
    [Sequence[float], Sequence[int], Sequence[float], Sequence[int]], tuple[float, Interval, int]
]
"""How much higher the first values (0 to 100) are than the second, each beside the numbers of their
prompts: in points, with an interval, and on how many prompts that rests."""


# --- one side -----------------------------------------------------------------------------


def values_of(
    responses: Sequence[Response],
    judgements: Sequence[JudgementScore],
    pairs: Sequence[Pair],
    task: TaskSettings | None,
    aggregate: Aggregate,
) -> dict[Figure, dict[str, list[float]]]:
    """The values of one side's ``responses`` to ``pairs``. Without ``task`` free metrics, which
    depend on it, are left out."""
    found: dict[Figure, dict[str, list[float]]] = {}

    def keep(figure: Figure, response: Response, value: float) -> None:
        found.setdefault(figure, {}).setdefault(response.pair_id, []).append(value)

    for judge, scores in _scores(judgements, aggregate).items():
        for response in responses:
            for metric, score in (
                scores[response.id].scores.items() if response.id in scores else ()
            ):
                keep(Figure(judge, metric), response, score)
    for response, metric, value in _free(responses, pairs, task) if task else ():
        keep(Figure("", metric), response, value)
    return found


def _free(
    responses: Sequence[Response], pairs: Sequence[Pair], task: TaskSettings
) -> Iterator[tuple[Response, Metric, float]]:
    by_id, labels = {pair.id: pair for pair in pairs}, label_set(task, pairs)
    for response in responses:
        if pair := by_id.get(response.pair_id):
            for metric, value in measured(task, pair, response.text, labels).items():
                yield response, metric, value


def _scores(
    judgements: Sequence[JudgementScore], aggregate: Aggregate
) -> dict[str, dict[str, PanelScore]]:
    """Judge, or "" for the panel → response id → scores."""
    by_judge: dict[str, list[JudgementScore]] = {}
    for one in judgements:
        by_judge.setdefault(one.judge, []).append(one)
    own = {judge: panel_scores(some, aggregate) for judge, some in by_judge.items()}
    return {"": panel_scores(judgements, aggregate), **own}


def read_judgements(folder: Path) -> tuple[JudgementScore, ...]:
    path = folder / "judgements.jsonl"
    return read_records(path, JudgementScore) if path.is_file() else ()


# --- two sides ----------------------------------------------------------------------------


def difference_in(
    left: Values, right: Values, apart: Apart, *, threshold: int | None = None
) -> Measure | None:
    """Right minus left in points, prompt by prompt; with ``threshold`` of the shares of responses
    that reach it. None where no prompt has values on both sides."""
    common = [prompt for prompt in left if prompt in right]
    if not common:
        return None
    sides = [_flat(side, common, threshold) for side in (right, left)]
    value, interval, prompts = apart(*sides[0], *sides[1])
    return Measure(value, interval, prompts, min(len(values) for values, _ in sides))


def _flat(
    values: Values, prompts: Sequence[str], threshold: int | None
) -> tuple[list[float], list[int]]:
    every = [(value, n) for n, prompt in enumerate(prompts) for value in values[prompt]]
    numbers = [number for _, number in every]
    if threshold is None:
        return [value for value, _ in every], numbers
    return [100.0 * (value >= threshold) for value, _ in every], numbers
