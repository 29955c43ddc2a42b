"""The quickstart's data and configuration: the built-in task, sized for two cores."""

from __future__ import annotations

import json
from pathlib import Path

from llamaduo.errors import UsageError
from llamaduo.storage.atomic import write_atomic

PAIRS = 104

CONFIGURATION = """\
# The quickstart: support-ticket triage, carried over to SmolLM2-135M on this machine.
# `llamaduo init --from YOUR_DATA` writes such a file for your own task.
name: tickets

task:
  kind: classification
  topic: support tickets and how urgent they are

coverage:
  data: [tickets.jsonl]
  train_fraction: 0.46 # 48 pairs: few on purpose, so that the loop has something to do
  final_fraction: 0.23 # 24 pairs that are judged once, after the loop
  seed: {seed}

service:
  model: openai-chat:gpt-4o # what a real run would ask; this one asks the rehearsal service

finetuning:
  seed: {seed}

inference:
  responses_per_prompt: 2 # K
  seed: {seed}

judging:
  judgements_per_response: 2 # M

synthesis:
  pairs: 140 # asked for after cycle 0
  seed: {seed}

target:
  precision:
    mean_score: 85
    coverage_percentage: {{70: 80}}

limits:
  cycles: 4
"""

BEFORE = """\
llamaduo quickstart: support-ticket triage, from a service LLM to SmolLM2-135M on this machine.
The loop takes about 4 minutes on two cores: judge the base model, fine-tune on 48 pairs, judge
again, let the service LLM write more pairs, curate them, fine-tune on all of them, judge again.
The service LLM here is the built-in rehearsal program. The local model, its training and its
answers are real.
"""

NEXT = """
What this run leaves, from the folder {into}:
  llamaduo deploy --rehearse --check       # merged weights that answer the same, or none
  llamaduo serve runs/tickets-rehearsal    # behind the OpenAI API, until Ctrl-C
  llamaduo verify tickets-rehearsal        # every score again, from the ledger, offline

With your own data:
  llamaduo init --from YOUR_DATA.jsonl   # an OpenAI fine-tuning file, JSON Lines, CSV, Parquet
  llamaduo doctor                        # what is missing on this machine
  llamaduo run --rehearse                # your configuration through every stage, for nothing
  export OPENAI_API_KEY=...              # then the real service LLM:
  llamaduo run
"""


def prepare(into: Path, seed: int) -> Path:
    """Write the tickets and the configuration into ``into``, unless they are there already.

    Raises:
        UsageError: the folder holds a quickstart with another seed.
    """
    from llamaduo.rehearsal.tickets import tickets

    rows = tickets(PAIRS, seed)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    data, config = into / "tickets.jsonl", into / "llamaduo.yaml"
    if data.is_file() and data.read_text(encoding="utf-8") != lines:
        raise UsageError(
            f"{data} holds other tickets than seed {seed} makes.",
            hint="Give the seed it was made with, or another folder with --into.",
        )
    write_atomic(data, lines)
    if not config.is_file():
        write_atomic(config, CONFIGURATION.format(seed=seed))
    return config
