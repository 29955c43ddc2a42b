"""`llamaduo judge --attack`, as a user runs it: what it asks, costs, prints and leaves alone."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.app import main
from llamaduo.config import load_config
from llamaduo.evaluation.attacks import ATTACKS
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.run import own_run
from llamaduo.service.ledger import read_spend
from llamaduo.stages import collect, divide
from llamaduo.storage.manifest import read_manifest
from llamaduo.storage.run_directory import RunDirectory
from tests.verification.tampering import edit_json

CONFIGURATION = """
name: small
task: {{kind: classification, topic: support tickets}}
coverage: {{data: tickets.jsonl, train_fraction: 0.5}}
service: {{model: "openai-chat:rehearsal", base_url: "{base_url}", concurrency: 4}}
judging: {{judgements_per_response: 1}}
target: {{precision: {{mean_score: 99}}}}
"""
PRICED = ("--set", "service.price={input: 1, output: 2}", "--set", "limits.confirm_above_usd=0")


@pytest.fixture(scope="module")
def judge_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_rehearsal() as url:
        yield url


@pytest.fixture
def run(judge_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A run that has been imported and split, and no more. Not a rehearsal: its judge answers at
    an address of its own."""
    rows = "".join(json.dumps(row) + "\n" for row in tickets(24, seed=3))
    (tmp_path / "tickets.jsonl").write_text(rows)
    path = tmp_path / "llamaduo.yaml"
    path.write_text(CONFIGURATION.format(base_url=judge_url))
    directory = RunDirectory(tmp_path / "runs" / "small")
    with own_run(
        load_config(path, ()), directory, root=tmp_path, cache=tmp_path / "cache"
    ) as owned:
        divide(owned, collect(owned))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return directory


def judge(*arguments: str) -> int:
    sys.argv = ["llamaduo", "judge", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def calls(run: RunDirectory) -> int:
    return sum(row.answered for row in read_spend(run.ledger) if row.stage == "attack")


def test_an_honest_judge_resists_and_a_second_time_asks_nothing(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.coverage.iterdir()}
    assert judge("--attack", "--attack-prompts", "2") == 0
    shown = capsys.readouterr()
    assert "Attacks on the judges" in shown.out
    assert "RESISTANT: no attack lifts a bad response by more than 5 points" in shown.out
    asked = calls(run)
    assert 2 * len(ATTACKS) < asked <= 2 * 2 * (len(ATTACKS) + 1)

    assert judge("--attack", "--attack-prompts", "2", "--json", *PRICED) == 0
    found = json.loads(capsys.readouterr().out)
    assert calls(run) == asked
    assert (found["resistant"], found["prompts"], found["attacks"]) == (True, 2, len(ATTACKS))
    assert found["unscored"] == 0
    assert len(found["lifts"]) == len(ATTACKS) * 2 * 2
    assert set(found["known"]) == {lift["attack"] for lift in found["lifts"]}
    assert found["judgements"] == 2 * 2 * (len(ATTACKS) + 1)

    assert list(read_manifest(run.manifest).stages) == ["import", "split"]
    assert {path: path.read_bytes() for path in run.coverage.iterdir()} == before
    assert sorted(path.name for path in run.root.iterdir() if path.is_dir()) == ["coverage"]


def test_another_judge_may_be_asked_than_the_run_has_judged_with(
    run: RunDirectory, judge_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finished judging fixes the judges of the run's stages, but not those that are attacked."""

    def judged(manifest: dict[str, Any]) -> None:
        manifest["stages"]["base/judge"] = {"files": {}, "at": "2026-11-23T00:00:00Z"}

    edit_json(run.manifest, judged)
    another = f'judging.judges=[{{model: "openai-chat:another", base_url: "{judge_url}"}}]'
    before = run.configuration.read_bytes(), run.manifest.read_bytes()
    options = ("--attack", "--attack-prompts", "2", "--set", another, "--yes")
    assert judge(*options) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Asked: openai-chat:another (the run's own: openai-chat:rehearsal)." in shown
    assert (run.configuration.read_bytes(), run.manifest.read_bytes()) == before
    models = {row.model for row in read_spend(run.ledger) if row.stage == "attack"}
    assert models == {"openai-chat:another"}

    assert judge(*options, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["judges"] == ["openai-chat:another"]
    assert {lift["judge"] for lift in found["lifts"]} == {"openai-chat:another"}

    sys.argv = ["llamaduo", "coverage", "split", "--set", another]
    with pytest.raises(SystemExit) as refused:  # the stages are the run's own judges' still
        main()
    assert refused.value.code == 1
    assert "another configuration" in capsys.readouterr().err


def test_what_it_costs_is_said_and_without_leave_nothing_is_asked(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge("--attack", *PRICED) == 2
    shown = capsys.readouterr().err
    assert "attack: openai-chat:rehearsal" in shown
    assert "calls, about $" in shown
    assert "Give --yes, set limits.budget_usd" in " ".join(shown.split())
    assert calls(run) == 0


def test_a_judge_that_attacks_lift_is_not_resistant(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Off its own task the rehearsal service counts shared words, so that repeating what was
    asked pays."""
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefghij", k=6)) for _ in range(24 * 40)]
    rows = [
        {"instruction": " ".join(words[at : at + 39]), "response": words[at + 39]}
        for at in range(0, len(words), 40)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (run.root.parents[1] / "tickets.jsonl").write_text(text)
    coverage("import", "words")
    coverage("split", "words")
    capsys.readouterr()
    assert judge("--attack", "--attack-prompts", "4", "--name", "words") == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert "NOT RESISTANT: bad responses are lifted by more than 5 points by" in shown
    assert "repeated instruction (openai-chat:rehearsal)" in shown


def coverage(stage: str, name: str) -> None:
    sys.argv = ["llamaduo", "coverage", stage, "--name", name]
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code


def test_it_needs_a_split(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    coverage("import", "other")
    assert judge("--attack", "--name", "other") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "has no test split yet" in shown
    assert "llamaduo coverage split --name other" in shown


def test_it_needs_a_run(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge("--attack", "--name", "none") == 2
    assert "There is no run in" in capsys.readouterr().err
    assert not (run.root.parent / "none").exists()


def test_how_many_prompts_is_about_attacks(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge("--attack-prompts", "3") == 2
    assert "Add --attack" in capsys.readouterr().err
    assert judge("--attack", "--attack-prompts", "1") == 2
