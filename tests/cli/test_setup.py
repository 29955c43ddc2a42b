"""init fills in what the data shows; doctor says what is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.app import main
from llamaduo.cli.starter import starter
from llamaduo.config import load_config, parse_config
from tests.canary import CANARY


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)


def llamaduo(*arguments: str) -> int:
    sys.argv = ["llamaduo", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def write(rows: list[dict[str, Any]], name: str = "pairs.jsonl") -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def test_without_data_it_is_a_file_to_fill_in() -> None:
    config = parse_config(starter(None, Path()).text, "llamaduo.yaml")
    assert config.coverage.data == ("pairs.jsonl",)


def test_a_closed_set_of_short_responses_is_a_classification() -> None:
    rows = [
        {"prompt": f"mail {n}", "completion": ["spam", "ham, or not"][n % 2]} for n in range(40)
    ]
    config = parse_config(starter(write(rows), Path()).text, "llamaduo.yaml")
    assert config.task.kind == "classification"
    assert config.task.labels == ("ham, or not", "spam")


def test_json_responses_give_their_schema() -> None:
    rows = [
        {"prompt": f"mail {n}", "completion": json.dumps({"to": f"n{n}", "urgent": True, "n": n})}
        for n in range(12)
    ]
    schema = parse_config(starter(write(rows), Path()).text, "f").task.json_schema
    assert schema is not None
    assert schema["required"] == ["to", "urgent", "n"]
    assert schema["properties"]["urgent"] == {"type": "boolean"}


def test_labels_that_are_json_have_their_schema_too() -> None:
    rows = [
        {"prompt": f"mail {n}", "completion": json.dumps({"spam": bool(n % 2)})} for n in range(40)
    ]
    task = parse_config(starter(write(rows), Path()).text, "f").task
    assert task.kind == "classification"
    assert task.json_schema is not None
    assert task.json_schema["properties"] == {"spam": {"type": "boolean"}}


def test_code_and_summaries() -> None:
    code = [{"prompt": f"write {n}", "completion": f"```py\nx = {n}\n```"} for n in range(9)]
    assert "kind: coding" in starter(write(code), Path()).text
    summaries = [{"prompt": f"Summarize: {n}", "completion": f"about {n} it is"} for n in range(9)]
    assert "kind: summarization" in starter(write(summaries), Path()).text


def test_enough_data_gets_a_final_split_and_a_conversation_its_group() -> None:
    rows = [{"prompt": f"p {n}", "completion": f"c {n}", "conversation_id": n} for n in range(120)]
    coverage = parse_config(starter(write(rows), Path()).text, "f").coverage
    assert coverage.final_fraction == 0.1
    assert coverage.group_key == "conversation_id"


def test_init_then_doctor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    write([{"prompt": f"Say the word w{n}.", "completion": f"c {n}"} for n in range(30)])
    assert llamaduo("init", "--from", "pairs.jsonl") == 0
    assert "30 rows read" in capsys.readouterr().out
    assert load_config(Path("llamaduo.yaml")).coverage.train_fraction == 0.8
    assert llamaduo("init", "--from", "pairs.jsonl") == 2, "never overwritten unasked"
    capsys.readouterr()
    assert llamaduo("doctor", "--json") == 0
    checks = {check["what"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["Coverage data"]["found"].startswith("24 train, 6 test, 0 final")
    assert checks["openai-chat:gpt-4o"]["state"] == "ok"
    assert CANARY not in json.dumps(checks)


def test_doctor_names_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Path("llamaduo.yaml").write_text(
        "coverage: {data: nothing.jsonl}\n"
        "inference: {engine: openai, base_url: 'http://127.0.0.1:9/v1',"
        " serve_command: [no-vllm-here, '{model}']}\n"
    )
    assert llamaduo("doctor", "--json") == 1
    checks = {check["what"]: check for check in json.loads(capsys.readouterr().out)}
    assert "nothing.jsonl" in checks["Coverage data"]["found"]
    assert "no-vllm-here is not there" in checks["Engine"]["found"]
    assert "export OPENAI_API_KEY" in checks["openai-chat:gpt-4o"]["fix"]


@pytest.mark.parametrize(
    ("settings", "installed", "what", "fix"),
    [
        ("finetuning: {method: qlora}", "bitsandbytes", "Fine-tuning", "llamaduo[qlora]"),
        ("finetuning: {report_to: [mlflow]}", "mlflow", "Fine-tuning", "pip install mlflow"),
        ("inference: {constrained: 'on'}", "llguidance", "Engine", "llamaduo[schema]"),
    ],
)
def test_doctor_says_what_training_and_answering_lack(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    settings: str,
    installed: str,
    what: str,
    fix: str,
) -> None:
    monkeypatch.setitem(sys.modules, installed, None)  # as if it were not
    Path("llamaduo.yaml").write_text(f"coverage: {{data: nothing.jsonl}}\n{settings}\n")
    assert llamaduo("doctor", "--json") == 1
    checks = {check["what"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks[what]["state"] == "missing"
    assert fix in checks[what]["fix"]


def test_doctor_says_what_each_configured_provider_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", CANARY)
    bedrock = "anthropic-bedrock:anthropic.claude-haiku-4-5-20251001-v1:0"
    Path("llamaduo.yaml").write_text(
        "coverage: {data: nothing.jsonl}\n"
        "service: {model: 'google-cloud:gemini-3.5-flash', project: p1, location: europe-west4}\n"
        f"judging:\n  judges:\n  - {{model: '{bedrock}', location: eu-central-1}}\n"
        "  - {model: 'anthropic-vertex:claude-haiku-4-5'}\n"
    )
    assert llamaduo("doctor", "--json") == 1
    checks = {check["what"]: check for check in json.loads(capsys.readouterr().out)}
    assert "gcloud auth application-default" in checks["google-cloud:gemini-3.5-flash"]["fix"]
    assert "service.project" in checks["anthropic-vertex:claude-haiku-4-5"]["found"]
    found = checks[bedrock]["found"]
    assert found == ("bedrock-runtime.eu-central-1.amazonaws.com: AWS_BEARER_TOKEN_BEDROCK is set")
    for extra in ("anthropic-vertex", "anthropic-bedrock", "google"):
        assert checks[f"llamaduo[{extra}]"]["state"] in ("ok", "optional")
    assert CANARY not in json.dumps(checks)


def test_doctor_says_what_batches_mean_for_a_provider(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    Path("llamaduo.yaml").write_text(
        "coverage: {data: nothing.jsonl}\nservice: {model: 'openai:gpt-4o', mode: batch}\n"
    )
    llamaduo("doctor", "--json")
    checks = {check["what"]: check for check in json.loads(capsys.readouterr().out)}
    assert "zero-retention agreement" in checks["Batches"]["found"]
