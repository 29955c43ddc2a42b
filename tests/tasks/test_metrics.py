"""The metrics that cost nothing, for one response."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llamaduo.records import Message, Pair, Provenance
from llamaduo.tasks.labels import label_set
from llamaduo.tasks.metrics import FREE_METRICS, exact_match, free_metrics, measured
from llamaduo.tasks.settings import TaskSettings

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Real pairs, beside the project where somebody has them, and never in it."""
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the real pairs are not here")


def pair(reference: str, schema: dict[str, Any] | None = None) -> Pair:
    return Pair(
        id="0",
        messages=(Message("user", "What is it?"),),
        response=reference,
        reference_source="human",
        provenance=Provenance(origin="coverage", source="made.jsonl:1"),
        json_schema=schema,
    )


def real(name: str) -> list[Pair]:
    rows = map(json.loads, (DATA / name).read_text().splitlines())
    return [pair(row["messages"][-1]["content"]) for row in rows]


# --- exact match --------------------------------------------------------------------------


@pytest.mark.parametrize("response", ["billing, high", " billing,  high\n", "billing,\u00a0high"])
def test_white_space_does_not_matter(response: str) -> None:
    assert exact_match(response, "billing, high")


@pytest.mark.parametrize("response", ["", "Billing, high", "billing,high", "billing, high."])
def test_everything_else_does(response: str) -> None:
    assert not exact_match(response, "billing, high")


# --- which there are ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "more"),
    [
        (TaskSettings(), ()),
        (TaskSettings(kind="summarization"), ()),
        (TaskSettings(kind="classification"), ("label_accuracy",)),
        (TaskSettings(labels=("a", "b")), ("label_accuracy",)),
        (TaskSettings(json_schema={}), ("schema_validity", "field_accuracy")),
        (TaskSettings(kind="coding"), ("parses",)),
    ],
)
def test_a_task_has_the_metrics_that_fit_it(task: TaskSettings, more: tuple[str, ...]) -> None:
    assert set(free_metrics(task)) == {"exact_match", "rouge_l", *more}
    assert list(free_metrics(task)) == [name for name in FREE_METRICS if name in free_metrics(task)]


# --- what they say ------------------------------------------------------------------------


def test_every_response_has_exact_match_and_rouge_l() -> None:
    assert measured(TaskSettings(), pair("the cat sat"), "the cat sat") == {
        "exact_match": 100,
        "rouge_l": 100,
    }
    found = measured(TaskSettings(), pair("the cat sat"), "The cat ate!")
    assert found == {"exact_match": 0, "rouge_l": pytest.approx(200 / 3)}


@pytest.mark.parametrize(("response", "points"), [("Spam.", 100), ("ham", 0), ("spam, ham", 0)])
def test_label_accuracy_compares_labels(response: str, points: float) -> None:
    task = TaskSettings(kind="classification", labels=("spam", "ham"))
    assert measured(task, pair("spam"), response, task.labels)["label_accuracy"] == points


def test_without_a_label_in_the_reference_there_is_no_label_accuracy() -> None:
    task = TaskSettings(kind="classification")
    assert "label_accuracy" not in measured(task, pair("both"), "spam", ("spam", "ham"))
    assert "label_accuracy" not in measured(task, pair("spam"), "spam")


def test_a_schema_is_the_pairs_own_before_the_tasks() -> None:
    task = TaskSettings(json_schema={"type": "object"})
    assert measured(task, pair('{"a": 1}'), '{"a": 2}')["schema_validity"] == 100
    found = measured(task, pair("[1, 2]", {"type": "array"}), '{"a": 2}')
    assert (found["schema_validity"], found["field_accuracy"]) == (0, 0)
    assert measured(TaskSettings(), pair("[1, 2]", {}), "[1, 3]")["field_accuracy"] == 50


def test_fields_are_compared_only_with_a_reference_that_has_some() -> None:
    task = TaskSettings(json_schema={"type": "object"})
    assert "field_accuracy" not in measured(task, pair("nothing"), "{}")
    assert "schema_validity" in measured(task, pair("nothing"), "{}")


def test_code_parses_or_not_or_is_not_told() -> None:
    task, reference = TaskSettings(kind="coding"), pair("```python\nx = 1\n```")
    assert measured(task, reference, "```python\ny = 2\n```")["parses"] == 100
    assert measured(task, reference, "```python\ny = = 2\n```")["parses"] == 0
    cobol = "```cobol\nMOVE A TO B.\n```"
    assert measured(task, reference, cobol)["parses"] == 0, "Python was wanted"
    assert "parses" not in measured(task, pair(cobol), cobol)


# --- on real pairs ------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize("kind", ["classify", "coding"])
def test_a_reference_that_is_given_back_matches_itself(kind: str) -> None:
    for one in real(f"no_robots_{kind}.jsonl"):
        found = measured(TaskSettings(), one, one.response)
        assert found["exact_match"] == 100
        assert found["rouge_l"] == pytest.approx(100)


@needs_data
def test_free_answers_of_people_are_no_closed_set() -> None:
    assert label_set(TaskSettings(kind="classification"), real("no_robots_classify.jsonl")) == ()


@needs_data
def test_nearly_all_code_of_people_that_can_be_told_parses() -> None:
    # What does not has a slip in it (an unclosed string, a missing colon) or is a fragment.
    task = TaskSettings(kind="coding")
    told = Counter(
        measured(task, one, one.response).get("parses") for one in real("no_robots_coding.jsonl")
    )
    assert told[100.0] >= 70  # 125 with llamaduo[code]
    assert told[0.0] <= 0.12 * (told[0.0] + told[100.0])
