"""A run whose local LLM is perfect and costs no time: every response is the reference, so that only
judging is left to be done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llamaduo.assessment import judge_into
from llamaduo.config import parse_config
from llamaduo.records import Judged, Pair, Response, Scores
from llamaduo.run import Run, own_run
from llamaduo.stages import collect, divide
from llamaduo.storage.jsonl import write_records
from llamaduo.storage.run_directory import RunDirectory


def write_rows(folder: Path, rows: list[dict[str, Any]], name: str = "data.jsonl") -> None:
    """The coverage data of the run in ``folder``."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / name).write_text(text, encoding="utf-8")


@contextmanager
def begun(folder: Path, configuration: str) -> Iterator[Run]:
    """The run ``judged`` in ``folder``, by ``configuration``, which is left in llamaduo.yaml."""
    (folder / "llamaduo.yaml").write_text(configuration, encoding="utf-8")
    config = parse_config(configuration, "judged", [])
    directory = RunDirectory(folder / "runs" / "judged")
    with own_run(config, directory, root=folder, cache=folder / "cache") as run:
        yield run


def asked(run: Run) -> tuple[Pair, ...]:
    """The test split, imported and split where it is not yet."""
    return divide(run, collect(run)).test.pairs


def judge_a_perfect_model(run: Run, ceiling: Judged | None = None) -> Scores:
    """The judging stage of the base model, which answers every prompt with its reference."""
    pairs = asked(run)
    responses = [perfect(pair) for pair in pairs]
    write_records(run.directory.root / "base" / "responses.jsonl", responses)
    return judge_into(run, "base", responses, pairs, ceiling)


def perfect(pair: Pair) -> Response:
    return Response(
        id=f"{pair.id}-0",
        pair_id=pair.id,
        index=0,
        author="base",
        text=pair.response,
        finish="stop",
        prompt_tokens=1,
        new_tokens=1,
        seconds=0.1,
    )
