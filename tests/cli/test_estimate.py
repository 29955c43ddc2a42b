"""`llamaduo estimate`, and what is said before a run may spend."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from llamaduo.cli.app import main
from tests.canary import CANARY
from tests.tiny_llama import build_tiny_llama

PAIRS = [
    {"instruction": f"Say the number {n} in words, please.", "response": f"n{n}"} for n in range(40)
]


def llamaduo(*arguments: str) -> int:
    sys.argv = ["llamaduo", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PAIRS))


def write(extra: str = "") -> None:
    Path("llamaduo.yaml").write_text(f"coverage: {{data: pairs.jsonl}}\n{extra}")


def test_it_needs_no_key_and_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    write()
    before = sorted(Path().rglob("*"))
    assert llamaduo("estimate", "--no-probe") == 0
    shown = capsys.readouterr().out
    assert "judge: base" in shown
    assert "synthesize" in shown
    assert "Work of the local LLM" in shown
    assert "was not measured" in shown
    assert "No limits.budget_usd is set" in shown
    assert sorted(Path().rglob("*")) == before


def test_a_probe_gives_hours_and_json_is_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    model = build_tiny_llama(Path("model"))
    write(
        f"local: {{model: ./{model}}}\nfinetuning: {{epochs: 1}}\n"
        "inference: {responses_per_prompt: 1, max_new_tokens: 4, engine: xllamacpp}\n"
        "limits: {cycles: 2, budget_usd: 3}\nservice: {mode: batch, model: 'openai:gpt-4o'}\n"
    )
    assert llamaduo("estimate", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["speed"]["source"] == "probe"
    assert [stage["stage"] for stage in found["local"]] == ["finetune", "infer"]
    assert all(stage["seconds"]["at_most"] > 0 for stage in found["local"])
    assert 0 < found["usd"]["expected"] < found["usd"]["at_most"]
    assert found["usd"]["at_most"] == pytest.approx(
        sum(one["usd"]["at_most"] for one in found["calls"])
    )
    assert (found["budget_usd"], found["spent_usd"], found["unpriced"]) == (3, 0, [])
    assert any("half the price, replies within a day" in note for note in found["notes"])
    assert any("before it has spent more than $3.00" in note for note in found["notes"])
    assert any("timed answers on transformers" in note for note in found["notes"])


def test_a_model_that_is_not_here_leaves_the_hours_out_and_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("local: {model: ./nowhere}\n")
    assert llamaduo("estimate") == 0
    shown = capsys.readouterr().out
    assert "No hours of local work" in shown
    assert "nowhere" in shown
    assert "judge: base" in shown


def test_a_model_without_a_price_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    write("service: {model: 'openai-chat:our-own', base_url: 'https://llm.example.com/v1'}\n")
    assert llamaduo("estimate", "--no-probe") == 0
    assert "set service.price" in capsys.readouterr().out
    assert llamaduo("estimate", "--no-probe", "--json") == 0
    assert json.loads(capsys.readouterr().out)["unpriced"] == ["openai-chat:our-own"]


# --- leave ----------------------------------------------------------------------------------

AT_A_LOSS = "base_url: 'http://127.0.0.1:9/v1', deadline_seconds: 0.1"
"""Nobody serves this address: every call is refused at once."""


def from_a_pipe(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        return llamaduo(*arguments)


def test_a_run_that_cannot_cost_much_starts_without_a_question(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(f"service: {{{AT_A_LOSS}, price: {{input: 0.001, output: 0.001}}}}\n")
    assert from_a_pipe(monkeypatch, "judge") == 2, "the stage is out of turn"
    shown = capsys.readouterr().err
    assert "within limits.confirm_above_usd, $1.00: it starts." in shown
    assert "nothing says that it may" not in shown


@pytest.mark.parametrize(
    "service",
    [
        "price: {input: 100, output: 100}, base_url: 'http://127.0.0.1:9/v1'",
        "model: 'openai-chat:our-own', base_url: 'https://llm.example.com/v1'",
    ],
)
def test_more_than_that_or_an_unknown_price_is_asked_about(
    service: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    write(f"service: {{{service}}}\n")
    assert from_a_pipe(monkeypatch, "judge") == 2
    shown = capsys.readouterr().err
    assert "nothing says that it may" in shown
    assert "limits.confirm_above_usd" in shown
    assert CANARY not in shown


def test_without_a_price_no_sum_is_made_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    write("service: {model: 'openai-chat:our-own', base_url: 'https://llm.example.com/v1'}\n")
    assert from_a_pipe(monkeypatch, "judge") == 2
    shown = capsys.readouterr().err
    assert "together what openai-chat:our-own charges (set service.price)." in shown
    assert "$0" not in shown


def test_an_option_that_the_provider_does_not_take_is_told_before_anything_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    write("service: {options: {tpo_p: 1}}\n")
    assert from_a_pipe(monkeypatch, "run", "--yes") == 2
    assert "tpo_p is not one of its settings (did you mean top_p?)" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_the_sum_to_confirm_can_be_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(f"service: {{{AT_A_LOSS}, price: {{input: 0.001, output: 0.001}}}}\n")
    none = ("--set", "limits.confirm_above_usd=0")
    assert from_a_pipe(monkeypatch, "judge", *none) == 2
    assert "nothing says that it may" in capsys.readouterr().err
