"""The free metrics over a set of responses: figures, intervals, denominators."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import StageFailed
from llamaduo.evaluation import free
from llamaduo.records import Measure, Pair, Response
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import pair, response


def free_measures(
    responses: list[Response], pairs: list[Pair], task: TaskSettings
) -> dict[str, Measure]:
    return free.free_measures(responses, free.measure_each(responses, pairs, task), task)


SPAM = TaskSettings(kind="classification", labels=("spam", "ham"))


def test_each_metric_is_a_mean_over_responses_with_its_counts() -> None:
    asked = [pair("A?", "spam"), pair("B?", "ham"), pair("C?", "both")]
    texts = ("spam", "Spam!", "spam", "ham", "both", "no")
    responses = [response(asked[i // 2], i % 2, text) for i, text in enumerate(texts)]
    found = free_measures(responses, asked, SPAM)
    assert list(found) == ["exact_match", "label_accuracy", "rouge_l"]
    assert found["exact_match"].value == 50
    assert (found["exact_match"].prompts, found["exact_match"].responses) == (3, 6)
    assert found["label_accuracy"].value == 75
    assert (found["label_accuracy"].prompts, found["label_accuracy"].responses) == (2, 4)


def test_a_metric_that_nothing_can_be_told_of_has_no_value() -> None:
    asked = [pair("A?", "both")]
    found = free_measures([response(asked[0], text="spam")], asked, SPAM)
    assert found["label_accuracy"] == Measure(None, None, 0, 0)
    assert free_measures([], asked, SPAM)["exact_match"] == Measure(None, None, 0, 0)


def test_a_metric_that_only_some_pairs_have_is_there_too() -> None:
    asked = [pair("A?", "[1]")]
    object.__setattr__(asked[0], "json_schema", {"type": "array"})
    found = free_measures([response(asked[0], text="[1]")], asked, TaskSettings())
    assert found["schema_validity"].value == 100
    assert found["field_accuracy"].value == 100


def test_what_was_held_to_a_schema_is_measured_with_and_without() -> None:
    asked = [pair(f"{name}?", '{"a": 1, "b": 2}') for name in "AB"]
    schema = {"type": "object", "required": ["a", "b"]}
    held = replace(response(asked[0], text='{"a": 1, "b": 3}'), unconstrained='{"a": 1')
    free = response(asked[1], text='{"a": 1, "b": 2}')
    found = free_measures([held, free], asked, TaskSettings(json_schema=schema))
    assert (found["schema_validity"].value, found["field_accuracy"].value) == (100, 75)
    without = found["unconstrained_validity"], found["unconstrained_accuracy"]
    assert [(one.value, one.responses) for one in without] == [(0, 1), (0, 1)]
    # Nothing was held: the two are not there.
    assert "unconstrained_validity" not in free_measures([free], asked, TaskSettings())


def test_prompts_count_not_responses() -> None:
    asked = [pair(f"{i}?", "yes") for i in range(8)]
    once = [response(one, text="yes" if i < 4 else "no") for i, one in enumerate(asked)]
    often = [
        response(one, k, "yes" if i < 4 else "no") for i, one in enumerate(asked) for k in range(9)
    ]
    few, many = (
        free_measures(some, asked, TaskSettings())["exact_match"] for some in (once, often)
    )
    assert (few.value, few.prompts, many.prompts) == (50, 8, 8)
    assert few.interval is not None
    assert many.interval is not None
    assert many.interval.high - many.interval.low == pytest.approx(
        few.interval.high - few.interval.low, rel=0.1
    )


def test_even_without_a_miss_the_interval_has_a_width() -> None:
    asked = [pair(f"{i}?", "yes") for i in range(20)]
    for found in free_measures([response(one) for one in asked], asked, TaskSettings()).values():
        assert found.value == 100
        assert found.interval is not None
        assert found.interval.low < found.interval.high


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["yes", "no", "yes no"])), max_size=20)
)
def test_every_figure_is_within_its_interval(answers: list[tuple[int, str]]) -> None:
    asked = [pair(f"{i}?", "yes") for i in range(5)]
    responses = [response(asked[i], k, text) for k, (i, text) in enumerate(answers)]
    for found in free_measures(responses, asked, TaskSettings()).values():
        if found.value is None or found.interval is None:
            assert not answers
        else:
            assert 0 <= found.interval.low <= found.value + 1e-9
            assert found.value - 1e-9 <= found.interval.high <= 100


def test_a_response_to_another_split_is_refused() -> None:
    with pytest.raises(StageFailed, match="not in the split"):
        free_measures([response(pair("A?"))], [pair("B?")], TaskSettings())
