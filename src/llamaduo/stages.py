"""The stages as the corridor walks them: done already? load it; else run, write, mark done.

This module knows which files a stage leaves in the run directory. It does not know the order
of the stages: that is :mod:`llamaduo.cycle`.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from llamaduo import __version__
from llamaduo.config import Config, differences, dump_config, read_resolved
from llamaduo.coverage.importing import Imported, import_pairs
from llamaduo.coverage.lengths import Lengths, measure_lengths
from llamaduo.coverage.splitting import split
from llamaduo.curation.curate import curate
from llamaduo.deployment.bundle import pack
from llamaduo.errors import RunIncompatible, UsageError
from llamaduo.evaluation.judge import check_unscored, judge
from llamaduo.evaluation.scores import score
from llamaduo.records import (
    Checkpoint,
    CoverageDataset,
    Curated,
    Event,
    FinalSplit,
    Judgements,
    Notify,
    Pair,
    RawBatch,
    Response,
    Scores,
    Split,
    TestSplit,
    TrainSplit,
    Verdict,
    silent,
)
from llamaduo.reporting.evidence import gather
from llamaduo.reporting.report import write_report
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.storage.jsonl import read_record, read_records, write_record, write_records
from llamaduo.storage.manifest import Manifest, check_unchanged, mark_finished
from llamaduo.storage.run_directory import RunDirectory, opened
from llamaduo.synthesis.synthesize import synthesize

Result = TypeVar("Result")


@dataclass(slots=True)
class Run:
    """A run that this process owns.

    ``root`` is where relative data paths start, ``cache`` where base models are kept.
    ``only`` names the one stage to do; the next unfinished one after it raises
    :class:`Paused`.
    """

    config: Config
    directory: RunDirectory
    ledger: Ledger
    manifest: Manifest
    root: Path
    cache: Path
    notify: Notify = silent
    only: str | None = None
    done_before: int = 0


class Paused(Exception):
    """The stage asked for is done; ``next_stage`` would be the next one."""

    def __init__(self, next_stage: str) -> None:
        super().__init__(next_stage)
        self.next_stage = next_stage


@contextmanager
def own_run(
    config: Config,
    directory: RunDirectory,
    *,
    root: Path,
    cache: Path,
    rehearsed: bool = False,
    only: str | None = None,
    notify: Notify = silent,
) -> Iterator[Run]:
    """Create or resume the run and hold it while the block runs.

    Raises:
        RunLocked: another process owns it.
        RunIncompatible: it was started by another version or with another configuration.
    """
    text = dump_config(config, version=__version__, rehearsed=rehearsed)
    with opened(directory, __version__, text) as manifest:
        _check_same(directory, config, rehearsed)
        with Ledger.open(directory.ledger, notify) as ledger:
            done = len(manifest.stages)
            yield Run(config, directory, ledger, manifest, root, cache, notify, only, done)


def _check_same(directory: RunDirectory, config: Config, rehearsed: bool) -> None:
    before, was_rehearsed = read_resolved(directory.configuration)
    if rehearsed != was_rehearsed:
        what = "a rehearsal" if was_rehearsed else "a real run"
        raise RunIncompatible(
            f"{directory.root} is {what}.", hint="Give this one a name of its own with --name."
        )
    if changed := differences(before, config):
        lines = "".join(f"\n  {line}" for line in changed)
        raise RunIncompatible(
            f"{directory.root} was started with another configuration:{lines}",
            hint="Undo the change to go on with this run, or start another with --name.",
        )


# --- coverage -----------------------------------------------------------------------------


def collect(run: Run) -> CoverageDataset:
    """Read the coverage data: D(0)."""
    folder = run.directory.coverage

    def work() -> None:
        imported = import_pairs(run.config.coverage, run.config.task, run.root)
        write_records(folder / "accepted.jsonl", imported.dataset.pairs)
        write_record(folder / "import.json", ImportRecord.of(imported))

    def load() -> CoverageDataset:
        return CoverageDataset(read_records(folder / "accepted.jsonl", Pair))

    return _step(run, "import", work, load, [folder / "accepted.jsonl", folder / "import.json"])


def divide(run: Run, dataset: CoverageDataset) -> Split:
    """Split D(0) once; the file of each split is what every later stage reads."""
    folder = run.directory.coverage
    parts = ("train", "test", "final")

    def work() -> None:
        divided = split(dataset, run.config.coverage)
        for part in parts:
            write_records(folder / f"{part}.jsonl", getattr(divided, part).pairs)
        write_record(folder / "split.json", SplitRecord.of(divided))

    def load() -> Split:
        record = read_record(folder / "split.json", SplitRecord)
        train, test, final = (read_records(folder / f"{part}.jsonl", Pair) for part in parts)
        return Split(
            train=TrainSplit(train),
            test=TestSplit(test),
            final=FinalSplit(final),
            sha256=record.sha256,
            clusters=record.clusters,
            leaks=record.leaks,
        )

    files = [folder / f"{part}.jsonl" for part in parts] + [folder / "split.json"]
    return _step(run, "split", work, load, files)


def measure(run: Run, pairs: Sequence[Pair], base: Checkpoint) -> Lengths:
    """Measure every pair in the model's own tokens, before anything is spent."""
    from llamaduo.finetuning.models import token_counter

    path = run.directory.coverage / "lengths.json"
    window = min(base.window, run.config.finetuning.max_tokens)

    def work() -> None:
        write_record(path, measure_lengths(pairs, token_counter(base), window))

    return _step(run, "lengths", work, lambda: read_record(path, Lengths), [path])


# --- the local LLM ------------------------------------------------------------------------


def base_model(run: Run) -> Checkpoint:
    """The base model, as a local folder of safetensors. Not a stage: the cache remembers."""
    from llamaduo.finetuning.models import obtain

    run.notify(Event("base model", 0, 1, "stage"))
    base = obtain(run.config.local, run.cache)
    run.notify(Event("base model", 1, 1, "stage"))
    return base


def finetune_cycle(
    run: Run, cycle: int, train: TrainSplit, synthetic: Sequence[Pair], start: Checkpoint
) -> Checkpoint:
    """Fine-tune ``start`` on the train split plus all synthetic pairs so far (Eq. 1)."""
    folder = run.directory.cycle(cycle)
    adapter, figures = folder / "checkpoint", folder / "training.json"

    def work() -> None:
        from llamaduo.finetuning.finetune import finetune
        from llamaduo.finetuning.mixture import mix

        _, measured = finetune(
            mix(train, synthetic),
            run.config.finetuning,
            start=start,
            cycle=cycle,
            into=adapter,
            notify=_named(run, f"cycle {cycle}"),
        )
        write_record(figures, measured)

    def load() -> Checkpoint:
        return replace(start, adapter=str(adapter), cycle=cycle)

    return _step(run, _name(cycle, "finetune"), work, load, [adapter, figures])


def answer_tokens(run: Run, lengths: Lengths, base: Checkpoint) -> int:
    """How many tokens an answer may have: as configured, or half as long again as the longest
    reference, but never more than half the window."""
    if configured := run.config.inference.max_new_tokens:
        return configured
    return min(math.ceil(1.5 * lengths.longest_response), base.window // 2)


# --- inference and judging ----------------------------------------------------------------


def infer_into(
    run: Run, where: str, checkpoint: Checkpoint, pairs: Sequence[Pair], max_new_tokens: int
) -> tuple[Response, ...]:
    """K responses to each prompt, into the folder ``where`` of the run."""
    folder = run.directory.root / where
    responses, figures = folder / "responses.jsonl", folder / "inference.json"

    def work() -> None:
        from llamaduo.inference.infer import infer

        _, measured = infer(
            checkpoint,
            pairs,
            run.config.inference,
            max_new_tokens=max_new_tokens,
            into=responses,
            notify=_named(run, _words(where)),
        )
        write_record(figures, measured)

    def load() -> tuple[Response, ...]:
        return read_records(responses, Response, torn_tail=True)

    return _step(run, f"{where}/infer", work, load, [responses, figures])


def judge_into(
    run: Run, where: str, responses: Sequence[Response], pairs: Sequence[Pair]
) -> Scores:
    """M judgements of each response by every judge, and their scores (Eq. 3–6)."""
    folder = run.directory.root / where
    names = ("judgements.jsonl", "unscored.jsonl", "scores.json")
    files = [folder / name for name in names]

    def work() -> None:
        judgements = asyncio.run(_judge(run, where, responses, pairs))
        check_unscored(judgements, run.config.judging)
        write_records(files[0], judgements.scored)
        write_records(files[1], judgements.unscored)
        write_record(files[2], score(responses, pairs, judgements, run.config.judging))

    return _step(run, f"{where}/judge", work, lambda: read_record(files[2], Scores), files)


async def _judge(
    run: Run, where: str, responses: Sequence[Response], pairs: Sequence[Pair]
) -> Judgements:
    async with AsyncExitStack() as stack:
        judges = [
            await stack.enter_async_context(
                connect(settings, run.ledger, budget_usd=run.config.limits.budget_usd)
            )
            for settings in run.config.judges
        ]
        return await judge(
            responses,
            pairs,
            judges,
            run.config.judging,
            run.config.task,
            notify=_named(run, _words(where)),
        )


# --- synthesis and curation ---------------------------------------------------------------


def synthesize_after(run: Run, cycle: int, train: TrainSplit) -> tuple[Pair, ...]:
    """More pairs like the train split, from the service LLM (Eq. 8 and 9)."""
    folder = run.directory.cycle(cycle)
    files = [folder / "raw.jsonl", folder / "synthesis.json"]

    def work() -> None:
        batch = asyncio.run(_synthesize(run, cycle, train))
        write_records(files[0], batch.pairs)
        write_record(files[1], SynthesisRecord.of(batch))

    def load() -> tuple[Pair, ...]:
        return read_records(files[0], Pair)

    return _step(run, _name(cycle, "synthesize"), work, load, files)


async def _synthesize(run: Run, cycle: int, train: TrainSplit) -> RawBatch:
    budget = run.config.limits.budget_usd
    async with connect(run.config.service, run.ledger, budget_usd=budget) as service:
        return await synthesize(
            train,
            service,
            run.config.synthesis,
            run.config.task,
            cycle=cycle,
            notify=_named(run, f"cycle {cycle}"),
        )


def curate_batch(
    run: Run, cycle: int, raw: Sequence[Pair], earlier: Sequence[Pair], split: Split
) -> tuple[Pair, ...]:
    """ψ: deduplicate, filter, decontaminate; every drop with its reason (Eq. 7)."""
    folder = run.directory.cycle(cycle)
    names = ("synthetic.jsonl", "dropped.jsonl", "curation.json")
    files = [folder / name for name in names]

    def work() -> None:
        curated = curate(
            raw,
            train=split.train,
            earlier=earlier,
            test=split.test,
            final=split.final,
            settings=run.config.curation,
            task=run.config.task,
            notify=_named(run, f"cycle {cycle}"),
        )
        write_records(files[0], curated.kept)
        write_records(files[1], curated.dropped)
        write_record(files[2], CurationRecord.of(curated))

    def load() -> tuple[Pair, ...]:
        return read_records(files[0], Pair)

    return _step(run, _name(cycle, "curate"), work, load, files)


# --- what the run leaves ------------------------------------------------------------------


def bundle_best(run: Run, best: Checkpoint, verdict: Verdict, scores: Scores) -> Path:
    """Pack the best checkpoint with its verdict. Packed again when the verdict has changed."""
    return pack(best, verdict, scores, run.directory.bundle)


def report_on(run: Run) -> Path:
    """Write the report from what is in the run directory, so that it can be written again."""
    evidence = gather(run.directory.root, run.ledger.spend())
    return write_report(evidence, run.directory.report, notify=run.notify)


# --- the step -----------------------------------------------------------------------------


def _step(
    run: Run,
    stage: str,
    work: Callable[[], None],
    load: Callable[[], Result],
    files: Sequence[Path],
) -> Result:
    finished = run.manifest.stages.get(stage)
    if finished:
        check_unchanged(finished, run.directory.root, stage)
        return load()
    _check_turn(run, stage)
    run.notify(Event(stage, 0, 1, "stage"))
    work()
    run.manifest = mark_finished(run.manifest, run.directory.root, stage, files)
    run.notify(Event(stage, 1, 1, "stage"))
    return load()


QUIET_STAGES = ("lengths",)
"""Stages without a command of their own: they run with the stage that needs them."""


def _check_turn(run: Run, stage: str) -> None:
    """With ``only`` set: do that stage, once, and no other."""
    if run.only is None or stage in QUIET_STAGES:
        return
    kind = stage.rsplit("/", maxsplit=1)[-1]
    if any(name not in QUIET_STAGES for name in list(run.manifest.stages)[run.done_before :]):
        raise Paused(kind)
    if kind != run.only:
        raise UsageError(
            f"The next stage of {run.directory.root} is {kind} ({stage}), not {run.only}.",
            hint="Run that stage first, or `llamaduo run` to do all that is left.",
        )


def _name(cycle: int, stage: str) -> str:
    return f"cycles/{cycle:03d}/{stage}"


def _words(where: str) -> str:
    kind, _, number = where.partition("/")
    return f"cycle {int(number)}" if number else kind


def _named(run: Run, where: str) -> Notify:
    """Events of a stage, with the place they happen in before the stage's name."""
    return lambda event: run.notify(replace(event, stage=f"{where}: {event.stage}"))


# --- what is written beside the records ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """``coverage/import.json``."""

    read: int
    accepted: int
    duplicates: int
    refused: tuple[dict[str, str], ...]

    @classmethod
    def of(cls, imported: Imported) -> ImportRecord:
        refused = tuple({"place": r.place, "reason": r.reason} for r in imported.refused)
        return cls(imported.read, len(imported.dataset.pairs), imported.duplicates, refused)


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """``coverage/split.json``."""

    train: int
    test: int
    final: int
    sha256: str
    clusters: int
    leaks: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, s: Split) -> SplitRecord:
        sizes = (len(s.train.pairs), len(s.test.pairs), len(s.final.pairs))
        return cls(*sizes, s.sha256, s.clusters, s.leaks)


@dataclass(frozen=True, slots=True)
class SynthesisRecord:
    """``cycles/NNN/synthesis.json``."""

    cycle: int
    pairs: int
    requests: int
    salvaged: int
    malformed: int

    @classmethod
    def of(cls, b: RawBatch) -> SynthesisRecord:
        return cls(b.cycle, len(b.pairs), b.requests, b.salvaged, b.malformed)


@dataclass(frozen=True, slots=True)
class CurationRecord:
    """``cycles/NNN/curation.json``."""

    kept: int
    dropped: dict[str, int]
    reasons: dict[str, int]
    discounted: tuple[str, ...]

    @classmethod
    def of(cls, c: Curated) -> CurationRecord:
        steps = Counter(drop.step for drop in c.dropped)
        reasons = Counter(drop.reason for drop in c.dropped)
        return cls(len(c.kept), dict(steps), dict(reasons), c.discounted)
