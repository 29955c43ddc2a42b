"""llamaduo.yaml: every problem at once, each with its place and its fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.config import (
    Config,
    differences,
    dump_config,
    load_config,
    parse_config,
    read_resolved,
)
from llamaduo.errors import ConfigError, UsageError

MINIMAL = "coverage: {data: [pairs.jsonl]}\n"


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "llamaduo.yaml", overrides)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_are_enough() -> None:
    config = parse_config(MINIMAL, "llamaduo.yaml")
    assert config.coverage.data == ("pairs.jsonl",)
    assert config.judges == (config.service,)
    assert config.target.precision.mean_score == 80


def test_a_judge_may_go_where_the_service_may_unless_it_says_otherwise() -> None:
    config = parse_config(
        MINIMAL
        + "service: {egress_hosts: [api.openai.com]}\n"
        + "judging: {judges: [{model: 'openai:a'}, {model: 'google:b', egress_hosts: []}]}\n",
        "llamaduo.yaml",
    )
    assert [judge.egress_hosts for judge in config.judges] == [("api.openai.com",), ()]


def test_one_file_needs_no_list() -> None:
    assert parse_config("coverage: {data: a.csv}", "f").coverage.data == ("a.csv",)


def test_every_problem_is_reported_with_its_line() -> None:
    found = problems(
        "coverage:\n"
        "  data: [a.jsonl]\n"
        "  train_fracton: 0.5\n"
        "finetuning:\n"
        "  epochs: two\n"
        "judging:\n"
        "  judges:\n"
        "    - model: gpt4\n"
    )
    assert [p.partition(":")[0] for p in found] == [
        "llamaduo.yaml, line 3",
        "llamaduo.yaml, line 5",
        "llamaduo.yaml, line 8",
    ]
    assert "unknown key coverage.train_fracton" in found[0]
    assert "Did you mean train_fraction?" in found[0]
    assert "'two'" in found[1]
    assert "openai-chat:gpt-4o" in found[2]


def test_contradictions_are_told_apart_each_with_its_line() -> None:
    found = problems(
        "coverage: {data: [x]}\n"
        "finetuning:\n"
        "  patience: 3\n"
        "  method: full\n"
        "  lora_rank: 8\n"
        "inference:\n"
        "  sleep: true\n",
        "inference.model=gemma",
    )
    assert found == [
        (
            "llamaduo.yaml, line 3: finetuning.patience counts validations, and there are none;"
            " set validation_fraction"
        ),
        (
            "llamaduo.yaml, line 4: finetuning.method full trains all weights: it has no"
            " lora_rank, lora_alpha or lora_dropout"
        ),
        "llamaduo.yaml, line 7: inference.sleep is for engine openai; engine is transformers",
        "--set inference.model=gemma: inference.model is for engine openai; engine is transformers",
    ]


def test_a_problem_is_said_in_words_of_yaml() -> None:
    (found,) = problems(MINIMAL + "finetuning: {report_to: tensorboard}\n")
    assert "Input should be a list (found 'tensorboard')" in found
    assert found.endswith("Default: [].")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "coverage is missing"),
        ("- a\n", "not a mapping of sections"),
        ("a: [1", "not YAML"),
        ("a: 1\na: 2\n", "duplicate"),
        ("coverage: {}\n", "coverage.data is missing"),
        ("coverage: {data: []}\n", "coverage.data"),
        ("coverage: {data: [x], train_fraction: 0.8, final_fraction: 0.2}\n", "test split"),
        (MINIMAL + "target: {precision: {}}\n", "no target is set"),
        (MINIMAL + "target: {precision: {coverage_percentage: {60: 9}}}\n", "asks for ζ 60"),
        (MINIMAL + "curation: {max_per_label: 9}\n", "line 2: curation.max_per_label"),
        (MINIMAL + "curation: {min_response_words: 9, max_response_words: 8}\n", "words (9) is"),
        (MINIMAL + "name: ../x\n", "name"),
        (MINIMAL + "service: {api_key: sk-1}\n", "unknown key service.api_key"),
    ],
)
def test_bad_input_is_one_clear_problem(text: str, says: str) -> None:
    (found,) = problems(text)
    assert found.startswith("llamaduo.yaml")
    assert says in found


def test_only_what_the_target_names_must_be_met() -> None:
    config = parse_config(MINIMAL + "target: {similarity: {mean_score: 70}}\n", "f")
    assert config.target.precision.mean_score is None


def test_overrides_are_yaml_and_name_themselves_when_wrong() -> None:
    config = parse_config(
        MINIMAL,
        "f",
        ["finetuning.epochs=3", "coverage.data=[b.csv]", "task.topic=mail: urgent"][:2],
    )
    assert config.finetuning.epochs == 3
    assert config.coverage.data == ("b.csv",)
    (found,) = problems(MINIMAL, "finetuning.epochs=-1")
    assert found.startswith("--set finetuning.epochs=-1: ")
    (found,) = problems(MINIMAL, "finetuning.epochs")
    assert "not KEY=VALUE" in found


def test_a_label_cap_needs_labels() -> None:
    cap = MINIMAL + "curation: {max_per_label: 9}\n"
    for task in ("kind=classification", "labels=[praise, complaint]"):
        config = parse_config(cap, "f", [f"task.{task}"])
        assert config.curation.max_per_label == 9


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist") as caught:
        load_config(tmp_path / "llamaduo.yaml")
    assert "llamaduo init" in caught.value.hint


@given(
    st.floats(0.1, 0.8),
    st.integers(1, 9),
    st.lists(st.integers(0, 100), min_size=1, unique=True),
    st.text(st.characters(exclude_categories=["Cs", "Cc"])),
)
def test_the_resolved_configuration_reads_back(
    tmp_path_factory: pytest.TempPathFactory,
    fraction: float,
    k: int,
    thresholds: list[int],
    topic: str,
) -> None:
    values = {
        "coverage": {"data": ["a"], "train_fraction": fraction},
        "inference": {"responses_per_prompt": k},
        "judging": {"score_thresholds": thresholds},
        "task": {"topic": topic, "json_schema": {"type": "object"}},
        "target": {"precision": {"coverage_percentage": {thresholds[0]: 50}}},
    }
    config = Config.model_validate(values)
    path = tmp_path_factory.mktemp("run") / "run.yaml"
    path.write_text(dump_config(config, version="1", rehearsed=True), encoding="utf-8")
    assert read_resolved(path) == (config, True)
    assert differences(config, config) == {}


def test_what_would_change_records_is_a_difference_and_what_would_not_is_none() -> None:
    before = parse_config(MINIMAL, "f", ["finetuning.epochs=3"])
    free = ["limits.cycles=9", "target.precision.mean_score=1", "service.concurrency=2"]
    free += ["finetuning.epochs=3", "finetuning.micro_batch=2", "finetuning.report_to=[wandb]"]
    assert differences(before, parse_config(MINIMAL, "f", free)) == {}
    changed = differences(before, parse_config(MINIMAL, "f", ["finetuning.epochs=5"]))
    assert changed == {
        "finetuning.epochs": "finetuning.epochs: the run has 3.0, the configuration 5.0"
    }
    judges = "judging: {judges: [{model: 'openai:a', base_url: 'http://localhost:1/v1'}]}\n"
    moved = judges.replace(":1/", ":2/")
    with_judges = [parse_config(MINIMAL + text, "f") for text in (judges, moved)]
    assert differences(*with_judges) == {}
    assert differences(before, with_judges[0])
