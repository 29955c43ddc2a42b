"""Whether code parses, which not every machine can tell: verification says so by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamaduo.storage.run_directory import RunDirectory
from llamaduo.tasks import code
from llamaduo.verification.checks import Check
from llamaduo.verification.verify import verify
from tests.cycle.judged_run import begun, judge_a_perfect_model, write_rows
from tests.cycle.judging_server import judging, sound
from tests.verification.tampering import edit_json, seal

CONFIGURATION = """
name: judged
task: {{kind: coding}}
coverage: {{data: data.jsonl, train_fraction: 0.4}}
service: {{model: "openai-chat:gpt-4o", base_url: "{base_url}"}}
judging: {{judgements_per_response: 1}}
target: {{free: {{parses: 90}}}}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Functions in Go, judged where its grammar is installed."""
    pytest.importorskip("tree_sitter_go")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    rows = [
        {
            "instruction": f"Write a Go function that adds {n} to {chr(97 + n)}.",
            "response": f"```go\nfunc add{n}({chr(97 + n)} int) int {{ return {n} }}\n```",
        }
        for n in range(20)
    ]
    write_rows(tmp_path, rows)
    with judging(sound) as url, begun(tmp_path, CONFIGURATION.format(base_url=url)) as run:
        scores = judge_a_perfect_model(run)
    assert scores.free["parses"].value == 100.0
    return tmp_path / "runs" / "judged"


@pytest.fixture
def no_grammar(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine has no grammar of Go any more."""
    monkeypatch.setitem(sys.modules, "tree_sitter_go", None)
    code._parser.cache_clear()
    code._told.cache_clear()
    yield
    code._parser.cache_clear()
    code._told.cache_clear()


def checked(run: Path) -> Check:
    return next(one for one in verify(RunDirectory(run)) if one.name == "base/scores")


def test_where_the_grammar_is_installed_it_is_derived_again(run: Path) -> None:
    assert checked(run).ok is True


@pytest.mark.usefixtures("no_grammar")
def test_where_it_is_not_that_is_named_and_is_no_difference(run: Path) -> None:
    found = checked(run)
    assert found.ok is None
    assert "no grammar for go is installed" in found.detail
    assert "pip install -c constraints.txt 'llamaduo[code]'" in found.detail


@pytest.mark.usefixtures("no_grammar")
def test_everything_else_is_still_derived_again(run: Path) -> None:
    def better(scores: dict[str, object]) -> None:
        scores["free"]["rouge_l"]["value"] = 99.0  # type: ignore[index]

    edit_json(run / "base" / "scores.json", better)
    seal(run)
    found = checked(run)
    assert found.ok is False
    assert "free.rouge_l.value is 99.0" in found.detail
    assert "parses.value" not in found.detail


@pytest.mark.usefixtures("no_grammar")
def test_a_run_without_that_language_is_verified_whole(run: Path) -> None:
    """Only where something differs is it asked what could not be told."""
    path = run / "base" / "scores.json"
    nothing = {"value": None, "interval": None, "prompts": 0, "responses": 0}
    breakdown = json.loads((run / "base" / "breakdown.json").read_text())
    for one in breakdown["slices"]:
        one["measures"].pop("parses", None)
    (run / "base" / "breakdown.json").write_text(json.dumps(breakdown))
    edit_json(path, lambda scores: scores["free"].update(parses=nothing))
    seal(run)
    assert checked(run).ok is True
