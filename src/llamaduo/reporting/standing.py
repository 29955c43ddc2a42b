"""How far a run is, from its directory alone: the stages that are finished, the calls that are
answered, and what they were like. Nothing is there before the run has begun, and that is no
error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from llamaduo.records import (
    CurationFigures,
    InferenceFigures,
    Judgement,
    TrainingFigures,
    Unscored,
    Verdict,
)
from llamaduo.reporting.cost import CallSize, measured_size
from llamaduo.service.ledger import SpendRow, read_spend
from llamaduo.storage.jsonl import read_record, read_records
from llamaduo.storage.manifest import read_manifest
from llamaduo.storage.run_directory import RunDirectory


class Standing:
    """What one run directory has, read when it is asked for.

    Raises, on reading: RunError where a file of the run is missing or damaged.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    @cached_property
    def done(self) -> frozenset[str]:
        manifest = self.directory.manifest
        return frozenset(read_manifest(manifest).stages) if manifest.is_file() else frozenset()

    @cached_property
    def spend(self) -> tuple[SpendRow, ...]:
        return read_spend(self.directory.ledger)

    @cached_property
    def ended(self) -> bool:
        """Whether the loop has its verdict, and not because its money was gone."""
        path = self.directory.verdict
        return path.is_file() and "limits.budget_usd" not in read_record(path, Verdict).reason

    @cached_property
    def judged(self) -> tuple[dict[str, set[str]], int]:
        """The calls behind all finished judging by judge, and how many judgements they make."""
        calls: dict[str, set[str]] = {}
        judgements = 0
        for stage in self.done:
            if stage.endswith("/judge"):
                for one in self._judgements(self.directory.root / stage.removesuffix("/judge")):
                    judgements += 1
                    if one.call:
                        calls.setdefault(one.judge, set()).add(one.call)
        return calls, judgements

    @cached_property
    def checked(self) -> dict[str, int]:
        """The calls about control responses that belong to finished judging, by judge."""
        found: Counter[str] = Counter()
        for stage in self.done:
            if stage.endswith("/judge"):
                path = self.directory.root / stage.removesuffix("/judge") / "controls.jsonl"
                found.update(one.judge for one in read_records(path, Judgement))
        return dict(found)

    def useful(self, stage: str, model: str) -> int:
        """Answers that need not be bought again, of all that the ledger has for ``stage``."""
        rows = (row for row in self.spend if (row.stage, row.model) == (stage, model))
        return sum(row.answered - row.unused for row in rows)

    def typical(self, stage: str, model: str, size: CallSize) -> CallSize:
        """``size`` with the mean tokens of the calls that were made, if any were."""
        for row in self.spend:
            if (row.stage, row.model) == (stage, model) and row.answered and row.input_tokens:
                each = (row.input_tokens, row.cached_tokens, row.output_tokens)
                return measured_size(size, *(tokens / row.answered for tokens in each))
        return size

    def kept(self, cycle: int) -> int | None:
        """How many pairs curation kept after ``cycle``; None if that is not done."""
        if f"cycles/{cycle:03d}/curate" not in self.done:
            return None
        return read_record(self.directory.cycle(cycle) / "curation.json", CurationFigures).kept

    @cached_property
    def speed(self) -> tuple[float, float] | None:
        """Tokens a second of the latest fine-tune and of the inference after it."""
        for folder in sorted(self.directory.root.glob("cycles/*"), reverse=True):
            if {f"cycles/{folder.name}/{kind}" for kind in ("finetune", "infer")} <= self.done:
                trained = read_record(folder / "training.json", TrainingFigures)
                wrote = read_record(folder / "inference.json", InferenceFigures)
                if trained.tokens and trained.seconds and wrote.tokens_per_second:
                    return trained.tokens / trained.seconds, wrote.tokens_per_second
        return None

    def _judgements(self, folder: Path) -> Iterator[Judgement | Unscored]:
        yield from read_records(folder / "judgements.jsonl", Judgement)
        yield from read_records(folder / "unscored.jsonl", Unscored)
