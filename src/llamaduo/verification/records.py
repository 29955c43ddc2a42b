"""What a verification reads: a run directory, its configuration and its ledger, never written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from llamaduo.config import Config
from llamaduo.errors import RunError
from llamaduo.records import Event, Notify, Pair, Scores, Verdict
from llamaduo.redaction.redactor import Redactor, read_redactor
from llamaduo.service.calls import CallRecord, Calls
from llamaduo.storage.jsonl import read_record, read_records
from llamaduo.storage.manifest import Manifest
from llamaduo.storage.run_directory import RunDirectory

Record = TypeVar("Record")


@dataclass(slots=True)
class Recount:
    """What replies said when they were read again, beside the ledger's own figures."""

    read: set[str] = field(default_factory=set)
    differing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one run."""

    directory: RunDirectory
    config: Config
    manifest: Manifest
    found_calls: Calls | None
    notify: Notify
    rehearsed: bool = False
    recount: Recount = field(default_factory=Recount)

    @property
    def root(self) -> Path:
        return self.directory.root

    @property
    def calls(self) -> Calls:
        """The ledger.

        Raises:
            RunError: the run has none.
        """
        if self.found_calls is None:
            raise RunError(f"{self.directory.ledger.name} is missing: no reply can be read again.")
        return self.found_calls

    @property
    def redactor(self) -> Redactor:
        """The run's table of stand-ins, to be read only.

        Raises:
            RunError: it is missing or damaged.
        """
        return read_redactor(self.config.redaction, self.directory.redaction)

    def is_finished(self, stage: str) -> bool:
        return stage in self.manifest.stages

    def sets(self) -> Iterator[str]:
        """Base, every cycle and final, each as its folder, as far as inference has finished."""
        for stage in self.manifest.stages:
            where, _, kind = stage.rpartition("/")
            if kind == "infer":
                yield where

    def cycles(self) -> list[int]:
        """The cycles that were fine-tuned."""
        names = [stage.split("/") for stage in self.manifest.stages]
        return sorted(int(n[1]) for n in names if n[0] == "cycles" and n[-1] == "finetune")

    def split(self, name: str) -> tuple[Pair, ...]:
        return self.many(f"coverage/{name}.jsonl", Pair)

    def prompts_of(self, where: str) -> tuple[Pair, ...]:
        """The pairs that the set ``where`` answers."""
        return self.split("final" if where.startswith(("final", "service-final")) else "test")

    def kept(self, cycle: int) -> tuple[Pair, ...]:
        """The synthetic pairs that were kept after ``cycle``."""
        return self.many(f"cycles/{cycle:03d}/synthetic.jsonl", Pair)

    def kept_before(self, cycle: int) -> tuple[Pair, ...]:
        return tuple(pair for earlier in range(cycle) for pair in self.kept(earlier))

    def scores(self, where: str) -> Scores:
        return self.one(f"{where}/scores.json", Scores)

    @property
    def verdict(self) -> Verdict | None:
        """The run's verdict; None while it has none."""
        path = self.directory.verdict
        return read_record(path, Verdict) if path.exists() else None

    def one(self, name: str, kind: type[Record]) -> Record:
        return read_record(self.root / name, kind)

    def many(self, name: str, kind: type[Record]) -> tuple[Record, ...]:
        return read_records(self.root / name, kind)

    def telling(self, name: str) -> Notify:
        """Progress under the name of a check, which begins now."""
        self.notify(Event(name, 0, 1, "stage"))
        return lambda event: self.notify(replace(event, stage=name))

    def observe(self, stored: CallRecord, snapshot: str, tokens: tuple[int, int]) -> None:
        """Note what the stored reply says of its model and tokens."""
        self.recount.read.add(stored.key)
        said = (snapshot, *tokens)
        recorded = (stored.snapshot, stored.input_tokens, stored.output_tokens)
        if said != recorded:
            self.recount.differing.append(
                f"call {stored.key[:12]} ({stored.stage}): the ledger has {_used(*recorded)},"
                f" its reply {_used(*said)}"
            )


def _used(snapshot: str | None, tokens_in: int | None, tokens_out: int | None) -> str:
    return f"{snapshot}, {tokens_in} and {tokens_out} tokens"
