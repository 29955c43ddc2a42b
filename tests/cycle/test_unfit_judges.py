"""Each kind of bad judge stops the run by name: nothing passes, and the report says what it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from llamaduo.cli.app import main
from llamaduo.errors import LlamaduoError, ServiceUnavailable, StageFailed
from llamaduo.records import PanelReport
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.storage.jsonl import read_record
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.verification.verify import verify
from tests.cycle.judged_run import asked, begun, judge_a_perfect_model, write_rows
from tests.cycle.judging_server import DEAD, REFUSES, Rule, judging, marks, sound

JUDGE = "openai-chat:judge"
CONTROLS = 8
CONFIGURATION = """
name: judged
task: {{kind: classification, topic: support tickets}}
coverage: {{data: data.jsonl, train_fraction: 0.3}}
service: {{model: "openai-chat:gpt-4o"}}
judging:
  judgements_per_response: 1
  judges:
    - {{model: "openai-chat:judge", base_url: "{base_url}", concurrency: 1, deadline_seconds: 0.5}}
target: {{precision: {{mean_score: 80}}}}
"""


def always_full(data: Mapping[str, str], number: int) -> str:
    return marks(100)


def refuses(data: Mapping[str, str], number: int) -> str:
    return REFUSES


def prose(data: Mapping[str, str], number: int) -> str:
    return "I find this quite good, all things considered."


def another_scale(data: Mapping[str, str], number: int) -> str:
    """From 0 to 100 at first, from 0 to 10 after the controls and 20 prompts."""
    score = json.loads(sound(data, number))["precision"]["score"]
    return marks(score if number < CONTROLS + 20 else score // 10)


def refuses_after_the_controls(data: Mapping[str, str], number: int) -> str:
    return sound(data, number) if number < CONTROLS else REFUSES


def dies_after_half(data: Mapping[str, str], number: int) -> str:
    return sound(data, number) if number < CONTROLS + 20 else DEAD


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_rows(tmp_path, tickets(64, seed=5))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def judged(folder: Path, rule: Rule) -> LlamaduoError | None:
    """How judging by ``rule`` ends."""
    with judging(rule) as base_url, begun(folder, CONFIGURATION.format(base_url=base_url)) as run:
        assert len(asked(run)) >= 40
        try:
            judge_a_perfect_model(run)
        except LlamaduoError as error:
            return error
    return None


def reported(folder: Path) -> str:
    """The report, written again by its command."""
    sys.argv = ["llamaduo", "report"]
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    return (folder / "runs" / "judged" / "report" / "report.md").read_text(encoding="utf-8")


def left(folder: Path) -> PanelReport:
    return read_record(folder / "runs" / "judged" / "base" / "judges.json", PanelReport)


def is_not_done(folder: Path) -> bool:
    """No scores, so no verdict can be reached by them, and the manifest does not know the stage."""
    run = folder / "runs" / "judged"
    manifest = json.loads((run / "manifest.json").read_text())
    return "base/judge" not in manifest["stages"] and not (run / "base" / "scores.json").exists()


@pytest.mark.parametrize(
    ("rule", "kind", "told", "of_controls"),
    [
        (always_full, "constant", "gives every response 100", True),
        (refuses, "refusals", "refused 8 of 8", True),
        (prose, "prose", "never kept to the form in 8 of 8", True),
        (another_scale, "scale", "changed its scale", False),
        (refuses_after_the_controls, "refusals", "refused", False),
    ],
)
def test_an_unfit_judge_stops_the_stage_and_the_report_says_why(
    folder: Path, rule: Rule, kind: str, told: str, of_controls: bool
) -> None:
    error = judged(folder, rule)
    assert isinstance(error, StageFailed)
    assert JUDGE in error.message
    assert told in error.message
    assert "llamaduo report" in error.hint
    assert is_not_done(folder)

    report = left(folder)
    assert report.of_controls == of_controls
    assert [one.kind for one in report.unfit] == [kind]

    page = reported(folder)
    assert "Judging stopped (base model) because a judge is unfit" in page
    assert f"Unfit: {JUDGE}" in page.replace("\\", "")
    assert told in page
    title = "The judges of base model"
    assert f"### {title}" + (", by control responses alone" if of_controls else "") in page


def test_what_an_unfit_judge_left_is_verified_as_far_as_it_got(folder: Path) -> None:
    judged(folder, always_full)
    checks = verify(RunDirectory(folder / "runs" / "judged"))
    assert {one.name: one.ok for one in checks} == dict.fromkeys(
        ("files", "ledger", "import", "split", "verdict"), True
    )


def test_a_judge_that_dies_is_named_and_what_it_said_is_kept(folder: Path) -> None:
    error = judged(folder, dies_after_half)
    assert isinstance(error, ServiceUnavailable)
    assert JUDGE in error.message
    assert "503" in error.message
    assert is_not_done(folder)
    assert not (folder / "runs" / "judged" / "base" / "judges.json").exists()
    assert "Not finished" in reported(folder)


def test_another_judge_leaves_nothing_of_the_unfit_one(folder: Path) -> None:
    judged(folder, always_full)
    with judging(sound) as base_url:
        better = CONFIGURATION.format(base_url=base_url).replace(JUDGE, "openai-chat:better")
        with begun(folder, better) as run:
            judge_a_perfect_model(run)
    assert not is_not_done(folder)
    assert [one.judge for one in left(folder).judges] == ["openai-chat:better"]
    assert left(folder).unfit == ()
    assert "unfit" not in reported(folder)
