"""Bad judges are told apart and named; sound ones are left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import comb, exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.suspicion import _log_chance, suspicions
from llamaduo.records import JudgeFinding, Judgement, Judgements, Mark
from tests.evaluation.judged import (
    control,
    controls,
    judgement,
    remarked,
    remarked_from,
    response,
    sound,
    sound_controls,
    unscored,
    whole,
)

GOOD = controls([95, 100, 90, 85], [10, 0, 50, 20])


def run(seed: int = 0, prompts: int = 50, mean: float = 60) -> Judgements:
    return sound(np.random.default_rng(seed), prompts, mean)


def found(judgements: Judgements, checks: Sequence[Judgement] = GOOD) -> list[JudgeFinding]:
    findings = list(suspicions("j", judgements, checks))
    for finding in findings:
        assert finding.words.startswith("j ")
        assert finding.words.endswith(".")
    return findings


def kinds(judgements: Judgements, checks: Sequence[Judgement] = GOOD) -> list[tuple[str, bool]]:
    return [(one.kind, one.unfit) for one in found(judgements, checks)]


# --- sound judges -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompts", "mean", "wrong"),
    [
        (4, 60, 50),
        (4, 0, 20),
        (16, 5, 30),
        (16, 97, 50),
        (50, 3, 20),
        (50, 60, 50),
    ],
)
def test_a_sound_judge_is_fit(prompts: int, mean: float, wrong: float) -> None:
    for seed in range(100):
        rng = np.random.default_rng([prompts, int(mean), seed])
        assert kinds(sound(rng, prompts, mean), sound_controls(rng, wrong)) == []


@pytest.mark.parametrize("prompts", [1, 4, 200])
def test_a_perfect_model_is_no_constant_judge(prompts: int) -> None:
    perfect = remarked_from(run(prompts=prompts), 0, lambda _: 100)
    assert kinds(perfect) == []


def test_a_useless_model_is_no_constant_judge() -> None:
    assert kinds(remarked_from(run(), 0, lambda _: 0)) == []


def test_a_judge_that_was_not_asked_is_fit() -> None:
    assert kinds(Judgements((), ()), ()) == []
    assert suspicions("another", run(), GOOD) == ()


def test_others_judgements_do_not_count() -> None:
    bad = [replace(one, judge="other") for one in remarked_from(run(), 0, lambda _: 100).scored]
    both = Judgements((*run(1).scored, *bad), ())
    checks = [*GOOD, *controls([100] * 4, [100] * 4, judge="other")]
    assert kinds(both, checks) == []
    assert [one.kind for one in suspicions("other", both, checks)] == ["constant"]


# --- constant and blind -------------------------------------------------------------------


@pytest.mark.parametrize("score", [0, 50, 100])
def test_one_score_for_everything_is_no_evidence(score: int) -> None:
    (finding,) = found(remarked_from(run(), 0, lambda _: score), controls([score] * 4, [score] * 4))
    assert (finding.kind, finding.unfit) == ("constant", True)
    assert f"gives every response {score}" in finding.words


def test_a_constant_judge_is_known_by_its_controls_alone() -> None:
    checks = controls([100] * 4, [100] * 4)
    assert kinds(Judgements(tuple(checks), ()), checks) == [("constant", True)]
    assert kinds(Judgements((), ()), checks) == [("constant", True)]


def test_a_score_for_each_metric_is_a_constant_too() -> None:
    judgements = Judgements(tuple(judgement(response(f"p{i}"), 90, 80) for i in range(9)), ())
    checks = [judgement(replace(response("c"), id=f"{k}:c"), 90, 80) for k in ("right", "wrong")]
    (finding,) = found(judgements, checks)
    assert "80 for similarity and 90 for precision" in finding.words


@pytest.mark.parametrize("metric", ["similarity", "precision"])
def test_one_metric_that_is_always_the_same_is_no_evidence(metric: str) -> None:
    """The other may be sound: a target may rest on this one."""

    def full(one: Judgement) -> Judgement:
        return replace(one, marks={**one.marks, metric: Mark(100, "Fine.")})

    judgements = Judgements(tuple(map(full, run().scored)), ())
    (finding,) = found(judgements, [full(one) for one in GOOD])
    assert (finding.kind, finding.unfit) == ("constant", True)
    assert f"gives every response 100 for {metric}, wrong control responses too" in finding.words


def test_without_controls_one_score_is_only_a_hint() -> None:
    (finding,) = found(remarked_from(run(), 0, lambda _: 100), ())
    assert (finding.kind, finding.unfit) == ("constant", False)
    assert "set judging.controls" in finding.words


def test_right_and_wrong_alike_is_blind() -> None:
    (finding,) = found(run(), controls([98, 97, 100, 99], [99, 100, 96, 95]))
    assert (finding.kind, finding.unfit) == ("blind", True)
    assert "98 against 98 for similarity and 98 against 98 for precision" in finding.words


def test_wrong_above_right_is_blind() -> None:
    assert kinds(run(), controls([10, 20, 0], [90, 80, 100])) == [("blind", True)]


def test_one_metric_that_tells_them_apart_is_enough() -> None:
    checks = [
        judgement(replace(response(f"c{i}"), id=f"{kind}:c{i}"), 90 + i, similarity)
        for kind, similarity in (("right", 95), ("wrong", 20))
        for i in range(4)
    ]
    assert kinds(run(), checks) == []


def test_with_few_controls_blind_is_only_a_hint() -> None:
    (finding,) = found(run(), controls([60, 70], [90, 40]))
    assert (finding.kind, finding.unfit) == ("blind", False)
    assert "set judging.controls to 4" in finding.words


def test_controls_of_one_kind_say_nothing() -> None:
    assert kinds(run(), [control("right", i, 95) for i in range(4)]) == []


# --- scales -------------------------------------------------------------------------------


@pytest.mark.parametrize("highest", [10, 5, 1])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_smaller_scale_from_some_prompt_on_is_found(highest: int, share: float) -> None:
    for seed in range(10):
        changed = remarked_from(run(seed), share, lambda s: round(s * highest / 100))
        (finding,) = found(changed)
        assert (finding.kind, finding.unfit) == ("scale", True)
        assert "changed its scale" in finding.words


def test_a_smaller_scale_at_the_beginning_is_found() -> None:
    later = remarked_from(run(), 0.5, lambda s: round(s / 10)).scored
    turned = Judgements((*later[100:], *later[:100]), ())
    (finding,) = found(turned)
    assert "for the first 2" in finding.words


def test_a_scale_that_is_halved_is_found_given_enough_prompts() -> None:
    changed = remarked_from(run(prompts=200), 0.5, lambda s: round(s / 2))
    (finding,) = found(changed)
    assert finding.kind == "scale"
    assert finding.unfit


def test_the_place_of_the_change_is_said() -> None:
    high = [judgement(response(f"p{i}"), 80 + i % 5) for i in range(20)]
    low = [judgement(response(f"q{i}"), 7 + i % 3) for i in range(20)]
    (finding,) = found(Judgements((*high, *low), ()))
    assert "82 on average for the first 20 prompts and 8 for the next 20" in finding.words


def test_low_prompts_here_and_there_are_no_scale() -> None:
    mixed = [judgement(response(f"p{i}"), 5 if i % 3 == 0 else 80) for i in range(60)]
    assert kinds(Judgements(tuple(mixed), ())) == []


def test_what_is_judged_again_and_deeper_is_no_other_scale() -> None:
    """Adaptive judging: one response of every prompt first, which a weak model often earns
    little for, then the others, of which one is often better."""
    once = [judgement(response(f"p{i}"), 5 if i < 10 or i % 2 else 40) for i in range(50)]
    deeper = [
        judgement(response(f"p{i}", k), 5 if k < 3 and i % 3 else 40)
        for i in range(50)
        for k in (1, 2, 3)
    ]
    assert kinds(Judgements((*once, *deeper), ())) == []


def test_a_few_prompts_are_too_few_to_tell() -> None:
    few = [judgement(response(f"p{i}"), score) for i, score in enumerate((90, 80, 7, 8))]
    assert kinds(Judgements(tuple(few), ())) == []


def test_right_controls_of_ten_at_most_mean_a_scale_of_ten() -> None:
    (finding,) = found(
        remarked_from(run(), 0, lambda s: round(s / 10)), controls([9, 10, 8, 9], [1, 0, 5, 2])
    )
    assert (finding.kind, finding.unfit) == ("scale", True)
    assert "at most 10 points" in finding.words


def test_a_smaller_scale_after_the_controls_is_a_hint() -> None:
    later = remarked_from(run(mean=80), 0, lambda s: 6 + s % 4)
    assert kinds(later) == [("scale", False)]
    assert kinds(remarked_from(run(), 0, lambda s: s % 6)) == [], "a weak model earns 0 to 5"


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))), st.data())
def test_the_chance_of_a_run_is_exact(sizes: tuple[int, int], data: st.DataObject) -> None:
    n, small = sizes
    k = data.draw(st.integers(1, small))
    assert exp(_log_chance(small, n, k)) == pytest.approx(comb(small, k) / comb(n, k), rel=1e-9)


# --- replies ------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [("refused", "refusals"), ("malformed", "prose")])
def test_more_than_half_lost_is_no_evidence(kind: str, name: str) -> None:
    scored = run().scored
    some = Judgements(scored[100:], tuple(unscored(one, kind) for one in scored[:100]))
    all_lost = Judgements((), tuple(unscored(one, kind) for one in scored))
    few = Judgements(scored[10:], tuple(unscored(one, kind) for one in scored[:10]))
    assert kinds(some) == kinds(all_lost) == [(name, True)]
    assert kinds(few) == [(name, False)]
    assert "100 of 200 (50%)" in found(some)[0].words


def test_refusals_and_prose_are_told_apart_and_count_together() -> None:
    scored = run().scored
    lost = [unscored(one, "refused" if i % 3 else "malformed") for i, one in enumerate(scored)]
    both = Judgements(scored[120:], tuple(lost[:120]))
    assert kinds(both) == [("refusals", True), ("prose", True)]


def test_a_lost_judgement_in_a_hundred_is_not_worth_a_word() -> None:
    scored = run().scored
    assert (
        kinds(Judgements(scored[2:], tuple(unscored(one, "refused") for one in scored[:2]))) == []
    )


def test_repairs_are_said_where_they_are_many() -> None:
    mended = [replace(one, misread=1) for one in run().scored]
    (finding,) = found(Judgements(tuple(mended), ()))
    assert (finding.kind, finding.unfit) == ("prose", False)
    assert "asked again for 200 of 200 (100%)" in finding.words


def test_two_snapshots_are_said() -> None:
    scored = run().scored
    moved = [replace(one, snapshot="j-2") for one in scored[150:]]
    (finding,) = found(Judgements((*scored[:150], *moved), ()))
    assert (finding.kind, finding.unfit) == ("snapshot", False)
    assert "j-1 (150 judgements) and j-2 (50 judgements)" in finding.words


# --- everything at once -------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100), st.booleans()), max_size=30),
    st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 100)), max_size=10),
)
def test_whatever_a_judge_does_there_is_an_answer(
    judged: list[tuple[int, int, bool]], checks: list[tuple[bool, int, int]]
) -> None:
    made = [judgement(response(f"p{p}"), score, whole(score / 2)) for p, score, _ in judged]
    lost = [
        unscored(one, "refused")
        for one, (_, _, is_lost) in zip(made, judged, strict=True)
        if is_lost
    ]
    marks = [control("right" if right else "wrong", n, score) for right, n, score in checks]
    found(Judgements(tuple(made), tuple(lost)), marks)


def test_a_judge_that_obeys_the_text_is_not_excused_by_noise() -> None:
    """Everything within a few points of 100, right or wrong."""
    rng = np.random.default_rng(5)

    def anything(_: int) -> int:
        return 95 + int(rng.integers(6))

    checks = [remarked(one, anything) for one in GOOD]
    assert kinds(remarked_from(run(), 0, anything), checks) == [("blind", True)]
