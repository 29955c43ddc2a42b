"""The stages as the corridor walks them: done already? load it; else run, write, mark done.

This module knows which files a stage leaves in the run directory. It does not know the order
of the stages: that is :mod:`llamaduo.cycle`.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from llamaduo.assessment import connected
from llamaduo.coverage.importing import import_pairs
from llamaduo.coverage.lengths import describe, measure_lengths, measure_tokens
from llamaduo.coverage.splitting import split
from llamaduo.curation.curate import curate
from llamaduo.curation.languages import language_of, script_of
from llamaduo.curation.portrait import portray
from llamaduo.curation.settings import CurationSettings
from llamaduo.errors import RunError
from llamaduo.handover import hand_back
from llamaduo.records import (
    BaseFigures,
    Checkpoint,
    CoverageDataset,
    CurationFigures,
    Event,
    FinalSplit,
    ImportFigures,
    Lengths,
    Pair,
    RawBatch,
    Split,
    SplitFigures,
    SynthesisFigures,
    TestSplit,
    TrainSplit,
)
from llamaduo.redaction.pairs import redact_pairs
from llamaduo.reporting.answers import Tell
from llamaduo.reporting.evidence import MOST_TOLD, gather
from llamaduo.reporting.report import write_report
from llamaduo.run import Run, named, step
from llamaduo.storage.jsonl import read_record, read_records, write_record, write_records
from llamaduo.synthesis.synthesize import synthesize
from llamaduo.tasks.showing import visible

# --- coverage -----------------------------------------------------------------------------


def collect(run: Run) -> CoverageDataset:
    """Read the coverage data, stand-ins for what is personal in it: D(0)."""
    folder = run.directory.coverage

    def work() -> None:
        imported = import_pairs(run.config.coverage, run.config.task, run.root)
        redacted = redact_pairs(imported.dataset.pairs, run.redactor)
        write_records(folder / "accepted.jsonl", redacted.pairs)
        figures = ImportFigures(
            imported.read, imported.duplicates, imported.refused, redacted.figures
        )
        write_record(folder / "import.json", figures)

    def load() -> CoverageDataset:
        return CoverageDataset(read_records(folder / "accepted.jsonl", Pair))

    return step(run, "import", work, load, [folder / "accepted.jsonl", folder / "import.json"])


def divide(run: Run, dataset: CoverageDataset) -> Split:
    """Split D(0) once; the file of each split is what every later stage reads."""
    folder = run.directory.coverage
    parts = ("train", "test", "final")

    def work() -> None:
        divided = split(dataset, run.config.coverage)
        for part in parts:
            write_records(folder / f"{part}.jsonl", getattr(divided, part).pairs)
        figures = SplitFigures(
            train=len(divided.train.pairs),
            test=len(divided.test.pairs),
            final=len(divided.final.pairs),
            sha256=divided.sha256,
            clusters=divided.clusters,
            leaks=divided.leaks,
        )
        write_record(folder / "split.json", figures)

    def load() -> Split:
        return read_split(folder)

    files = [folder / f"{part}.jsonl" for part in parts] + [folder / "split.json"]
    return step(run, "split", work, load, files)


def read_split(folder: Path) -> Split:
    """The split that :func:`divide` wrote into ``folder``."""
    figures = read_record(folder / "split.json", SplitFigures)
    train, test, final = (
        read_records(folder / f"{part}.jsonl", Pair) for part in ("train", "test", "final")
    )
    return Split(
        train=TrainSplit(train),
        test=TestSplit(test),
        final=FinalSplit(final),
        sha256=figures.sha256,
        clusters=figures.clusters,
        leaks=figures.leaks,
    )


def measure(run: Run, split: Split, base: Checkpoint) -> Lengths:
    """Measure every pair in the model's own tokens, before anything is spent.

    Raises:
        StageFailed, ExtraMissing: the train pairs cannot be trained on as configured: none fits
            into the window, or this machine cannot do it.
    """
    path, base_path = (run.directory.coverage / name for name in ("lengths.json", "base.json"))

    def work() -> None:
        from llamaduo.finetuning.finetune import foresee
        from llamaduo.finetuning.models.obtain import token_counter

        splits = {
            "train": split.train.pairs,
            "test": split.test.pairs,
            "final": split.final.pairs,
        }
        count = token_counter(base, run.config.finetuning.loss_on)
        counted = {pair.id: count(pair) for pairs in splits.values() for pair in pairs}
        train = [counted[pair.id] for pair in split.train.pairs]
        # Here, not when the service LLM and the base model have answered.
        window = foresee(train, run.config.finetuning, base).window
        write_record(path, measure_lengths(splits, lambda pair: counted[pair.id], window))
        write_record(base_path, BaseFigures(base.model, base.window, base.fingerprint))

    lengths = step(run, "lengths", work, lambda: read_record(path, Lengths), [path, base_path])
    check_base(run, base)
    run.notify(Event("lengths", lengths.fits, lengths.pairs, "pairs fit", describe(lengths)))
    return lengths


def check_base(run: Run, base: Checkpoint) -> None:
    """Check that ``base`` is the model that the run began with.

    Raises:
        RunError: it is another.
    """
    known = read_record(run.directory.coverage / "base.json", BaseFigures)
    if known.fingerprint != base.fingerprint:
        raise RunError(
            f"The base model in {base.base} is not the one that {run.directory.root} began with.",
            hint="Restore it (local.revision pins one from the Hub), or start a new run with"
            " --name.",
        )


def measure_batch(run: Run, cycle: int, kept: Sequence[Pair], base: Checkpoint) -> None:
    """Measure what curation kept after ``cycle``, for Table 4."""
    path = run.directory.cycle(cycle) / "tokens.json"

    def work() -> None:
        from llamaduo.finetuning.models.obtain import token_counter

        write_record(path, measure_tokens(kept, token_counter(base)))

    if kept:
        step(run, _name(cycle, "lengths"), work, lambda: None, [path])


# --- the local LLM ------------------------------------------------------------------------


def base_model(run: Run) -> Checkpoint:
    """The base model, as a local folder of safetensors. Not a stage: the cache remembers."""
    from llamaduo.finetuning.models.obtain import obtain

    run.notify(Event("base model", 0, 1, "stage", "about 20 s the first time"))
    path = run.directory.coverage / "base.json"
    known = read_record(path, BaseFigures).fingerprint if path.is_file() else ""
    base = obtain(run.config.local, run.cache, run.root, known=known)
    run.notify(Event("base model", 1, 1, "stage", _floating(run, base)))
    return base


def _floating(run: Run, base: Checkpoint) -> str:
    """What to pin, where ``local.revision`` is no commit: a branch may name another tomorrow."""
    commit = base.revision
    if commit is None or run.config.local.revision == commit:
        return ""
    return f"{base.model} is at commit {commit} now; local.revision: {commit} pins it"


def finetune_cycle(
    run: Run, cycle: int, train: TrainSplit, synthetic: Sequence[Pair], start: Checkpoint
) -> Checkpoint:
    """Fine-tune ``start`` on the train split plus all synthetic pairs so far (Eq. 1)."""
    folder = run.directory.cycle(cycle)
    adapter, figures, recipe = (
        folder / name for name in ("checkpoint", "training.json", "recipe.json")
    )

    def work() -> None:
        from llamaduo.finetuning.finetune import finetune
        from llamaduo.finetuning.mixture import mix

        run.directory.verdict.unlink(missing_ok=True)  # of a loop that now goes on
        hand_back(run)
        _, measured = finetune(
            mix(train, synthetic),
            run.config.finetuning,
            start=start,
            cycle=cycle,
            into=adapter,
            notify=named(run, _name(cycle)),
        )
        write_record(figures, measured)

    def load() -> Checkpoint:
        from llamaduo.finetuning.adapter import checkpoint_in

        return checkpoint_in(adapter, start, cycle)

    return step(run, _name(cycle, "finetune"), work, load, [adapter, figures, recipe])


def answer_tokens(run: Run, lengths: Lengths, base: Checkpoint) -> int:
    """How many tokens an answer may have: as configured, or half as long again as the longest
    train response, but never more than half the window."""
    if configured := run.config.inference.max_new_tokens:
        return configured
    return min(math.ceil(1.5 * lengths.longest_train_response), base.window // 2)


# --- synthesis and curation ---------------------------------------------------------------


def synthesize_after(run: Run, cycle: int, train: TrainSplit) -> tuple[Pair, ...]:
    """More pairs like the train split, from the service LLM (Eq. 8 and 9)."""
    folder = run.directory.cycle(cycle)
    files = [folder / "raw.jsonl", folder / "synthesis.json"]

    def work() -> None:
        run.directory.verdict.unlink(missing_ok=True)  # of a loop that now goes on
        batch = asyncio.run(_synthesize(run, cycle, train))
        write_records(files[0], batch.pairs)
        counts = (len(batch.pairs), batch.requests, batch.salvaged, batch.malformed)
        write_record(files[1], SynthesisFigures(*counts, batch.set_aside))

    def load() -> tuple[Pair, ...]:
        return read_records(files[0], Pair)

    return step(run, _name(cycle, "synthesize"), work, load, files)


async def _synthesize(run: Run, cycle: int, train: TrainSplit) -> RawBatch:
    async with connected(run, [run.config.service]) as (service,):
        return await synthesize(
            train,
            service,
            run.config.synthesis,
            run.config.task,
            cycle=cycle,
            notify=named(run, _name(cycle)),
        )


def curate_batch(
    run: Run, cycle: int, raw: Sequence[Pair], earlier: Sequence[Pair], split: Split
) -> tuple[Pair, ...]:
    """ψ: deduplicate, filter, decontaminate; every drop with its reason (Eq. 7). What the batch
    has done to the data is looked at besides."""
    folder = run.directory.cycle(cycle)
    names = ("synthetic.jsonl", "dropped.jsonl", "curation.json", "portrait.json")
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
            notify=named(run, _name(cycle)),
        )
        write_records(files[0], curated.kept)
        write_records(files[1], curated.dropped)
        steps = Counter(drop.step for drop in curated.dropped)
        figures = CurationFigures(len(curated.kept), dict(steps), curated.discounted)
        write_record(files[2], figures)
        portrait = portray(
            split.train.pairs, curated.kept, task=run.config.task, settings=run.config.curation
        )
        write_record(files[3], portrait)
        for warning in portrait.warnings:
            detail = visible(f"after cycle {cycle}: {warning}")
            run.notify(Event("curate", 0, None, "warning", detail))

    def load() -> tuple[Pair, ...]:
        return read_records(files[0], Pair)

    return step(run, _name(cycle, "curate"), work, load, files)


# --- what the run leaves ------------------------------------------------------------------


def report_on(run: Run) -> Path:
    """Write the report from what is in the run directory, so that it can be written again."""
    tell = telling(run.config.curation)
    evidence = gather(run.directory.root, run.ledger.spend(), tell=tell)
    return write_report(evidence, run.directory.report, notify=run.notify)


def telling(settings: CurationSettings) -> Tell:
    """How a report tells what texts are written in: by language where curation looks at
    languages and there are at most :data:`MOST_TOLD` texts, else by script."""

    def tell(texts: Sequence[str]) -> Sequence[str]:
        by_language = settings.languages and len(texts) <= MOST_TOLD
        return language_of(texts) if by_language else [script_of(text) for text in texts]

    return tell


def _name(cycle: int, stage: str = "") -> str:
    return f"cycles/{cycle:03d}/{stage}".rstrip("/")
