"""Measures that cost nothing: no service LLM is asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from llamaduo.records import Pair
from llamaduo.tasks.code import parses
from llamaduo.tasks.json_fields import field_agreement, satisfies
from llamaduo.tasks.labels import label_in
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.words import rouge_l, words

FREE_METRICS: Final = (
    "exact_match",
    "label_accuracy",
    "schema_validity",
    "field_accuracy",
    "unconstrained_validity",
    "unconstrained_accuracy",
    "rouge_l",
    "parses",
)
"""Every metric that costs nothing. Which of them a task has: :func:`free_metrics`. The two that are
called unconstrained are schema validity and field accuracy of what was held to its schema, as it
is without that."""


def free_metrics(task: TaskSettings) -> tuple[str, ...]:
    """The free metrics that ``task`` has, by its kind, its labels and its JSON Schema."""
    chosen = {"exact_match", "rouge_l"}
    if task.kind == "classification" or task.labels:
        chosen.add("label_accuracy")
    if task.json_schema is not None:
        chosen |= {"schema_validity", "field_accuracy"}
    if task.kind == "coding":
        chosen.add("parses")
    return tuple(name for name in FREE_METRICS if name in chosen)


def exact_match(response: str, reference: str) -> bool:
    """Whether both say the same up to white space: runs count as one space, ends as none."""
    return response.split() == reference.split()


def measured(
    task: TaskSettings, pair: Pair, response: str, labels: Sequence[str] = ()
) -> dict[str, float]:
    """Every free metric that ``response`` to ``pair`` has, by name, 0 to 100.

    All but ROUGE-L and field accuracy are 0 or 100. A metric is left out where the reference gives
    nothing to tell it by, and is never a zero then: ``label_accuracy`` where it gives none of
    ``labels`` (see :func:`llamaduo.tasks.labels.label_set`); ``schema_validity`` and
    ``field_accuracy`` without a JSON Schema of the pair or the task, the latter also where it is
    not JSON; ``parses`` where :func:`llamaduo.tasks.code.parses` finds no code in it that it can
    tell of.
    """
    reference = pair.response
    schema = task.json_schema if pair.json_schema is None else pair.json_schema
    found: dict[str, float | None] = {
        "exact_match": exact_match(response, reference),
        "rouge_l": _rouge_l(response, reference),
    }
    if "label_accuracy" in free_metrics(task):
        found["label_accuracy"] = _label_accuracy(response, reference, tuple(labels))
    if schema is not None:
        found["schema_validity"] = satisfies(response, schema)
        found["field_accuracy"] = field_agreement(response, reference)
    if task.kind == "coding":
        found["parses"] = parses(response, reference)
    return {name: 100.0 * value for name in FREE_METRICS if (value := found.get(name)) is not None}


def _label_accuracy(response: str, reference: str, labels: tuple[str, ...]) -> bool | None:
    right = _label_in(reference, labels)
    return None if right is None else _label_in(response, labels) == right


# Responses to one prompt share its reference, and on a classification task a few texts are most
# of all: what was read once is kept.
_label_in = lru_cache(maxsize=4096)(label_in)
_words = lru_cache(maxsize=256)(words)


@lru_cache(maxsize=4096)
def _rouge_l(response: str, reference: str) -> float:
    return rouge_l(_words(response), _words(reference))
