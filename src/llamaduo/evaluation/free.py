"""The metrics that cost nothing, over a set of responses: figures with intervals.

Every response is measured by itself (:func:`llamaduo.tasks.metrics.measured`). One that a metric
cannot tell anything about is left out of that metric, and so is missing from its count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum

from llamaduo.errors import StageFailed
from llamaduo.evaluation.intervals import mean_of
from llamaduo.records import Measure, Pair, Response
from llamaduo.tasks.labels import label_set
from llamaduo.tasks.metrics import FREE_METRICS, free_metrics, measured
from llamaduo.tasks.settings import TaskSettings

Each = Sequence[Mapping[str, float]]
"""What every response measures, by metric: see :func:`measure_each`."""


def free_measures(
    responses: Sequence[Response], each: Each, task: TaskSettings
) -> dict[str, Measure]:
    """Every free metric of the task over ``responses``, judged or not, 0 to 100."""
    prompts = prompt_numbers(responses)
    return {name: over(name, each, prompts) for name in names_in(each, free_metrics(task))}


def measure_each(
    responses: Sequence[Response], pairs: Sequence[Pair], task: TaskSettings
) -> list[dict[str, float]]:
    """What each of ``responses`` measures, by metric, in their order.

    Raises:
        StageFailed: a response answers a prompt that is not among ``pairs``.
    """
    by_id = {pair.id: pair for pair in pairs}
    labels = label_set(task, pairs)
    if strangers := {response.pair_id for response in responses} - by_id.keys():
        raise StageFailed(
            f"Scoring: {len(strangers)} prompts that were answered are not in the split,"
            f" {min(strangers)} for one.",
            hint="The responses belong to another split; run inference again.",
        )
    return [
        measured(task, by_id[r.pair_id], r.text, labels) | _unconstrained(r, by_id[r.pair_id], task)
        for r in responses
    ]


_WITHOUT = {"schema_validity": "unconstrained_validity", "field_accuracy": "unconstrained_accuracy"}


def _unconstrained(response: Response, pair: Pair, task: TaskSettings) -> dict[str, float]:
    """What a response that was held to its schema measures without that."""
    if response.unconstrained is None:
        return {}
    found = measured(task, pair, response.unconstrained)
    return {name: found[metric] for metric, name in _WITHOUT.items() if metric in found}


def prompt_numbers(responses: Sequence[Response]) -> list[int]:
    """A number for the prompt of each response, as the intervals take them."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(response.pair_id, len(numbers)) for response in responses]


def names_in(each: Sequence[Mapping[str, float]], known: Sequence[str] = ()) -> list[str]:
    """The free metrics that ``known`` has or that a response has, in their fixed order."""
    found = set(known).union(*each)
    return [name for name in FREE_METRICS if name in found]


def over(name: str, each: Sequence[Mapping[str, float]], prompts: Sequence[int]) -> Measure:
    """The measure of the values that ``each`` has under ``name``, with its interval."""
    values = [found[name] for found in each if name in found]
    clusters = [n for n, found in zip(prompts, each, strict=True) if name in found]
    if not values:
        return Measure(None, None, 0, 0)
    mean, interval = fsum(values) / len(values), mean_of(values, clusters)
    return Measure(mean, interval, len(set(clusters)), len(values))
