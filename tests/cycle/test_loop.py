"""The loop from coverage data to a verdict, and what it leaves behind."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cycle import migrate
from llamaduo.deployment.bundle import Bundle
from llamaduo.errors import BudgetExceeded, RunError, RunIncompatible, StageFailed, UsageError
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Event, Lengths, Pair, Response, Scores, Verdict
from llamaduo.run import Paused, own_run
from llamaduo.service.ledger import read_spend
from llamaduo.storage.jsonl import read_record, read_records, write_record
from llamaduo.storage.manifest import read_manifest
from llamaduo.storage.run_directory import RunDirectory
from tests.cycle.small_loop import configuration, run_loop

STAGES = [
    "import",
    "split",
    "lengths",
    "service/answer",
    "service/judge",
    "base/infer",
    "base/judge",
    "cycles/000/finetune",
    "cycles/000/infer",
    "cycles/000/judge",
    "cycles/000/synthesize",
    "cycles/000/curate",
    "cycles/000/lengths",
    "cycles/001/finetune",
    "cycles/001/infer",
    "cycles/001/judge",
    "service-final/answer",
    "service-final/judge",
    "final/000/infer",
    "final/000/judge",
]


@pytest.fixture(scope="module")
def finished(folder: Path, base_url: str) -> tuple[Path, Verdict]:
    """A run that used both its cycles, and its verdict."""
    verdict = run_loop(configuration(folder, base_url), folder, "finished")
    return folder / "runs" / "finished", verdict


def asked(record: Path) -> int:
    return record.read_text().count('"asked"')


def test_the_verdict_says_why_it_stopped(finished: tuple[Path, Verdict]) -> None:
    run, verdict = finished
    assert verdict.outcome == "stopped"
    assert "all 2 cycles have run" in verdict.reason
    assert verdict.shortfalls[0].startswith("precision mean score")
    assert verdict.reference_sources == ("human",)
    assert read_record(run / "verdict.json", Verdict) == verdict


def test_the_run_directory_is_what_other_programs_rely_on(
    finished: tuple[Path, Verdict],
) -> None:
    run, _ = finished
    manifest = json.loads((run / "manifest.json").read_text())
    assert list(manifest["stages"]) == STAGES
    for name in ("run.yaml", "ledger.sqlite", "verdict.json", "report/report.html"):
        assert (run / name).is_file(), name
    for name in ("train", "test", "final"):
        assert read_records(run / "coverage" / f"{name}.jsonl", Pair)
    for folder in ("base", "cycles/000", "cycles/001", "final/000"):
        responses = read_records(run / folder / "responses.jsonl", Response)
        scores = read_record(run / folder / "scores.json", Scores)
        assert scores.responses == len(responses) == scores.prompts * 2
        assert set(Counter(r.pair_id for r in responses).values()) == {2}
        judged = (run / folder / "judgements.jsonl").read_text().count("\n")
        unscored = (run / folder / "unscored.jsonl").read_text().count("\n")
        assert judged + unscored == scores.responses * 2
        assert (run / folder / "controls.jsonl").read_text().count("\n") == 2 * 4
    for folder in ("service", "service-final"):
        responses = read_records(run / folder / "responses.jsonl", Response)
        assert {response.author for response in responses} == {"service"}
        scores = read_record(run / folder / "scores.json", Scores)
        assert scores.responses == len(responses) == scores.prompts
    bundle = read_record(run / "bundle" / "bundle.json", Bundle)
    assert bundle.label == "target missed"
    assert (run / "bundle" / "adapter_model.safetensors").is_file()


def test_synthetic_pairs_are_trained_on_from_the_next_cycle(
    finished: tuple[Path, Verdict],
) -> None:
    run, _ = finished
    train = len(read_records(run / "coverage" / "train.jsonl", Pair))
    kept = read_records(run / "cycles" / "000" / "synthetic.jsonl", Pair)
    trained = [
        json.loads((run / "cycles" / cycle / "training.json").read_text())["pairs"]
        for cycle in ("000", "001")
    ]
    assert trained == [train, train + len(kept)]
    seeds = {pair.id for pair in read_records(run / "coverage" / "train.jsonl", Pair)}
    for pair in kept:
        assert set(pair.provenance.seeds) <= seeds
        assert pair.provenance.call
        assert pair.system, "the seeds' system prompt stays"


def test_a_finished_run_is_loaded_and_asks_nothing(
    finished: tuple[Path, Verdict], folder: Path, base_url: str, record: Path
) -> None:
    before = asked(record)
    assert run_loop(configuration(folder, base_url), folder, "finished") == finished[1]
    assert asked(record) == before


def test_a_lower_target_is_judged_anew_from_what_is_there(
    finished: tuple[Path, Verdict], folder: Path, base_url: str, record: Path
) -> None:
    before = asked(record)
    easy = configuration(folder, base_url, **{"target.precision.mean_score": "0"})
    assert run_loop(easy, folder, "finished").outcome == "passed"
    assert asked(record) == before
    bundle = read_record(finished[0] / "bundle" / "bundle.json", Bundle)
    assert bundle.label == "target met"


def test_one_stage_at_a_time_walks_the_same_corridor(folder: Path, base_url: str) -> None:
    config = configuration(folder, base_url, **{"limits.cycles": "1"})
    kinds = ["import", "split", "answer", "judge", "infer", "judge", "finetune", "infer", "judge"]
    kinds += ["answer", "judge", "infer", "judge"]
    for kind, following in zip(kinds, [*kinds[1:], None], strict=True):
        directory = RunDirectory(folder / "runs" / "stepwise")
        with own_run(config, directory, root=folder, cache=folder, only=kind) as run:
            if following:
                with pytest.raises(Paused, match=following):
                    migrate(run)
            else:
                assert migrate(run).outcome == "stopped"


def test_a_changed_file_of_a_finished_stage_stops_the_run(folder: Path, base_url: str) -> None:
    config = configuration(folder, base_url)
    directory = RunDirectory(folder / "runs" / "changed")
    with (
        own_run(config, directory, root=folder, cache=folder, only="import") as run,
        pytest.raises(Paused),
    ):
        migrate(run)
    accepted = directory.coverage / "accepted.jsonl"
    accepted.write_text(accepted.read_text().replace("normal", "urgent"))
    with pytest.raises(RunError, match=r"accepted\.jsonl was changed since stage 'import'"):
        run_loop(config, folder, "changed")


@pytest.mark.parametrize(
    ("budget", "ends"),
    [("1", "before anything was judged"), ("11", "with a verdict")],
)
def test_the_budget_is_never_overshot(folder: Path, base_url: str, budget: str, ends: str) -> None:
    """At $1,000 a million output tokens a call may cost $4.10 and costs about $0.05."""
    config = configuration(
        folder,
        base_url,
        **{"service.price": "{input: 0, output: 1000}", "limits.budget_usd": budget},
    )
    events: list[Event] = []
    if ends == "with a verdict":
        verdict = run_loop(config, folder, f"budget-{budget}", events.append)
        assert verdict.outcome == "stopped"
        assert "the budget is used up" in verdict.reason
        verdict_file = folder / "runs" / f"budget-{budget}" / "verdict.json"
        assert read_record(verdict_file, Verdict) == verdict
        spent = sum(row.usd for row in read_spend(verdict_file.with_name("ledger.sqlite")))
        assert 3 < spent <= float(budget)
    else:
        with pytest.raises(BudgetExceeded, match="It was not sent"):
            run_loop(config, folder, f"budget-{budget}", events.append)
        assert not any(event.unit == "intent" for event in events)


def test_another_best_cycle_gets_final_scores_of_its_own(folder: Path, base_url: str) -> None:
    """A target that cycle 0 meets makes it the best; raised, cycle 1 can become it."""
    easy = {"target.precision.mean_score": "0"}
    assert run_loop(configuration(folder, base_url, **easy), folder, "raised").best_cycle == 0
    run = folder / "runs" / "raised"
    assert (run / "final" / "000" / "scores.json").is_file()
    verdict = run_loop(configuration(folder, base_url), folder, "raised")
    assert verdict.cycle == 1
    best = f"{verdict.best_cycle:03d}"
    assert (run / "final" / best / "scores.json").is_file()
    assert read_record(run / "bundle" / "bundle.json", Bundle).cycle == verdict.best_cycle
    assert "mean_score: 99" in (run / "run.yaml").read_text()


def test_a_missing_ledger_is_not_replaced_by_an_empty_one(
    finished: tuple[Path, Verdict], folder: Path, base_url: str
) -> None:
    lost = Path(shutil.copytree(finished[0], folder / "runs" / "lost"))
    (lost / "ledger.sqlite").unlink()
    with pytest.raises(RunError, match=r"ledger\.sqlite is missing, though 'service/answer'"):
        run_loop(configuration(folder, base_url), folder, "lost")


@pytest.mark.usefixtures("finished")  # which has asked
def test_what_cannot_be_trained_here_is_said_before_anything_is_asked(
    folder: Path, base_url: str, record: Path
) -> None:
    before = asked(record)
    config = configuration(folder, base_url, **{"finetuning.liger": "true"})
    with pytest.raises(StageFailed, match=r"finetuning\.liger: true: liger-kernel does not run on"):
        run_loop(config, folder, "cannot")
    directory = RunDirectory(folder / "runs" / "cannot")
    assert list(read_manifest(directory.manifest).stages) == ["import", "split"]
    assert asked(record) == before


BEFORE_RECIPES = """\
finetuning:
  start_from: previous
  epochs: 1.0
  learning_rate: 0.002
  batch_size: 4
  lora_rank: 8
  lora_alpha: 16
  lora_dropout: 0.0
  max_tokens: 256
  seed: 0
"""
"""What ``run.yaml`` had of the section when there was one recipe for all."""


def test_a_run_from_before_recipes_goes_on_with_the_values_that_it_began_with(
    finished: tuple[Path, Verdict], folder: Path, base_url: str
) -> None:
    directory = RunDirectory(Path(shutil.copytree(finished[0], folder / "runs" / "before")))
    path, events = directory.configuration, list[Event]()
    text = re.sub(r"finetuning:\n(  .*\n)+", BEFORE_RECIPES, path.read_text())
    path.write_text(text)
    given: dict[str, Any] = {"root": folder, "cache": folder, "notify": events.append}
    for _ in range(2):  # it holds when the new version has written run.yaml, too
        with own_run(configuration(folder, base_url), directory, **given) as run:
            settings = run.config.finetuning
        assert (settings.method, settings.learning_rate, settings.lora_rank) == ("lora", 2e-3, 8)
        assert settings.packing is None
    assert "learning_rate: 0.002, lora_alpha: 16" in events[0].detail
    assert "epochs" not in events[0].detail
    for key, value in {"learning_rate": "0.001", "method": "full", "lora_rank": "null"}.items():
        other = configuration(folder, base_url, **{f"finetuning.{key}": value})
        with (
            pytest.raises(RunIncompatible, match=rf"finetuning\.{key}: the run has"),
            own_run(other, directory, **given),
        ):
            pass


def test_what_an_unfinished_stage_would_use_may_still_be_chosen(
    finished: tuple[Path, Verdict], folder: Path, base_url: str
) -> None:
    """Before the first fine-tuning, only the window is used up."""
    directory = RunDirectory(Path(shutil.copytree(finished[0], folder / "runs" / "early")))
    path, config = directory.configuration, configuration(folder, base_url)
    path.write_text(re.sub(r"finetuning:\n(  .*\n)+", BEFORE_RECIPES, path.read_text()))
    manifest = read_manifest(directory.manifest)
    stages = dict(list(manifest.stages.items())[: STAGES.index("cycles/000/finetune")])
    write_record(directory.manifest, replace(manifest, stages=stages))
    open_to_choice = FinetuningSettings(processes=0)
    config = config.model_copy(update={"finetuning": open_to_choice})
    with own_run(config, directory, root=folder, cache=folder) as run:
        assert run.config.finetuning == open_to_choice.model_copy(update={"max_tokens": 256})


def test_lengths_can_be_acted_on_until_the_first_inference(folder: Path, base_url: str) -> None:
    directory = RunDirectory(folder / "runs" / "lengths")

    def split_only(window: int) -> int:
        config = configuration(folder, base_url, **{"finetuning.max_tokens": str(window)})
        with (
            own_run(config, directory, root=folder, cache=folder, only="split") as run,
            pytest.raises((Paused, UsageError)),
        ):
            migrate(run)
        return read_record(directory.coverage / "lengths.json", Lengths).window

    with (
        own_run(
            configuration(folder, base_url), directory, root=folder, cache=folder, only="import"
        ) as run,
        pytest.raises(Paused),
    ):
        migrate(run)
    assert split_only(200) == 200
    (directory.root / "base").mkdir()
    (directory.root / "base" / "responses.jsonl").write_text("of other settings\n")
    assert split_only(140) == 140
    assert not (directory.root / "base" / "responses.jsonl").exists()

    changed = configuration(folder, base_url, **{"finetuning.max_tokens": "150"})
    with own_run(changed, directory, root=folder, cache=folder):
        pass  # it ends before anything is measured
    assert split_only(150) == 150

    narrow = configuration(folder, base_url, **{"finetuning.max_tokens": "50"})
    with (
        own_run(narrow, directory, root=folder, cache=folder) as run,
        pytest.raises(StageFailed, match=r"None of the \d+ pairs .* fits into 50 tokens"),
    ):
        migrate(run)  # before the service LLM or the base model has answered
    assert not (directory.root / "service" / "responses.jsonl").exists()
