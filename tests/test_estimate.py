"""What is left of a run: before there is one, in the middle of it, and when it has ended."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from llamaduo.config import Config, parse_config
from llamaduo.estimate import Estimate, estimate, measured_speed, split_of
from llamaduo.reporting.cost import Calls, Span, total
from llamaduo.service.ledger import read_spend
from llamaduo.storage.run_directory import RunDirectory
from tests.cycle.small_loop import CONFIGURATION

PRICE = ["service.price={input: 1, output: 10}"]


def configuration(run: Path, *overrides: str) -> Config:
    text = CONFIGURATION.format(base_url="http://127.0.0.1:9/v1", model=run / "model")
    return parse_config(text, "small_loop", [*PRICE, *overrides])


def left_of(run: Path, *overrides: str) -> Estimate:
    config, directory = configuration(run, *overrides), RunDirectory(run)
    return estimate(config, directory, split_of(config, directory, run.parent))


def calls(found: Estimate) -> dict[str, Span]:
    return {one.stage: one.calls for one in found.calls if one.calls.at_most}


def only(found: Estimate, stage: str) -> Calls:
    return next(one for one in found.calls if one.stage == stage)


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run: base, cycle 0, synthesis, cycle 1, final; target missed."""
    folder = tmp_path / "small"
    shutil.copytree(finished_run, folder)
    return folder


def undo(run: Path, *stages: str) -> None:
    """As if ``stages`` had not been finished yet, nor the run ended."""
    path = run / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_text())
    manifest["stages"] = {k: v for k, v in manifest["stages"].items() if k not in stages}
    path.write_text(json.dumps(manifest))
    (run / "verdict.json").unlink(missing_ok=True)


@pytest.fixture
def unbegun(run: Path, tmp_path: Path, finished_run: Path) -> Path:
    """The folder of the same run before it begins, beside its data."""
    shutil.copy(finished_run.parent.parent / "tickets.jsonl", tmp_path / "tickets.jsonl")
    return tmp_path / "new"


def test_a_run_that_has_not_begun_has_everything_to_do(unbegun: Path) -> None:
    found = left_of(unbegun, "limits.cycles=4")
    split = split_of(configuration(unbegun), RunDirectory(unbegun), unbegun.parent)
    test, final, repeats = len(split.test.pairs), len(split.final.pairs), 2 * 2
    assert calls(found) == {
        "answer": Span(test + final, test + final),
        "judge: base": Span(test * repeats, test * repeats),
        "judge: cycles": Span(2 * test * repeats, 4 * test * repeats),
        "judge: final": Span(final * repeats, final * repeats),
        "judge: service": Span(test * 2, test * 2),
        "judge: service-final": Span(final * 2, final * 2),
        "judge: controls": Span(6 * 2 * 4, 8 * 2 * 4),  # base, cycles, final, service twice
        "synthesize": Span(4, 4 + 8 + 16),  # 20, 40 and 80 pairs, 5 in a request
    }
    assert (found.cycles, found.most_cycles, found.ended, found.spent_usd) == (2, 4, False, 0)
    assert not only(found, "synthesize").size.measured
    train = len(split.train.pairs)
    tuned, answered = found.local
    each = tuned.tokens.at_most / (train * 4 + 20 * 3 + 40 * 2 + 80)
    assert tuned.tokens.expected == pytest.approx(each * (2 * train + 20))
    assert answered.tokens.at_most == 8 * 2 * (5 * test + final)
    assert found.speed is None


def test_a_run_then_asks_what_was_expected(unbegun: Path, finished_run: Path) -> None:
    found, made = left_of(unbegun), read_spend(RunDirectory(finished_run).ledger)
    asked = {row.stage: row.answered - row.unused for row in made}
    expected = total(one.calls for one in found.calls if one.stage.startswith("judge")).expected
    assert asked == {
        "answer": only(found, "answer").calls.expected,
        "judge": expected,
        "synthesize": only(found, "synthesize").calls.expected,
    }
    for row in made:  # the rehearsal service counts in its own way, and no schema
        size = only(found, "judge: base" if row.stage == "judge" else row.stage).size
        assert row.input_tokens / row.answered == pytest.approx(size.input.expected, rel=0.25)
        assert row.output_tokens / row.answered < size.output.at_most


def test_greedy_answers_are_made_and_judged_once(unbegun: Path) -> None:
    drawn, greedy = left_of(unbegun), left_of(unbegun, "inference.temperature=0")
    assert calls(greedy)["judge: base"] * 2 == calls(drawn)["judge: base"]
    assert greedy.local[1].tokens * 2 == drawn.local[1].tokens


def test_judging_that_stops_early_is_expected_to_but_not_on_the_final_split(
    unbegun: Path,
) -> None:
    fixed, adaptive = left_of(unbegun), left_of(unbegun, "judging.stopping=adaptive")
    early = calls(adaptive)["judge: base"]
    assert early.expected * 4 == calls(fixed)["judge: base"].expected
    assert early.at_most == calls(fixed)["judge: base"].at_most
    assert calls(adaptive)["judge: final"] == calls(fixed)["judge: final"]


def test_every_judge_has_its_calls(unbegun: Path) -> None:
    judges = "[{model: 'openai-chat:a', price: {input: 1, output: 1}}, {model: 'openai-chat:b'}]"
    found = left_of(unbegun, f"judging.judges={judges}")
    assert [one.model for one in found.calls if one.stage == "judge: base"] == [
        "openai-chat:a",
        "openai-chat:b",
    ]


def test_a_run_that_has_ended_has_nothing_to_do(run: Path) -> None:
    found = left_of(run)
    assert found.ended
    assert calls(found) == {}
    assert all(stage.tokens == Span(0, 0) for stage in found.local)


def test_more_cycles_than_it_had_may_be_made_and_are_not_expected(run: Path) -> None:
    found = left_of(run, "limits.cycles=3")
    assert calls(found)["judge: cycles"].expected == 0
    assert calls(found)["judge: cycles"].at_most > 0
    assert calls(found)["synthesize"] == Span(0, 8)


def test_in_the_middle_only_the_rest_is_counted_by_what_calls_were_like(run: Path) -> None:
    last = ("infer", "judge", "finetune")
    undo(run, *(f"cycles/001/{kind}" for kind in last), "final/001/judge", "final/001/infer")
    found = left_of(run)
    judged = only(found, "judge: cycles")
    assert judged.size.measured
    assert 0 < judged.size.output.expected < judged.size.output.at_most
    assert "judge: base" not in calls(found)
    assert "synthesize" not in calls(found)
    assert found.local[0].tokens.expected == found.local[0].tokens.at_most > 0


def test_what_is_answered_of_a_stage_that_was_cut_off_is_not_counted_again(run: Path) -> None:
    undo(run, "base/judge", "cycles/000/judge", "cycles/001/judge", "final/000/judge")
    undo(run, "final/001/judge")
    found = left_of(run)
    rest = sum(span.at_most for span in calls(found).values())
    whole = left_of(run, "service.model=openai-chat:another")
    assert rest < sum(span.at_most for span in calls(whole).values())


def test_finished_stages_say_how_fast_the_machine_is(run: Path) -> None:
    config = configuration(run)
    speed = measured_speed(config, RunDirectory(run))
    assert speed is not None
    assert speed.source == "run"
    assert min(speed.training, speed.writing) > 0
    found = estimate(
        config, RunDirectory(run.parent / "none"), split_of(config, RunDirectory(run), run.parent),
        speed=speed,
    )  # fmt: skip
    assert all(stage.seconds and stage.seconds.expected > 0 for stage in found.local)


def test_a_rehearsal_says_so_too_if_its_local_llm_is_the_same(run: Path) -> None:
    real = RunDirectory(run.parent / "real")
    assert measured_speed(configuration(run), real) is None
    run.rename(run.parent / "real-rehearsal")
    own = (run.parent / "real-rehearsal" / "run.yaml").read_text()
    model = next(line for line in own.splitlines() if "/model" in line).partition(":")[2].strip()
    speed = measured_speed(configuration(run, f"local.model={model}"), real)
    assert speed is not None
    assert speed.source == "rehearsal"
    assert measured_speed(configuration(run), real) is None, "another local LLM"
