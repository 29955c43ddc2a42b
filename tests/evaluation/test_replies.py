"""A judge's reply counts only if it is exactly what was asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.replies import read_judgement
from llamaduo.records import Mark
from llamaduo.service.parsing import MalformedReply
from tests.scripted_service import reply


def text(similarity: object = 70, precision: object = 80, **more: object) -> str:
    return json.dumps(
        {
            "similarity": {"reason": "close", "score": similarity},
            "precision": {"reason": "right", "score": precision},
            **more,
        }
    )


@given(st.integers(0, 100), st.integers(0, 100))
def test_whole_scores_in_range_are_read_as_they_are(similarity: int, precision: int) -> None:
    assert read_judgement(reply(text(similarity, precision))) == {
        "similarity": Mark(similarity, "close"),
        "precision": Mark(precision, "right"),
    }


@pytest.mark.parametrize(
    "score", [-1, 101, 142, 85.0, 85.5, "85", "85/100", True, False, None, [85], {"value": 85}]
)
def test_any_other_score_is_refused_and_never_clamped(score: object) -> None:
    with pytest.raises(MalformedReply) as caught:
        read_judgement(reply(text(precision=score)))
    assert caught.value.reason == "precision.score is not a whole number from 0 to 100"


GOOD: dict[str, Any] = {"reason": "r", "score": 1}


@pytest.mark.parametrize(
    "value",
    [
        {"similarity": GOOD},
        {"similarity": GOOD, "precision": GOOD, "overall": GOOD},
        {"similarity": GOOD, "precision": 80},
        {"similarity": GOOD, "precision": None},
        {"similarity": GOOD, "precision": {"score": 80}},
        {"similarity": GOOD, "precision": {"reason": None, "score": 80}},
        {"similarity": GOOD, "precision": {"reason": "r", "score": 80, "confidence": 1}},
        {"Similarity": GOOD, "Precision": GOOD},
        {},
    ],
)
def test_another_shape_is_refused(value: object) -> None:
    with pytest.raises(MalformedReply):
        read_judgement(reply(json.dumps(value)))


@pytest.mark.parametrize(
    "reply_text",
    [
        "",
        "null",
        ":",
        "Thought process:",
        "80",
        "[]",
        "I would give it 80.",
        text() + text(),
        text().replace("70", "NaN"),
        text().replace('"score": 70', '"score": 70, "score": 90'),
    ],
)
def test_what_is_not_one_json_object_is_refused(reply_text: str) -> None:
    with pytest.raises(MalformedReply):
        read_judgement(reply(reply_text))


def test_a_reply_that_was_cut_off_is_refused_even_if_it_looks_whole() -> None:
    with pytest.raises(MalformedReply, match="cut off"):
        read_judgement(reply(text(), finish="length"))
