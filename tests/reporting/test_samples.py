"""Which responses are shown, and what of their judgements."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.records import Judgement, Pair, Response
from llamaduo.reporting.panel import judge_scores, panel_scores
from llamaduo.reporting.samples import Sample, choose, samples_of
from tests.reporting.runs import JUDGES, judgements, marked, pair, panel_score, response


def answered(
    texts: list[tuple[int, str, int]],
) -> tuple[list[Response], list[Judgement], dict[str, Pair]]:
    """(prompt number, text, score) → responses, their judgements, the pairs."""
    pairs = {number: pair(f"prompt {number}", "label") for number, _, _ in texts}
    responses = [response(pairs[n], index, text) for index, (n, text, _) in enumerate(texts)]
    found = [
        judgement
        for one, (_, _, points) in zip(responses, texts, strict=True)
        for judgement in judgements(one, points, points, "why")
    ]
    return responses, found, {one.id: one for one in pairs.values()}


def shown(texts: list[tuple[int, str, int]]) -> list[Sample]:
    responses, found, pairs = answered(texts)
    choices = choose(responses, panel_scores(found))
    return list(samples_of(2, choices, found, pairs).shown)


def test_samples_go_from_the_worst_to_the_best() -> None:
    texts = [(number, f"text {number}", 5 * number) for number in range(21)]

    assert [(one.place, one.response.text) for one in shown(texts)] == [
        ("Worst", "text 0"),
        ("Worst", "text 1"),
        ("Worst", "text 2"),
        ("Low", "text 5"),
        ("Middle", "text 10"),
        ("High", "text 15"),
        ("Best", "text 18"),
        ("Best", "text 19"),
        ("Best", "text 20"),
    ]


def test_few_responses_are_shown_once_each() -> None:
    few = [(0, "a", 1), (1, "b", 2), (2, "c", 3), (3, "d", 4)]

    assert [(one.place, one.response.text) for one in shown(few)] == [
        ("Worst", "a"),
        ("Worst", "b"),
        ("Worst", "c"),
        ("Best", "d"),
    ]
    assert [one.response.text for one in shown(few[:1])] == ["a"]
    assert shown([]) == []


def test_identical_answers_to_one_prompt_count_once() -> None:
    texts = [(0, "same", 5), (0, "same", 5), (0, "other", 6), (1, "same", 7), (2, "fine", 90)]

    assert [one.response.text for one in shown(texts)] == ["same", "other", "same", "fine"]


@given(st.lists(st.integers(0, 100), max_size=40))
def test_at_most_nine_are_shown_in_order_and_none_twice(points: list[int]) -> None:
    found = shown([(number, f"text {number}", score) for number, score in enumerate(points)])
    middles = [one.scores.middle for one in found]

    assert len(found) == min(9, len(points))
    assert len({one.response.id for one in found}) == len(found)
    assert middles == sorted(middles)
    if points:
        assert (middles[0], middles[-1]) == (min(points), max(points))


def test_an_unscored_response_is_not_shown_as_the_worst() -> None:
    responses, found, pairs = answered([(0, "unscored", 0), (1, "scored", 50)])
    scored = [one for one in found if one.response_id == responses[1].id]

    choices = choose(responses, panel_scores(scored))

    assert [one.response.text for one in samples_of(0, choices, scored, pairs).shown] == ["scored"]


def test_each_judge_is_quoted_at_its_lowest_and_its_highest() -> None:
    one = response(pair("p", "r"), 0, "text")
    first, _, other, _ = judgements(one, 50, 50, "why")
    strict = [
        replace(marked(first, precision=points), index=n) for n, points in enumerate((40, 90, 10))
    ]
    choices = choose([one], panel_scores([*strict, other]))

    (sample,) = samples_of(0, choices, [*strict, other], {one.pair_id: pair("p", "r")}).shown

    assert [(j.judge, j.marks["precision"].score) for j in sample.quoted] == [
        (JUDGES[0], 10),
        (JUDGES[0], 90),
        (JUDGES[1], 50),
    ]
    assert sample.judges[0].scores["precision"] == pytest.approx(140 / 3)
    assert sample.judges[0].judgements == 3


def test_the_panel_is_the_mean_over_judges_however_often_each_judged() -> None:
    one = response(pair("p", "r"), 0, "text")
    strict, *_, lenient = judgements(one, 20, 40, "why")
    high = marked(lenient, precision=80)
    found = [strict, strict, strict, high]

    assert [strict.judge, lenient.judge] == list(JUDGES)
    assert panel_scores(found) == {one.id: panel_score(similarity=40.0, precision=50.0)}
    assert [judge.scores["precision"] for judge in judge_scores(found)] == [20.0, 80.0]
