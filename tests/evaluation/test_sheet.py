"""The sheet for a person: which responses, in which order, and that it reads back."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.human import read_human_scores
from llamaduo.evaluation.sheet import sample, sheet
from llamaduo.records import Message, Response
from tests.evaluation.made import pair, response

PAIRS = [pair(f"question {n}", f"answer {n}") for n in range(200)]
RESPONSES = [response(one, 0, f"text {n}") for n, one in enumerate(PAIRS)]
BY_ID = {one.id: one for one in PAIRS}
METRICS = ("similarity", "precision", "tone")


def scored(*means: float) -> dict[str, dict[str, float]]:
    """The first responses with these scores, the others with none."""
    return {
        one.id: {"precision": mean, "similarity": mean}
        for one, mean in zip(RESPONSES, means, strict=False)
    }


def grades(chosen: tuple[Response, ...], scores: dict[str, dict[str, float]]) -> list[int]:
    found = [min(4, int(scores[one.id]["precision"] // 20)) for one in chosen]
    return [found.count(grade) for grade in range(5)]


def test_all_fifths_of_the_scale_take_turns() -> None:
    # 180 of 200 got 90 or more: at random there would be about two others among twenty.
    scores = scored(*[95.0] * 180, *(5.0 + n / 2 for n in range(20)))
    assert grades(sample(RESPONSES, scores, 20), scores) == [10, 0, 0, 0, 10]
    spread = scored(*(n / 2 for n in range(200)))
    assert grades(sample(RESPONSES, spread, 50), spread) == [10] * 5


def test_a_fifth_that_has_few_leaves_its_turns_to_the_others() -> None:
    scores = scored(0.0, 25.0, 45.0, *[100.0] * 60)
    assert grades(sample(RESPONSES, scores, 50), scores) == [1, 1, 1, 0, 47]


def test_it_is_the_same_every_time_whatever_the_order() -> None:
    scores = scored(*(n / 2 for n in range(200)))
    first = sample(RESPONSES, scores, 30)
    shuffled = list(RESPONSES)
    Random(1).shuffle(shuffled)
    assert sample(shuffled, scores, 30) == first == sample(RESPONSES, scores, 30)


def test_the_order_says_nothing_of_the_scores() -> None:
    scores = scored(*(n / 2 for n in range(200)))
    marks = [scores[one.id]["precision"] for one in sample(RESPONSES, scores, 100)]
    ups = sum(after > before for before, after in pairwise(marks))
    assert 35 <= ups <= 65  # of 99; sorted it were 0 or 99


def test_what_no_judge_scored_is_not_on_it_and_equal_answers_are_once() -> None:
    twice = [*RESPONSES[:2], replace(RESPONSES[0], id="again", index=1)]
    scores = {**scored(50.0, 60.0), "again": {"precision": 50.0}}
    assert {one.id for one in sample([*twice, *RESPONSES[2:]], scores, 50)} == {
        RESPONSES[0].id,
        RESPONSES[1].id,
    }


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 70))
def test_there_are_as_many_as_were_asked_for_if_there_are(means: list[float], count: int) -> None:
    chosen = sample(RESPONSES, scored(*means), count)
    assert len(chosen) == len({one.id for one in chosen}) == min(count, len(means))


# --- the lines ----------------------------------------------------------------------------


def test_a_line_has_blanks_and_texts_and_no_marks() -> None:
    (line,) = sheet(RESPONSES[:1], BY_ID, METRICS).splitlines()
    assert json.loads(line) == {
        "similarity": None,
        "precision": None,
        "tone": None,
        "prompt": "question 0",
        "reference": "answer 0",
        "response": "text 0",
        "response_id": RESPONSES[0].id,
    }
    assert line.startswith('{"similarity": null, "precision": null, "tone": null, "prompt"')


def test_a_conversation_is_shown_with_its_roles() -> None:
    messages = (Message("system", "Be brief."), Message("user", "Why?"))
    talk = replace(PAIRS[0], messages=messages)
    found = json.loads(sheet(RESPONSES[:1], {PAIRS[0].id: talk}, METRICS))
    assert found["prompt"] == "system: Be brief.\n\nuser: Why?"


@pytest.mark.parametrize("text", ["a\u202eb", "nul\0", "esc\x1b[2J", "\u2028", "\U000e0041", "é😀"])
def test_what_an_editor_would_obey_or_hide_is_escaped_and_reads_back(
    text: str, tmp_path: Path
) -> None:
    line = sheet([replace(RESPONSES[0], text=text)], BY_ID, METRICS)
    assert line[:-1].isprintable()
    assert len(line.splitlines()) == 1
    path = tmp_path / "human.jsonl"
    path.write_text(line.replace('"precision": null', '"precision": 80'), encoding="utf-8")
    (score,) = read_human_scores(path).scores
    assert (score.response, score.scores) == (text, {"precision": 80})


@given(st.text(max_size=30))
def test_any_text_reads_back(text: str) -> None:
    line = sheet([replace(RESPONSES[0], text=text)], BY_ID, METRICS)
    assert json.loads(line)["response"] == text
    assert line.count("\n") == 1
