"""Real coverage pairs, as they are, through every stage of a rehearsal to the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.config import parse_config
from llamaduo.records import Pair
from llamaduo.storage.jsonl import read_records
from tests.cycle.small_loop import run_loop
from tests.tiny_llama import build_tiny_llama

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "no_robots_classify.jsonl"

CONFIGURATION = """
task: {{kind: classification, topic: all sorts of texts}}
coverage: {{data: "{data}", reference_source: human, train_fraction: 0.8, final_fraction: 0.1}}
service: {{model: "openai-chat:rehearsal", base_url: "{base_url}"}}
local: {{model: "{model}"}}
finetuning: {{epochs: 1, max_tokens: 512, processes: 0}}
inference: {{responses_per_prompt: 1, max_new_tokens: 8}}
judging: {{judgements_per_response: 1}}
synthesis: {{pairs: 20}}
target: {{precision: {{mean_score: 99}}}}
limits: {{cycles: 2}}
"""


@pytest.mark.skipif(not DATA.is_file(), reason="the shared data is not on this machine")
def test_no_robots_goes_through_every_stage(tmp_path: Path, base_url: str) -> None:
    model = build_tiny_llama(tmp_path / "model", window=4096)
    text = CONFIGURATION.format(data=DATA, base_url=base_url, model=model)
    verdict = run_loop(parse_config(text, "f"), tmp_path, "no-robots")
    assert verdict.outcome == "stopped"
    assert verdict.reference_sources == ("human",)
    run = tmp_path / "runs" / "no-robots"
    assert (run / "report" / "report.html").is_file()
    assert (run / "bundle" / "bundle.json").is_file()
    kept = read_records(run / "cycles" / "000" / "synthetic.jsonl", Pair)
    held_out = {
        pair.instruction
        for split in ("test", "final")
        for pair in read_records(run / "coverage" / f"{split}.jsonl", Pair)
    }
    assert kept
    assert not held_out & {pair.instruction for pair in kept}
