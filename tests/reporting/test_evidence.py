"""Evidence is what the run directory says: all of it, and nothing else."""

from pathlib import Path

import pytest

from llamaduo.errors import RunError
from llamaduo.reporting.answers import Answers, kind_of
from llamaduo.reporting.evidence import gather
from llamaduo.reporting.settings import CostSettings
from llamaduo.reporting.setup import PriceFacts
from llamaduo.storage.jsonl import append_records, write_record
from tests.reporting.runs import (
    JUDGES,
    SPEND,
    pair,
    panel_score,
    parity,
    response,
    scores,
    start_run,
    training,
    verdict,
    whole_run,
    write_answers,
    write_batch,
    write_coverage,
)


def test_a_whole_run_is_read_back(tmp_path: Path) -> None:
    evidence = gather(whole_run(tmp_path / "triage"), SPEND)

    assert evidence.name == "triage"
    assert evidence.setup.task.topic == "support-ticket triage"
    assert evidence.setup.judges == JUDGES
    assert evidence.setup.target_of("precision").coverage_percentage == {70: 90.0}
    assert evidence.imported is not None
    assert evidence.imported.refused[0].place == "tickets.jsonl:7"
    assert evidence.split is not None
    assert evidence.split.accepted == 80
    assert evidence.split.leaks == (("aaaa", "bbbb"),)
    assert evidence.lengths is not None
    assert evidence.lengths.fits == 78
    assert evidence.references == {"train": {"human": 64}, "test": {"service": 4, "human": 12}}
    assert evidence.base.scores == scores(12.0, 20.0)
    assert [cycle.cycle for cycle in evidence.cycles] == [0, 1]
    assert evidence.cycles[1].training == training(160)
    assert evidence.final == Answers()
    assert evidence.verdict == verdict(1, "passed", "Every target is met by cycle 1.")
    assert evidence.spend == SPEND


def test_losses_are_counted_by_step_and_reason(tmp_path: Path) -> None:
    first = gather(whole_run(tmp_path)).cycles[0]

    assert first.answers.unscored == {"score out of range": 2}
    assert first.dropped["novelty", "too like a kept pair"] == 20
    assert first.curation is not None
    assert first.curation.pairs == 128


def test_the_samples_are_of_the_best_cycle(tmp_path: Path) -> None:
    samples = gather(whole_run(tmp_path)).samples

    assert samples is not None
    assert samples.cycle == 1
    assert [(one.place, one.response.text) for one in samples.shown] == [
        ("Worst", "answer 0"),
        ("Worst", "answer 1"),
        ("Worst", "answer 2"),
        ("Low", "answer 4"),
        ("Middle", "answer 7"),
        ("High", "answer 11"),
        ("Best", "answer 13"),
        ("Best", "answer 14"),
        ("Best", "answer 15"),
    ]
    best = samples.shown[-1]
    assert best.scores == panel_score(similarity=60.0, precision=75.0)
    assert best.reference == "label 15"
    assert [message.role for message in best.prompt] == ["system", "user"]
    assert [(judge.judge, judge.judgements) for judge in best.judges] == [(n, 2) for n in JUDGES]
    assert len(best.quoted) == 4


def test_every_response_has_the_panels_score(tmp_path: Path) -> None:
    cycle = gather(whole_run(tmp_path)).cycles[1]

    assert len(cycle.answers.panel) == 16
    assert panel_score(similarity=12.0, precision=15.0) in cycle.answers.panel.values()


def test_lengths_of_pairs_and_parity_are_read(tmp_path: Path) -> None:
    folder = whole_run(tmp_path)
    write_record(folder / "parity.json", parity())

    evidence = gather(folder)

    assert evidence.lengths is not None
    assert evidence.lengths.tokens["train"].longest == 2386
    assert evidence.cycles[0].tokens is not None
    assert evidence.cycles[0].tokens.pairs == 96
    assert evidence.cycles[1].tokens is None
    assert evidence.parity == parity()


def test_what_the_user_says_now_replaces_what_the_run_was_told(tmp_path: Path) -> None:
    path = start_run(tmp_path) / "run.yaml"
    path.write_text("cost: {input_tokens_per_month: 5, servers: 2}\n")
    now = CostSettings(input_tokens_per_month=7)

    told = gather(tmp_path).setup.cost

    assert told == CostSettings(input_tokens_per_month=5, servers=2)
    assert gather(tmp_path, cost=now).setup.cost == now


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    evidence = gather(start_run(tmp_path))

    assert evidence.imported is None
    assert evidence.split is None
    assert evidence.cycles == ()
    assert evidence.verdict is None
    assert evidence.best is None
    assert evidence.samples is None
    assert list(evidence.sets()) == []


def test_a_run_killed_while_it_answers(tmp_path: Path) -> None:
    start_run(tmp_path)
    test = [pair("a", "b")]
    write_coverage(tmp_path, test)
    write_answers(tmp_path / "base", scores(12.0, 20.0))
    cycle = tmp_path / "cycles" / "000"
    write_record(cycle / "training.json", training(64))
    append_records(cycle / "responses.jsonl", [response(test[0], 0, "x")])
    with (cycle / "responses.jsonl").open("a") as file:
        file.write('{"id": "torn')

    evidence = gather(tmp_path)

    assert [one.name for one in evidence.sets()] == ["Base model", "Cycle 0"]
    assert evidence.cycles[0].answers.scores is None
    assert evidence.samples is None


def test_between_two_cycles_the_latest_verdict_is_the_cycles(tmp_path: Path) -> None:
    start_run(tmp_path)
    cycle = tmp_path / "cycles" / "000"
    write_answers(cycle, scores(50.0, 50.0))
    write_record(cycle / "verdict.json", verdict(0, "continue", "Below the target."))
    write_batch(cycle, 128, {("novelty", "too like a kept pair"): 28})

    evidence = gather(tmp_path)

    assert evidence.verdict is None
    assert evidence.latest_verdict == verdict(0, "continue", "Below the target.")
    assert evidence.best == evidence.cycles[0]


def test_no_judges_means_the_service_llm_itself(tmp_path: Path) -> None:
    path = start_run(tmp_path) / "run.yaml"
    path.write_text('service: {model: "openai-chat:gpt-4o"}\nunknown: {key: 1}\n')

    assert gather(tmp_path).setup.judges == ("openai-chat:gpt-4o",)


def test_a_rehearsal_names_the_models_that_it_stands_in_for(tmp_path: Path) -> None:
    path = start_run(tmp_path) / "run.yaml"
    path.write_text(
        "llamaduo:\n"
        "  rehearsed: true\n"
        "  stands_in_for:\n"
        "  - {name: 'openai-chat:rehearsal-of-x', model: 'openai-chat:x', price:"
        " {input: 1, output: 2.5}}\n"
        "service: {model: 'openai-chat:rehearsal-of-x', base_url: 'http://127.0.0.1:1/v1'}\n"
    )

    setup = gather(tmp_path).setup
    real = setup.real("openai-chat:rehearsal-of-x")

    assert setup.real_service == "openai-chat:x"
    assert real is not None
    assert (real.model, real.base_url, real.price) == ("openai-chat:x", None, PriceFacts(1, 2.5))
    assert setup.real("openai-chat:another") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not a run"),
        ("a: [1", "is not YAML"),
        ("judging: {score_thresholds: [many]}", "judging.score_thresholds.0"),
        ("- a list", "the file"),
    ],
)
def test_what_is_not_a_run_gets_one_clear_message(
    tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "run.yaml").write_text(content)

    with pytest.raises(RunError, match=said) as caught:
        gather(tmp_path)

    assert "run.yaml" in caught.value.message
    assert caught.value.hint


def test_a_damaged_judgement_is_named_with_its_line(tmp_path: Path) -> None:
    path = whole_run(tmp_path) / "cycles" / "001" / "judgements.jsonl"
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace('"score":0', '"score":"high"')
    path.write_text("\n".join(lines))

    with pytest.raises(RunError, match=r"001/judgements\.jsonl, line 3"):
        gather(tmp_path)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    folder = whole_run(tmp_path)
    (folder / "cycles" / "000" / "scores.json").write_text('{"prompts": 16}')

    with pytest.raises(RunError, match=r"000/scores\.json is not a Scores"):
        gather(folder)


def test_reasons_are_counted_without_their_particulars() -> None:
    assert kind_of("too close to another pair's (ROUGE-L 0.83, limit 0.7)") == (
        "too close to another pair's"
    )
    assert kind_of("not a label (billing (eu))") == "not a label"
    assert kind_of("an empty prompt") == "an empty prompt"
