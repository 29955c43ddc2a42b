"""Curating a file of pairs on its own: what is read, with which settings, and what is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.config import Config, load_config, parse_config
from llamaduo.coverage.columnar import HUB
from llamaduo.coverage.importing import PairsRead, read_pairs
from llamaduo.coverage.rows import read_with_provenance
from llamaduo.curation.curate import Prepared, prepare, sift
from llamaduo.curation.portrait import portray
from llamaduo.curation.thresholds import Trial, what_if
from llamaduo.errors import DataError, ExtraMissing, ModelError, UsageError
from llamaduo.records import (
    Curated,
    Event,
    FinalSplit,
    Notify,
    Pair,
    Portrait,
    Refused,
    TestSplit,
    TrainSplit,
)
from llamaduo.reporting.answers import fates_by_language
from llamaduo.stages import telling
from llamaduo.storage.jsonl import read_records, write_records
from llamaduo.storage.manifest import read_manifest
from llamaduo.storage.run_directory import RunDirectory

CountTexts = Callable[[Sequence[str]], Sequence[int]]

SECTIONS = ("curation", "task", "coverage")
"""What of a configuration counts for a file on its own: how rows are read, and curation."""
_ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Places:
    """What is read, and the files that are written, if any are."""

    pairs: str
    against: tuple[str, ...]
    test: tuple[str, ...]
    kept: Path = Path()
    dropped: Path = Path()


@dataclass(frozen=True, slots=True)
class Material:
    """What is curated: new pairs, and those that they are compared with."""

    raw: tuple[Pair, ...]
    train: TrainSplit
    test: TestSplit
    final: FinalSplit
    earlier: tuple[Pair, ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """``by_language`` counts pairs by language or script, then by the step that dropped them."""

    curated: Curated
    portrait: Portrait
    by_language: Mapping[str, Mapping[str, int]]


# --- settings and places --------------------------------------------------------------------


def settings_for(config: Path | None, overrides: Sequence[str]) -> Config:
    """The settings for a file on its own: those of ``config`` if one is named, else the defaults.

    Raises:
        UsageError: an override is about something else, or there is no such file.
        ConfigError: with every problem found.
    """
    for override in overrides:
        section = override.partition("=")[0].strip().partition(".")[0]
        if section in Config.model_fields and section not in SECTIONS:
            raise UsageError(
                f"--set {override} changes nothing here.",
                hint=f"A file on its own is curated by the sections {' and '.join(SECTIONS[:2])};"
                " coverage says how its rows are read.",
            )
    if config is not None:
        return load_config(config, overrides)
    return parse_config("coverage: {data: [pairs.jsonl]}", "the defaults", overrides)


def places_for(
    pairs: str, against: tuple[str, ...], test: tuple[str, ...], out: Path | None, *, force: bool
) -> Places:
    """Where to write what is kept and dropped of ``pairs``: beside it, or in ``out``.

    Raises:
        UsageError: it cannot be written there, is there already, or is read from.
    """
    from_hub = pairs.startswith(HUB)
    name = Path(pairs.removeprefix(HUB).partition("#")[0] if from_hub else pairs).name
    stem = name[: -len(Path(name).suffix)] if Path(name).suffix in _ENDINGS else name
    folder = out if out is not None else Path() if from_hub else Path(pairs).parent
    places = Places(
        pairs, against, test, folder / f"{stem}.kept.jsonl", folder / f"{stem}.dropped.jsonl"
    )
    _check_writable(folder)
    read = {Path(one).resolve() for one in (pairs, *against, *test)}
    for path in (places.kept, places.dropped):
        if path.resolve() in read:
            raise UsageError(
                f"{path} would be written, but is read from.",
                hint="Give another folder with --out DIR.",
            )
        if path.exists() and not force:
            raise UsageError(
                f"{path} is there already.",
                hint="--force overwrites it; --out DIR names another folder.",
            )
    return places


def _check_writable(folder: Path) -> None:
    """Before the work, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise UsageError(
            f"{folder} cannot be written to.", hint="Give another folder with --out DIR."
        )


# --- reading --------------------------------------------------------------------------------


def read_material(places: Places, settings: Config, notify: Notify) -> Material:
    """The pairs that ``places`` names.

    Raises:
        DataError: data that is missing, damaged, empty or of an unknown shape.
        ExtraMissing: a format needs a package that is not installed.
    """
    for name in (places.pairs, *places.against, *places.test):
        if not name.startswith(HUB) and not Path(name).exists():
            raise DataError(f"{name} does not exist.", hint=f"Looked for from {Path.cwd()}.")
    with _stage("read", notify):
        raw = _read([places.pairs], settings, notify)
        train = _read(places.against, settings, notify)
        test = _read(places.test, settings, notify) if places.test else PairsRead((), ())
    return Material(
        raw=raw.pairs,
        train=TrainSplit(train.pairs),
        test=TestSplit(test.pairs),
        final=FinalSplit(()),
        refused=(*raw.refused, *train.refused, *test.refused),
    )


def _read(names: Sequence[str], settings: Config, notify: Notify) -> PairsRead:
    coverage = settings.coverage.model_copy(update={"data": tuple(names)})
    return read_pairs(coverage, settings.task, Path(), read=read_with_provenance, notify=notify)


def batch_of(directory: RunDirectory) -> tuple[int, Material]:
    """The last batch that the run's service LLM wrote, and the cycle that it came after.

    Raises:
        UsageError: there is none.
        RunError: a file of the run is missing or damaged.
    """
    names = (name.split("/") for name in read_manifest(directory.manifest).stages)
    cycles = [int(n[1]) for n in names if n[0] == "cycles" and n[-1] == "synthesize"]
    if not cycles:
        raise UsageError(
            f"{directory.root} has no batch to curate yet.",
            hint="`llamaduo synthesize` makes one, once the cycle before it has been judged.",
        )
    last = max(cycles)
    coverage = directory.coverage
    return last, Material(
        raw=read_records(directory.cycle(last) / "raw.jsonl", Pair),
        train=TrainSplit(read_records(coverage / "train.jsonl", Pair)),
        test=TestSplit(read_records(coverage / "test.jsonl", Pair)),
        final=FinalSplit(read_records(coverage / "final.jsonl", Pair)),
        earlier=tuple(
            pair
            for cycle in range(last)
            for pair in read_records(directory.cycle(cycle) / "synthetic.jsonl", Pair)
        ),
    )


# --- the work -------------------------------------------------------------------------------


def try_thresholds(material: Material, settings: Config, notify: Notify) -> tuple[Trial, ...]:
    """What other thresholds would drop."""
    with _stage("curate", notify):
        prepared = _prepare(material, settings, notify)
    with _stage("dry run", notify):
        return what_if(prepared, settings.curation, notify)


def curate_material(
    material: Material,
    settings: Config,
    places: Places,
    count: CountTexts | None,
    notify: Notify,
) -> Outcome:
    """Curate, write what is kept and what is dropped, then look at what that did to the data."""
    with _stage("curate", notify):
        curated = sift(_prepare(material, settings, notify), settings.curation, notify)
        write_records(places.dropped, curated.dropped)
        write_records(places.kept, curated.kept)
    with _stage("portrait", notify):
        portrait = portray(
            material.train.pairs,
            curated.kept,
            task=settings.task,
            settings=settings.curation,
            count=count,
        )
        tell = telling(settings.curation)
        by_language = fates_by_language(curated.kept, curated.dropped, tell)
    return Outcome(curated, portrait, by_language)


def _prepare(material: Material, settings: Config, notify: Notify) -> Prepared:
    return prepare(
        material.raw,
        train=material.train,
        earlier=material.earlier,
        test=material.test,
        final=material.final,
        settings=settings.curation,
        task=settings.task,
        notify=notify,
    )


@contextmanager
def _stage(name: str, notify: Notify) -> Iterator[None]:
    notify(Event(name, 0, 1, "stage"))
    yield
    notify(Event(name, 1, 1, "stage"))


# --- tokens ---------------------------------------------------------------------------------


def token_counter(path: Path) -> CountTexts:
    """Counts the tokens of texts by the tokenizer.json at ``path``, or in the folder ``path``.

    Raises:
        ModelError: there is none, or it is not one.
        ExtraMissing: the tokenizers package is not installed.
    """
    tokenizer = _read_tokenizer(path / "tokenizer.json" if path.is_dir() else path)

    def count(texts: Sequence[str]) -> Sequence[int]:
        encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(one.ids) for one in encoded]

    return count


def _read_tokenizer(file: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ExtraMissing(
            "--tokenizer: counting tokens needs the tokenizers package.",
            hint="pip install 'tokenizers>=0.23'",
        ) from error
    if not file.is_file():
        raise ModelError(
            f"{file} does not exist.",
            hint="Give a tokenizer.json, or the folder of a model that has one.",
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises nothing narrower
        raise ModelError(
            f"{file} is not a tokenizer: {error}.", hint="Copy it from the model's page again."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
