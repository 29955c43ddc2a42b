"""Judging from the configuration to the verdict, where what is judged is known to be perfect:
metrics of the user's own, and a ceiling that is empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.assessment import SERVICE, answer_into, judge_into, judged_in
from llamaduo.config import Config
from llamaduo.errors import StageFailed
from llamaduo.evaluation.scores import Beside, score
from llamaduo.evaluation.settings import (
    JudgingSettings,
    LimitSettings,
    MetricTarget,
    TargetSettings,
)
from llamaduo.evaluation.verdict import confirm, reach_verdict
from llamaduo.records import Interval, Judged, Judgements, Scores
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.reporting.evidence import gather
from llamaduo.reporting.report import write_report
from llamaduo.reporting.tables import scores_by_cycle
from llamaduo.storage.manifest import read_manifest
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.tasks.settings import TaskSettings
from llamaduo.verification.verify import verify
from tests.cycle.judged_run import asked, begun, judge_a_perfect_model, write_rows
from tests.cycle.judging_server import REFUSES, Rule, judging, sound
from tests.evaluation.made import judgement, pair, response

TONE = """
name: judged
task: {{kind: classification, topic: support tickets}}
coverage: {{data: data.jsonl, train_fraction: 0.5}}
service: {{model: "openai-chat:rehearsal", base_url: "{base_url}", concurrency: 4}}
judging:
  judgements_per_response: 2
  aggregate: median
  metrics:
    tone: 100 is friendly and plain, 50 correct but stiff, 0 rude or full of jargon.
target:
  metrics: {{tone: {{mean_score: 80, coverage_percentage: {{70: 90}}}}}}
"""
REFUSED = """
name: judged
task: {{kind: classification, topic: support tickets}}
coverage: {{data: data.jsonl, train_fraction: 0.5, final_fraction: 0.2}}
service: {{model: "openai-chat:gpt-4o", base_url: "{service_url}", concurrency: 1}}
judging:
  judgements_per_response: 1
  judges:
    - {{model: "openai-chat:judge", base_url: "{judge_url}", concurrency: 4}}
target: {{precision: {{mean_score: 80}}, not_worse_than_service_by: 5}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_rows(tmp_path, tickets(32, seed=5))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def failing(run: Path) -> dict[str, str]:
    return {one.name: one.detail for one in verify(RunDirectory(run)) if one.ok is not True}


# --- metrics of the user's own ------------------------------------------------------------


def test_a_metric_of_ones_own_goes_from_its_rubric_to_the_verdict(folder: Path) -> None:
    with running_rehearsal() as url, begun(folder, TONE.format(base_url=url)) as run:
        scores = judge_a_perfect_model(run)
        target = run.config.target
    tone = scores.panel["tone"]
    assert tone.mean_score is not None
    assert tone.interval is not None
    assert tone.scored == 2 * scores.responses
    assert set(scores.panel) == {"similarity", "precision", "tone"}
    assert set(tone.coverage_percentage) == {50, 70}

    verdict = reach_verdict([scores], target, LimitSettings(), reference_sources=("human",))
    met = tone.mean_score >= 80 and tone.coverage_percentage[70] >= 90
    assert verdict.outcome == ("passed" if met else "continue")
    assert all(words.startswith("tone ") for words in verdict.shortfalls)
    run_folder = folder / "runs" / "judged"
    assert failing(run_folder) == {}
    (table, *_) = scores_by_cycle(gather(run_folder))
    assert "Tone" in {column.group for column in table.columns}
    assert "tone" in (run_folder / "base" / "judges.json").read_text()


# --- a ceiling that is empty, or nearly so ------------------------------------------------


def answering(first: int) -> Rule:
    """Answers the ``first`` prompts with what is a label, and refuses the others."""
    return lambda _, number: "billing" if number < first else REFUSES


def beside_a_ceiling(folder: Path, service: Rule) -> tuple[Scores, Config]:
    """What the service LLM answers is judged, then a perfect model's responses beside it."""
    with judging(service) as service_url, judging(sound) as judge_url:
        text = REFUSED.format(service_url=service_url, judge_url=judge_url)
        with begun(folder, text) as run:
            pairs = asked(run)
            judge_into(run, SERVICE, answer_into(run, SERVICE, pairs), pairs)
            ceiling = judged_in(run.directory.root, SERVICE)
            return judge_a_perfect_model(run, ceiling), run.config


def test_a_service_llm_that_refuses_every_prompt_is_named(folder: Path) -> None:
    with pytest.raises(StageFailed, match="openai-chat:gpt-4o refused to answer every one of 10"):
        beside_a_ceiling(folder, answering(0))
    manifest = read_manifest(folder / "runs" / "judged" / "manifest.json")
    assert not any(stage.startswith(SERVICE) for stage in manifest.stages)


def test_one_answer_is_a_ceiling_that_decides_nothing(folder: Path) -> None:
    scores, config = beside_a_ceiling(folder, answering(1))
    found = scores.versus_service["precision"]
    assert (found.prompts, found.interval) == (1, Interval(-100.0, 100.0))

    passed = reach_verdict([scores], config.target, config.limits, reference_sources=("human",))
    assert passed.outcome == "passed"
    assert confirm(passed, scores, config.target).outcome == "undecided"

    run = folder / "runs" / "judged"
    assert failing(run) == {}
    service = gather(run).service.scores
    assert service is not None
    assert (service.responses, service.set_aside) == (1, 9)
    write_report(gather(run), run / "report")
    assert "Service LLM" in (run / "report" / "report.md").read_text()


def test_nothing_at_all_to_compare_with_confirms_nothing() -> None:
    asked_for = pair("A?")
    judged = Judged((response(asked_for),), Judgements((judgement(response(asked_for), 90),), ()))
    empty = Judged((), Judgements((), ()))
    scores = score(
        judged, [asked_for], JudgingSettings(), TaskSettings(), beside=Beside(service=empty)
    )
    assert scores.versus_service == {}
    target = TargetSettings(precision=MetricTarget(mean_score=80.0), not_worse_than_service_by=5.0)
    passed = reach_verdict([scores], target, LimitSettings(), reference_sources=("human",))
    confirmed = confirm(passed, scores, target)
    assert (passed.outcome, confirmed.outcome) == ("passed", "undecided")
    assert "nothing could be compared with the service LLM" in confirmed.reason
