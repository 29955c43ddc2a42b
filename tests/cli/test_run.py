"""`llamaduo run --rehearse` on a user's own data and model: every stage, for nothing."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.app import main
from tests.canary import CANARY
from tests.tiny_llama import build_tiny_llama

TOPICS = [
    "rivers",
    "mountains",
    "bread",
    "ships",
    "clocks",
    "gardens",
    "birds",
    "letters",
    "winter",
    "music",
    "maps",
    "glass",
]
CONFIGURATION = """
task: {{topic: short facts}}
coverage: {{data: facts.csv, reference_source: human, train_fraction: 0.7}}
service: {{model: "openai-chat:gpt-4o"}}
local: {{model: "{model}"}}
judging:
  judgements_per_response: 1
  judges:
    - model: openai-chat:gpt-4o
    - model: anthropic:claude-sonnet-4-5
      api_key_env: ANTHROPIC_API_KEY
      options: {{anthropic_thinking: {{type: disabled}}}} # what follows is not for a stand-in
      rates: {{requests: 1}}
      mode: batch
finetuning: {{epochs: 1}}
inference: {{responses_per_prompt: 1, max_new_tokens: 8}}
synthesis: {{pairs: 6}}
limits: {{cycles: 2}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: CSV, a model of their own, two judges of different providers."""
    folder = tmp_path_factory.mktemp("user")
    rows = [
        f'"Tell me one thing about {t}.","Of {t} there are many, and most are old."' for t in TOPICS
    ]
    (folder / "facts.csv").write_text("\n".join(["prompt,completion", *rows]) + "\n")
    model = build_tiny_llama(folder / "model")
    (folder / "llamaduo.yaml").write_text(CONFIGURATION.format(model=model))
    return folder


def llamaduo(*arguments: str) -> int:
    sys.argv = ["llamaduo", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def rehearsed(folder: Path) -> int:
    """The exit code of one rehearsal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", sys.argv)
        patch.delenv("OPENAI_API_KEY", raising=False)
        return llamaduo("run", "--rehearse")


@pytest.fixture(autouse=True)
def in_the_folder(folder: Path, rehearsed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", sys.argv)


def test_it_ends_with_three_when_the_target_is_missed(rehearsed: int) -> None:
    assert rehearsed == 3


def test_again_it_says_what_the_real_run_would_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("run", "--rehearse") == 3
    shown = capsys.readouterr()
    assert "REHEARSAL" in shown.err
    assert "would have cost about $" in shown.out
    assert "anthropic:claude-sonnet-4-5, openai-chat:gpt-4o" in shown.out
    assert "STOPPED, TARGET MISSED" in shown.out
    assert "Base model" in shown.out


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("run", "--rehearse", "--json") == 3
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["rehearsed"] is True
    assert found["usd"] == 0
    assert len(found["cycles"]) == 2
    assert len(found["base"]["judges"]) == 2
    assert found["verdict"]["outcome"] == "stopped"


def test_status_and_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("status", "--rehearse", "--json") == 0
    assert "cycles/001/judge" in json.loads(capsys.readouterr().out)["stages"]
    assert llamaduo("status", "--rehearse") == 0
    assert "Cycle 1" in capsys.readouterr().out
    assert llamaduo("report", "--rehearse", "--json") == 0
    report = Path(json.loads(capsys.readouterr().out)["report"]).read_text(encoding="utf-8")
    assert "REHEARSAL" in report


def test_a_rehearsal_is_not_a_real_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("finetune", "--name", "main-rehearsal") == 1
    assert "is a rehearsal" in capsys.readouterr().err


def test_a_missing_sdk_is_named_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    if find_spec("anthropic"):
        pytest.skip("the SDK is installed here")
    assert llamaduo("run", "--yes") == 2
    assert "pip install 'llamaduo[anthropic]'" in capsys.readouterr().err
