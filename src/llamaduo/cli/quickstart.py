"""The quickstart's data and configuration: the built-in tasks, sized for two cores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llamaduo.errors import UsageError
from llamaduo.storage.atomic import write_atomic
from llamaduo.tasks.settings import TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Quickstart:
    """One built-in task as a quickstart.

    ``train``, ``test`` and ``final`` are the pairs of each split, ``synthetic`` how many are asked
    for after cycle 0, ``minutes`` what it takes on two cores. ``epochs`` are as many as keep a
    cycle below 25,000 tokens of training, with ``batch`` pairs in a step. ``what`` is the task in
    words, ``items`` what its data are.
    """

    name: str
    what: str
    items: str
    topic: str
    train: int
    test: int
    final: int
    synthetic: int
    minutes: int
    epochs: int = 2
    batch: int = 4
    target: str = """\
  precision:
    mean_score: 85
    coverage_percentage: {70: 80}
"""

    @property
    def pairs(self) -> int:
        return self.train + self.test + self.final

    def share(self, pairs: int) -> str:
        """The fraction of all pairs that makes exactly so many."""
        return f"{pairs / self.pairs:.2f}"


QUICKSTARTS: Final[dict[TaskKind, Quickstart]] = {
    "classification": Quickstart(
        name="tickets",
        what="support-ticket triage",
        items="tickets",
        topic="support tickets and how urgent they are",
        train=48,
        test=32,
        final=24,
        synthetic=140,
        minutes=3,
        batch=2,
    ),
    "closed_qa": Quickstart(
        name="places",
        what="questions about a text",
        items="texts",
        topic="visiting a place, its hours and prices",
        train=16,
        test=48,
        final=48,
        synthetic=140,
        minutes=5,
        target="""\
  precision:
    mean_score: 88
    coverage_percentage: {70: 85}
""",
    ),
    "summarization": Quickstart(
        name="notes",
        what="summaries of short notes",
        items="notes",
        topic="short notes about a job that somebody did",
        train=12,
        test=32,
        final=32,
        synthetic=78,
        epochs=3,
        minutes=5,
        target="""\
  precision:
    mean_score: 88
    coverage_percentage: {70: 80}
""",
    ),
    "coding": Quickstart(
        name="functions",
        what="small Python functions",
        items="functions",
        topic="short Python functions over numbers and texts",
        train=16,
        test=32,
        final=32,
        synthetic=136,
        minutes=5,
        target="""\
  precision:
    mean_score: 80
    coverage_percentage: {70: 70}
""",
    ),
}
"""The first is the one that a quickstart takes unless another is asked for."""

CONFIGURATION = """\
# The quickstart: {what}, carried over to SmolLM2-135M on this machine.
# `llamaduo init --from YOUR_DATA` writes such a file for your own task.
name: {name}

task:
  kind: {kind}
  topic: {topic}

coverage:
  data: [{name}.jsonl]
  train_fraction: {share} # {train} pairs: few on purpose, so that the loop has something to do
  final_fraction: {final_share} # {final} pairs that are judged once, after the loop
  seed: {seed}

service:
  model: openai-chat:gpt-4o # what a real run would ask; this one asks the rehearsal service

finetuning:
  epochs: {epochs}
  batch_size: {batch}
  seed: {seed}

inference:
  responses_per_prompt: 2 # K
  seed: {seed}

judging:
  judgements_per_response: 2 # M

synthesis:
  pairs: {synthetic} # asked for after cycle 0
  seed: {seed}

target:
{target}
limits:
  cycles: 4
"""

BEFORE = """\
llamaduo quickstart: {what}, from a service LLM to SmolLM2-135M on this machine.
The loop takes about {minutes} minutes on two cores: judge the base model, fine-tune on \
{train} pairs, judge
again, let the service LLM write more pairs, curate them, fine-tune on all of them, judge again.
The service LLM here is the built-in rehearsal program. The local model, its training and its
answers are real.
"""

NEXT = """
What this run leaves, from the folder {into}:
  llamaduo deploy --rehearse --check       # merged weights that answer the same, or none
  {serve:<40} # behind the OpenAI API, until Ctrl-C
  {verify:<40} # every score again, from the ledger, offline

With your own data:
  llamaduo init --from YOUR_DATA.jsonl   # an OpenAI fine-tuning file, JSON Lines, CSV, Parquet
  llamaduo doctor                        # what is missing on this machine
  llamaduo run --rehearse                # your configuration through every stage, for nothing
  export OPENAI_API_KEY=...              # then the real service LLM:
  llamaduo run
"""


def before(kind: TaskKind) -> str:
    """What is about to happen."""
    start = QUICKSTARTS[kind]
    return BEFORE.format(what=start.what, minutes=start.minutes, train=start.train)


def afterwards(kind: TaskKind, into: Path) -> str:
    """What can be done with the run."""
    run = f"{QUICKSTARTS[kind].name}-rehearsal"
    serve, verify = f"llamaduo serve runs/{run}", f"llamaduo verify {run}"
    return NEXT.format(into=into, serve=serve, verify=verify)


def prepare(into: Path, seed: int, kind: TaskKind = "classification") -> Path:
    """Write the data and the configuration into ``into``, unless they are there already.

    Raises:
        UsageError: the folder holds a quickstart with another seed or of another task.
    """
    from llamaduo.rehearsal.tasks import TASKS

    start = QUICKSTARTS[kind]
    rows = TASKS[kind].rows(start.pairs, seed)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    data, config = into / f"{start.name}.jsonl", into / "llamaduo.yaml"
    if data.is_file() and data.read_text(encoding="utf-8") != lines:
        raise UsageError(
            f"{data} holds other {start.items} than seed {seed} makes.",
            hint="Give the seed it was made with, or another folder with --into.",
        )
    if config.is_file() and not data.is_file():
        raise UsageError(
            f"{config} is there already, and is not that of this quickstart.",
            hint="Give another folder with --into.",
        )
    write_atomic(data, lines)
    if not config.is_file():
        write_atomic(config, _configuration(kind, start, seed))
    return config


def _configuration(kind: TaskKind, start: Quickstart, seed: int) -> str:
    return CONFIGURATION.format(
        kind=kind,
        name=start.name,
        what=start.what,
        topic=start.topic,
        train=start.train,
        share=start.share(start.train),
        final=start.final,
        final_share=start.share(start.final),
        synthetic=start.synthetic,
        epochs=start.epochs,
        batch=start.batch,
        target=start.target,
        seed=seed,
    )
