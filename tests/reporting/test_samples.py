"""Which responses are shown as the worst and the best."""

from dataclasses import replace

from llamaduo.records import Judgement, Pair, Response
from llamaduo.reporting.samples import extremes, panel_scores
from tests.reporting.runs import JUDGES, judgements, pair, response


def answered(
    texts: list[tuple[int, str, int]],
) -> tuple[list[Response], list[Judgement], list[Pair]]:
    """(prompt number, text, score) → responses, their judgements, the pairs."""
    pairs = {number: pair(f"prompt {number}", "label") for number, _, _ in texts}
    responses = [response(pairs[n], index, text) for index, (n, text, _) in enumerate(texts)]
    found = [
        judgement
        for one, (_, _, points) in zip(responses, texts, strict=True)
        for judgement in judgements(one, points, points, "why")
    ]
    return responses, found, list(pairs.values())


def shown(texts: list[tuple[int, str, int]]) -> tuple[list[str], list[str]]:
    responses, found, pairs = answered(texts)
    samples = extremes(2, responses, found, {one.id: one for one in pairs})
    worst, best = samples.worst, samples.best
    return [one.response.text for one in worst], [one.response.text for one in best]


def test_worst_first_and_best_first() -> None:
    texts = [(number, f"text {number}", 10 * number) for number in range(8)]

    assert shown(texts) == (["text 0", "text 1", "text 2"], ["text 7", "text 6", "text 5"])


def test_no_response_is_both_worst_and_best() -> None:
    assert shown([(0, "a", 1), (1, "b", 2), (2, "c", 3), (3, "d", 4)]) == (["a", "b", "c"], ["d"])


def test_identical_answers_to_one_prompt_count_once() -> None:
    texts = [(0, "same", 5), (0, "same", 5), (0, "other", 6), (1, "same", 7), (2, "fine", 90)]

    assert shown(texts) == (["same", "other", "same"], ["fine"])


def test_an_unscored_response_is_not_shown_as_the_worst() -> None:
    responses, found, pairs = answered([(0, "unscored", 0), (1, "scored", 50)])
    scored = [one for one in found if one.response_id == responses[1].id]

    samples = extremes(0, responses, scored, {one.id: one for one in pairs})

    assert [one.response.text for one in samples.worst] == ["scored"]


def test_the_panel_is_the_mean_over_judges_however_often_each_judged() -> None:
    one = response(pair("p", "r"), 0, "text")
    strict, *_, lenient = judgements(one, 20, 40, "why")
    high = replace(lenient, precision=80)

    assert [strict.judge, lenient.judge] == list(JUDGES)
    assert panel_scores([strict, strict, strict, high]) == {"precision": 50.0, "similarity": 40.0}
