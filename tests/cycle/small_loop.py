"""A whole migration small enough for a test: tickets, a tiny random Llama, the rehearsal service.

The tiny Llama learns nothing, so the target is never met and the loop uses both its cycles:
base, cycle 0, synthesize, curate, cycle 1, final.
"""

from __future__ import annotations

import json
from pathlib import Path

from llamaduo.config import Config, parse_config
from llamaduo.records import Notify, Verdict, silent
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.storage.run_directory import RunDirectory

CONFIGURATION = """
task: {{kind: classification, topic: support tickets}}
coverage: {{data: tickets.jsonl, train_fraction: 0.6, final_fraction: 0.15}}
service: {{model: "openai-chat:rehearsal", base_url: "{base_url}", concurrency: 4}}
local: {{model: "{model}"}}
finetuning: {{epochs: 1, batch_size: 4, max_tokens: 256, processes: 0}}
inference: {{responses_per_prompt: 2, max_new_tokens: 8, batch_size: 4}}
judging: {{judgements_per_response: 2}}
synthesis: {{pairs: 20}}
target: {{precision: {{mean_score: 99}}}}
limits: {{cycles: 2}}
"""


def prepare(folder: Path) -> None:
    """Write the coverage data and the model into ``folder``."""
    from tests.tiny_llama import build_tiny_llama

    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(json.dumps(row) + "\n" for row in tickets(32, seed=1))
    (folder / "tickets.jsonl").write_text(rows, encoding="utf-8")
    build_tiny_llama(folder / "model")


def configuration(folder: Path, base_url: str, **overrides: str) -> Config:
    """The configuration of the small loop; ``overrides`` as on the command line."""
    text = CONFIGURATION.format(base_url=base_url, model=folder / "model")
    return parse_config(text, "small_loop", [f"{k}={v}" for k, v in overrides.items()])


def run_loop(config: Config, folder: Path, name: str, notify: Notify = silent) -> Verdict:
    """Run (or resume) the loop as ``runs/NAME`` within ``folder``."""
    from llamaduo.cycle import migrate
    from llamaduo.run import own_run

    directory = RunDirectory(folder / "runs" / name)
    with own_run(config, directory, root=folder, cache=folder / "cache", notify=notify) as run:
        return migrate(run)
