"""``judges.json``: every figure of it from judgements that are made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from llamaduo.evaluation.human import HumanScore
from llamaduo.evaluation.judge_report import report_on_judges
from llamaduo.records import (
    PANEL,
    Comparison,
    Comparisons,
    HumanAgreement,
    Judged,
    Judgement,
    Judgements,
    JudgeReport,
    Mark,
    PanelReport,
    Response,
    Unscored,
)
from tests.evaluation.judged import controls, judgement, response, unscored
from tests.evaluation.made import pair

GPT, CLAUDE, GEMINI = "openai-chat:gpt-4o", "anthropic:claude-opus-4-5", "google:gemini-2.5-pro"
LOCAL = [response(f"p{i}", k) for i in range(30) for k in range(2)]
SERVICE = [response(f"p{i}", author="service") for i in range(30)]


def judged(
    responses: Sequence[Response],
    scored: Sequence[Judgement],
    lost: Sequence[Unscored] = (),
) -> Judged:
    return Judged(tuple(responses), Judgements(tuple(scored), tuple(lost)))


def marked(judge: str, responses: Sequence[Response], scores: Sequence[int]) -> list[Judgement]:
    return [judgement(r, s, judge=judge) for r, s in zip(responses, scores, strict=True)]


def varied(responses: Sequence[Response], around: int, seed: int = 0) -> list[int]:
    """Scores that differ by response, a few points either way."""
    return [around + int(n) for n in np.random.default_rng(seed).integers(-5, 6, len(responses))]


def report(of: Judged, *judges: str, generator: str = GPT) -> PanelReport:
    return report_on_judges(
        of, (), Comparisons(), models={name: name for name in judges}, generator=generator
    )


def kinds(one: JudgeReport) -> list[str]:
    return [finding.kind for finding in one.findings]


# --- one judge ----------------------------------------------------------------------------


def test_what_came_of_each_judges_questions_is_counted() -> None:
    scored = marked(CLAUDE, LOCAL[:50], varied(LOCAL[:50], 60))
    scored[0] = replace(scored[0], misread=2)
    scored[1] = replace(scored[1], snapshot="claude-opus-4-5-20251101", misread=1)
    lost = [
        unscored(one, kind)
        for one, kind in zip(
            marked(CLAUDE, LOCAL[50:53], [0] * 3), ("refused", "refused", "malformed"), strict=True
        )
    ]
    others = marked(GEMINI, LOCAL, varied(LOCAL, 60))
    first, second = report(judged(LOCAL, [*scored, *others], lost), CLAUDE, GEMINI).judges
    assert (first.judge, first.scored, first.refused, first.malformed) == (CLAUDE, 50, 2, 1)
    assert first.repaired == 2
    assert first.snapshots == {"j-1": 49, "claude-opus-4-5-20251101": 1}
    assert (second.judge, second.scored, second.refused, second.repaired) == (GEMINI, 60, 0, 0)


def test_the_order_is_that_of_the_configuration_and_nobody_is_left_out() -> None:
    found = report(judged(LOCAL, marked(GPT, LOCAL, varied(LOCAL, 60))), GEMINI, GPT)
    assert [one.judge for one in found.judges] == [GEMINI, GPT]
    assert found.judges[0].scored == 0
    assert found.judges[0].repeat_deviation == {}
    assert found.judges[0].length_slope.value is None


def test_repeats_differ_by_the_pooled_standard_deviation() -> None:
    one, other = LOCAL[:2]
    scored = [
        judgement(one, 50, 90, index=0),
        judgement(one, 54, 90, index=1),
        judgement(other, 80, 90, index=0),
        judgement(other, 83, 90, index=1),
        judgement(other, 86, 90, index=2),
    ]
    deviation = report(judged(LOCAL, scored), "j").judges[0].repeat_deviation
    assert deviation["precision"] == pytest.approx(((2 * 2 * 2 + 9 + 9) / 3) ** 0.5)
    assert deviation["similarity"] == 0


def test_one_judgement_of_each_says_nothing_about_repeats() -> None:
    scored = marked("j", LOCAL, varied(LOCAL, 50))
    assert report(judged(LOCAL, scored), "j").judges[0].repeat_deviation == {}


def test_suspicions_are_in_it() -> None:
    constant = report_on_judges(
        judged(LOCAL, marked(CLAUDE, LOCAL, [100] * len(LOCAL))),
        (),
        Comparisons(),
        models={CLAUDE: CLAUDE},
        generator=GPT,
        controls=controls([100] * 4, [100] * 4, judge=CLAUDE),
    )
    (finding,) = constant.judges[0].findings
    assert (finding.kind, finding.unfit) == ("constant", True)
    assert CLAUDE in finding.words


# --- biases -------------------------------------------------------------------------------


def test_a_taste_for_length_is_said() -> None:
    responses = [response(f"p{i}", k, words=2 ** (3 + k)) for i in range(30) for k in range(3)]
    scores = [
        40 + 6 * one.index + n for one, n in zip(responses, varied(responses, 0), strict=True)
    ]
    found = report(judged(responses, marked(CLAUDE, responses, scores)), CLAUDE).judges[0]
    assert found.length_slope.value == pytest.approx(6, abs=1)
    assert kinds(found) == ["bias"]
    assert "points for twice the words" in found.findings[0].words
    assert "longer" in found.findings[0].words
    assert not found.findings[0].unfit


def test_a_taste_for_brevity_is_said_the_other_way_round() -> None:
    responses = [response(f"p{i}", k, words=2 ** (3 + k)) for i in range(30) for k in range(3)]
    scores = [
        60 - 6 * one.index + n for one, n in zip(responses, varied(responses, 0), strict=True)
    ]
    (finding,) = (
        report(judged(responses, marked(CLAUDE, responses, scores)), CLAUDE).judges[0].findings
    )
    assert "shorter" in finding.words


def test_a_taste_for_a_place_is_said_of_the_judge_that_has_it() -> None:
    comparisons = tuple(
        Comparison(
            response_id=one.id,
            rival_id="service",
            pair_id=one.pair_id,
            judge=judge,
            index=0,
            local_first=local_first,
            better="first" if judge == CLAUDE or local_first else "second",
            reason="",
            snapshot="j-1",
            call="key",
        )
        for judge in (CLAUDE, GEMINI)
        for one in LOCAL
        for local_first in (True, False)
    )
    scored = [j for n in (CLAUDE, GEMINI) for j in marked(n, LOCAL, varied(LOCAL, 60))]
    first, second = report_on_judges(
        judged(LOCAL, scored),
        (),
        Comparisons(comparisons),
        models={CLAUDE: CLAUDE, GEMINI: GEMINI},
        generator=GPT,
    ).judges
    assert first.position_preference.value == 100
    assert "prefers what it reads first by 100 percentage points" in first.findings[0].words
    assert second.position_preference.value == 0
    assert kinds(second) == []


def with_service(own: int, models: Mapping[str, str], generator: str = GPT) -> PanelReport:
    """The first judge gives the service's responses ``own`` points more than the second does."""
    local = {name: marked(name, LOCAL, varied(LOCAL, 50, seed=1)) for name in models}
    base = varied(SERVICE, 70, seed=2)
    first, *rest = models
    served = marked(first, SERVICE, [score + own for score in base])
    served += [one for name in rest for one in marked(name, SERVICE, base)]
    return report_on_judges(
        judged(LOCAL, [one for own_marks in local.values() for one in own_marks]),
        (),
        Comparisons(),
        models=models,
        generator=generator,
        service=judged(SERVICE, served),
    )


def test_a_judge_of_the_generators_family_is_held_against_the_others() -> None:
    first, second = with_service(8, {GPT: GPT, CLAUDE: CLAUDE}).judges
    assert (first.family, first.related) == ("OpenAI", True)
    assert first.family_bias.value == pytest.approx(8)
    assert first.family_bias.prompts == 30
    assert kinds(first) == ["related", "bias"]
    assert "it gives its own +8.0 points" in first.findings[0].words
    assert (second.family, second.related, second.family_bias.value) == ("Anthropic", False, None)
    assert kinds(second) == []


def test_a_related_judge_without_bias_is_only_related() -> None:
    first = with_service(0, {GPT: GPT, CLAUDE: CLAUDE}).judges[0]
    assert first.family_bias.value == pytest.approx(0)
    assert kinds(first) == ["related"]


def test_with_one_family_there_is_no_figure_but_a_warning() -> None:
    for models in ({GPT: GPT}, {GPT: GPT, "openai-chat:o3-mini": "openai-chat:o3-mini"}):
        found = with_service(8, models)
        assert [one.family_bias.value for one in found.judges] == [None] * len(models)
        assert all(kinds(one) == ["related"] for one in found.judges)
        assert "add a judge of another family" in found.judges[0].findings[0].words


def test_without_the_services_responses_the_warning_says_how_to_find_out() -> None:
    scored = [j for n in (GPT, CLAUDE) for j in marked(n, LOCAL, varied(LOCAL, 60))]
    (finding,) = report(judged(LOCAL, scored), GPT, CLAUDE).judges[0].findings
    assert finding.kind == "related"
    assert "set judging.service_responses to 1" in finding.words


def test_references_of_the_services_own_are_said() -> None:
    own = replace(pair("What?"), reference_source="service")
    found = report_on_judges(
        judged(LOCAL, marked(GPT, LOCAL, varied(LOCAL, 60))),
        (own,),
        Comparisons(),
        models={GPT: GPT},
        generator=GPT,
    )
    assert "wrote the training pairs and the references" in found.judges[0].findings[0].words


def test_the_snapshot_tells_that_a_judge_is_related() -> None:
    alias = "openai-chat:prod-judge"
    scored = [
        replace(one, snapshot="gpt-4o-2024-08-06")
        for one in marked(alias, LOCAL, varied(LOCAL, 60))
    ]
    found = report(judged(LOCAL, scored), alias).judges[0]
    assert (found.family, found.related) == ("OpenAI", True)


def test_a_generator_that_judges_is_related_whatever_its_replies_name() -> None:
    alias = "openai-chat:prod"
    scored = [
        replace(one, snapshot="gpt-4o-2024-08-06")
        for one in marked(alias, LOCAL, varied(LOCAL, 60))
    ]
    found = report_on_judges(
        judged(LOCAL, scored), (), Comparisons(), models={alias: alias}, generator=alias
    )
    assert found.judges[0].related
    assert kinds(found.judges[0]) == ["related"]


# --- all of them --------------------------------------------------------------------------


def test_alpha_is_between_the_judges_means() -> None:
    scores = [0, 20, 40, 60, 80, 100] * 10
    same = [j for n in (GPT, CLAUDE) for j in marked(n, LOCAL, scores)]
    assert report(judged(LOCAL, same), GPT, CLAUDE).alpha == {"similarity": 1, "precision": 1}
    opposed = [*marked(GPT, LOCAL, scores), *marked(CLAUDE, LOCAL, [100 - s for s in scores])]
    alpha = report(judged(LOCAL, opposed), GPT, CLAUDE).alpha["precision"]
    assert alpha is not None
    assert alpha < -0.9


def test_one_judge_agrees_with_nobody() -> None:
    scored = marked(GPT, LOCAL, varied(LOCAL, 60))
    assert report(judged(LOCAL, scored), GPT).alpha == {"similarity": None, "precision": None}


def test_metrics_of_the_configuration_are_reported_too() -> None:
    scored = [
        replace(one, marks={**one.marks, "tone": Mark(one.marks["precision"].score, "")})
        for n in (GPT, CLAUDE)
        for one in marked(n, LOCAL, varied(LOCAL, 60))
    ]
    assert list(report(judged(LOCAL, scored), GPT, CLAUDE).alpha) == [
        "similarity",
        "precision",
        "tone",
    ]


def test_a_person_is_compared_with_every_judge_and_the_panel() -> None:
    responses = LOCAL[:4]
    scored = [*marked(GPT, responses, [0, 30, 60, 90]), *marked(CLAUDE, responses, [90, 60, 30, 0])]
    person = [
        HumanScore(one.id, {"precision": s})
        for one, s in zip(responses, (5, 25, 65, 95), strict=True)
    ]
    stranger = HumanScore("of another run", {"precision": 3})
    found = report_on_judges(
        judged(responses, scored),
        (),
        Comparisons(),
        models={GPT: GPT, CLAUDE: CLAUDE},
        generator=GPT,
        human=[*person, stranger],
    ).human
    first, second, panel = found
    assert first == HumanAgreement(
        judge=GPT, metric="precision", responses=4, spearman=1.0, kappa=1.0
    )
    assert (second.judge, second.spearman) == (CLAUDE, -1.0)
    assert second.kappa == pytest.approx(-0.95, abs=0.06)
    assert panel == HumanAgreement(
        judge=PANEL, metric="precision", responses=4, spearman=None, kappa=None
    )


def test_without_a_person_there_is_no_agreement() -> None:
    assert report(judged(LOCAL, marked(GPT, LOCAL, varied(LOCAL, 60))), GPT).human == ()


def test_nothing_judged_is_a_report_too() -> None:
    found = report(judged([], []), GPT, CLAUDE)
    assert found.alpha == {}
    assert [kinds(one) for one in found.judges] == [["related"], []]
