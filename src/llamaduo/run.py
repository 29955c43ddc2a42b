"""A run that this process owns, and the step by which every stage of it is done.

A step: done already? check its files and load it; else run, write, mark done, load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from llamaduo import __version__
from llamaduo.config import Config, differences, dump_config, read_resolved
from llamaduo.errors import RunError, RunIncompatible, UsageError
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Event, Notify, silent
from llamaduo.redaction.redactor import Redactor, open_redactor
from llamaduo.service.ledger import Ledger
from llamaduo.service.pacing.pacers import Pacers
from llamaduo.service.settings import ServiceSettings
from llamaduo.storage.atomic import write_atomic
from llamaduo.storage.jsonl import write_record
from llamaduo.storage.manifest import (
    Manifest,
    check_unchanged,
    mark_finished,
    read_manifest,
)
from llamaduo.storage.run_directory import RunDirectory, opened

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
    redactor: Redactor
    manifest: Manifest
    root: Path
    cache: Path
    notify: Notify = silent
    only: str | None = None
    done_before: int = 0
    rehearsed: bool = False
    pacers: Pacers = field(default_factory=Pacers)


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
    stands_in_for: Mapping[str, ServiceSettings] | None = None,
    only: str | None = None,
    notify: Notify = silent,
) -> Iterator[Run]:
    """Create or resume the run and hold it while the block runs.

    ``stands_in_for``: see :func:`llamaduo.config.dump_config`.

    Raises:
        RunLocked: another process owns it.
        RunIncompatible: it was started by another version or with another configuration.
    """
    config = _as_it_began(directory, config, notify)
    text = dump_config(
        config, version=__version__, rehearsed=rehearsed, stands_in_for=stands_in_for
    )
    with opened(directory, __version__, text) as manifest:
        usable = _check_same(directory, manifest, config, rehearsed)
        _check_ledger(directory, usable)
        _check_stand_ins(directory, usable, config)
        write_atomic(directory.configuration, text)
        redactor = open_redactor(config.redaction, directory.redaction)
        with Ledger.open(directory.ledger, notify) as ledger:
            done = len(usable.stages)
            yield Run(
                config,
                directory,
                ledger,
                redactor,
                usable,
                root,
                cache,
                notify,
                only,
                done,
                rehearsed,
            )


def _as_it_began(directory: RunDirectory, config: Config, notify: Notify) -> Config:
    """``config``, redacting and fine-tuning as the run in ``directory`` has done so far where it
    does not say how: a run from before there was any redaction goes on without, and one from
    before recipes were chosen with the values that it began with."""
    if not directory.manifest.is_file():
        return config
    stages = read_manifest(directory.manifest).stages
    before, _ = read_resolved(directory.configuration)
    if "import" in stages and "redaction" not in config.model_fields_set:
        config = config.model_copy(update={"redaction": before.redaction})
    if kept := _used_and_not_named(before, config, stages):
        values = ", ".join(f"{name}: {value}" for name, value in kept.items())
        words = f"goes on as it began, with what the configuration leaves open: {values}"
        notify(Event("finetuning", 0, None, "notice", words))
        finetuning = config.finetuning.model_copy(update=kept)
        config = config.model_copy(update={"finetuning": finetuning})
    return config


def _used_and_not_named(before: Config, config: Config, stages: Iterable[str]) -> dict[str, Any]:
    """Of the ``finetuning`` section: what a finished stage used, and ``config`` neither names nor
    would choose."""
    used = _used(stages, before)
    return {
        name: getattr(before.finetuning, name)
        for name in (key.removeprefix("finetuning.") for key in differences(before, config))
        if name in FinetuningSettings.model_fields
        and name not in config.finetuning.model_fields_set
        and _is_among(f"finetuning.{name}", used)
    }


MEASURED = ("local", "finetuning.max_tokens", "inference")
"""What the lengths are measured by, and the first inference uses. It may change until that is
finished, so that the histogram can be acted on."""

USED_BY = {
    "import": (
        *("coverage.data", "coverage.reference_source", "coverage.group_key"),
        *("task", "redaction"),
    ),
    "split": ("coverage",),
    "infer": MEASURED,
    "answer": ("judging.service_responses", "service"),
    "judge": ("judging", "service", "task"),
    "finetune": ("finetuning", "local"),
    "synthesize": ("synthesis", "service", "task"),
    "curate": ("curation", "task"),
}
"""The settings that a kind of stage has used up once it is finished."""
BESIDE = ("judging.human_scores",)
"""What is said about a finished stage and changes nothing in it: it may come later."""


def _check_same(
    directory: RunDirectory, manifest: Manifest, config: Config, rehearsed: bool
) -> Manifest:
    """Check that no finished stage used a setting which has changed since.

    Lengths that were measured by other settings are forgotten, and with them what an inference
    that was cut off has left.
    """
    before, was_rehearsed = read_resolved(directory.configuration)
    if rehearsed != was_rehearsed:
        what = "a rehearsal" if was_rehearsed else "a real run"
        raise RunIncompatible(
            f"{directory.root} is {what}.", hint="Give this one a name of its own with --name."
        )
    used = _used(manifest.stages, before)
    changed = differences(before, config)
    refused = [
        words
        for key, words in changed.items()
        if _is_among(key, used) and not _is_among(key, BESIDE)
    ]
    if refused:
        lines = "".join(f"\n  {line}" for line in refused)
        raise RunIncompatible(
            f"{directory.root} was started with another configuration:{lines}",
            hint="Undo the change to go on with this run, or start another with --name.",
        )
    if not any(_is_among(key, MEASURED) for key in changed):
        return manifest
    (directory.root / "base" / "responses.jsonl").unlink(missing_ok=True)
    kept = {stage: done for stage, done in manifest.stages.items() if _kind(stage) != "lengths"}
    usable = replace(manifest, stages=kept)
    # Before run.yaml says that nothing has changed: a crash in between must not keep them.
    write_record(directory.manifest, usable)
    return usable


def _used(stages: Iterable[str], config: Config) -> set[str]:
    """The settings that the finished ``stages`` used."""
    return {name for stage in stages for name in _used_by(_kind(stage), config)}


def _used_by(kind: str, config: Config) -> tuple[str, ...]:
    """:data:`USED_BY`; judges of their own leave the service LLM out of it."""
    names = USED_BY.get(kind, ())
    if kind == "judge" and config.judging.judges:
        return tuple(name for name in names if name != "service")
    return names


def _is_among(key: str, names: Iterable[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in names)


def _check_ledger(directory: RunDirectory, manifest: Manifest) -> None:
    paid = [stage for stage in manifest.stages if _kind(stage) in ("answer", "judge", "synthesize")]
    if paid and not directory.ledger.is_file():
        raise RunError(
            f"{directory.ledger} is missing, though {paid[0]!r} was paid for.",
            hint="Restore it: it holds the replies and what they cost. Or start a new run with"
            " --name.",
        )


def _check_stand_ins(directory: RunDirectory, manifest: Manifest, config: Config) -> None:
    """A new table would draw other stand-ins than those that the records have."""
    used = config.redaction.mode != "off" and "import" in manifest.stages
    if used and not directory.redaction.is_file():
        raise RunError(
            f"{directory.redaction} is missing: it has the stand-ins that this run's records hold.",
            hint="Restore it, or start a new run with --name.",
        )


# --- the step -----------------------------------------------------------------------------


def step(
    run: Run,
    stage: str,
    work: Callable[[], None],
    load: Callable[[], Result],
    files: Sequence[Path],
) -> Result:
    """Do ``stage`` unless it is done, and load what it left. ``work`` writes ``files``; they are
    whole and hashed before the manifest names the stage.

    Raises:
        RunError: a file of the finished stage is missing or was changed.
        Paused, UsageError: ``run.only`` asks for another stage.
    """
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
"""Kinds of stage without a command of their own: they run with the stage that needs them."""


def _check_turn(run: Run, stage: str) -> None:
    """With ``only`` set: do that stage, once, and no other."""
    kind = _kind(stage)
    if run.only is None or kind in QUIET_STAGES:
        return
    done_now = list(run.manifest.stages)[run.done_before :]
    if any(_kind(name) not in QUIET_STAGES for name in done_now):
        raise Paused(kind)
    if kind != run.only:
        which = kind if kind == stage else f"{kind} ({stage})"
        raise UsageError(
            f"The next stage of {run.directory.root} is {which}, not {run.only}.",
            hint="Run that stage first, or `llamaduo run` to do all that is left.",
        )


def _kind(stage: str) -> str:
    """``judge`` of ``cycles/001/judge``."""
    return stage.rsplit("/", maxsplit=1)[-1]


# --- telling ------------------------------------------------------------------------------


def named(run: Run, where: str) -> Notify:
    """Events of a stage, with the place in the run before the stage's name: ``cycle 1`` for
    ``cycles/001``, ``final`` for ``final/001``."""
    kind, _, number = where.partition("/")
    place = f"cycle {int(number)}" if kind == "cycles" else kind
    return lambda event: run.notify(replace(event, stage=f"{place}: {event.stage}"))
