"""A checkpoint handed over from training to the engine that assesses it, and back.

On transformers an engine reads the checkpoint's own folders. llama.cpp gets it as a GGUF file, a
server as merged weights or as an adapter. What that takes lies in ``.handover`` of the run, for
one checkpoint at a time, and goes when it has been assessed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from llamaduo.deployment.bundle import add_files, tokenizer_files
from llamaduo.deployment.gguf import check_exportable, export
from llamaduo.deployment.model_files import count_weights
from llamaduo.deployment.settings import Dtype, GgufKind
from llamaduo.errors import StageFailed, UsageError
from llamaduo.finetuning.adapter import check_adapter
from llamaduo.finetuning.models.trained_tokens import trained_tokens
from llamaduo.inference.engines import Place
from llamaduo.inference.hosting import rest, started, told
from llamaduo.inference.llamacpp import require_llamacpp
from llamaduo.records import Checkpoint, Event
from llamaduo.run import Run

_BYTES: dict[Dtype | GgufKind, float] = {"float32": 4, "bfloat16": 2, "F16": 2, "Q8_0": 34 / 32}
"""That one weight takes in a file."""


@contextmanager
def handed_over(run: Run, checkpoint: Checkpoint) -> Iterator[Place]:
    """Where ``inference.engine`` finds ``checkpoint``, for as long as the block lasts.

    Raises:
        ExportUnsupported: llama.cpp was asked for and cannot run such a model.
        ExtraMissing: what makes or runs GGUF files is not installed.
        UsageError, ServiceUnavailable, StageFailed: the server does not run it.
    """
    settings = run.config.inference
    if settings.engine == "transformers":
        yield None
    elif settings.engine == "xllamacpp":
        with _scratch(run) as folder:
            yield _as_gguf(run, checkpoint, folder)
    elif settings.serve_command:
        log = run.directory.root / "server.log"
        with _scratch(run) as folder:
            model = _whole(run, checkpoint, folder, run.config.deployment.dtype)
            with started(settings, model.resolve(), _name(run, checkpoint), log) as served:
                yield served
    else:
        _require_loadable(checkpoint)
        with told(settings, checkpoint, _name(run, checkpoint)) as served:
            yield served


def hand_back(run: Run) -> None:
    """Before training: the memory of a GPU that a server shares with it.

    Raises:
        UsageError: the server cannot sleep.
    """
    if run.config.inference.sleep:
        rest(run.config.inference)


def _require_loadable(checkpoint: Checkpoint) -> None:
    """Adapters of this base can be loaded into a server: to be asked before one is trained."""
    if trained_tokens(Path(checkpoint.base)):
        raise UsageError(
            f"{checkpoint.model} has no chat template and was given ChatML's tokens: adapters that"
            " train these cannot be loaded into a server that runs.",
            hint="Set inference.serve_command, which starts a server for each checkpoint.",
        )


def merge_into(run: Run, checkpoint: Checkpoint, folder: Path, dtype: Dtype) -> None:
    """Merged weights of ``checkpoint``, and what turns prompts into tokens, into ``folder``."""
    from llamaduo.finetuning.merge import merge

    run.notify(Event("merge", 0, 1, "stage"))
    merge(checkpoint, folder, dtype)
    add_files(tokenizer_files(Path(checkpoint.base)), folder)
    run.notify(Event("merge", 1, 1, "stage"))


def converter_of(run: Run) -> Path | None:
    """The user's llama.cpp checkout or its script, for models that we do not write ourselves."""
    named = run.config.deployment.converter
    return run.root / Path(named).expanduser() if named else None


def check_room(run: Run, checkpoint: Checkpoint, copies: Sequence[Dtype | GgufKind]) -> None:
    """Find out before minutes of work whether the disk can hold the result.

    Raises:
        StageFailed: it cannot.
    """
    needed = count_weights(Path(checkpoint.base)) * sum(_BYTES[copy] for copy in copies)
    free = shutil.disk_usage(run.directory.root).free
    if needed > free:
        raise StageFailed(
            f"{run.directory.root}: the weights as {', '.join(copies)} need about"
            f" {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free.",
            hint="Free some space, or ask for less: deployment.dtype=bfloat16 is half of float32,"
            " and --form adapter without GGUF next to nothing.",
        )


@contextmanager
def _scratch(run: Run) -> Iterator[Path]:
    folder = run.directory.root / ".handover"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_gguf(run: Run, checkpoint: Checkpoint, folder: Path) -> Path:
    kind = run.config.inference.gguf
    require_llamacpp()
    check_exportable(Path(checkpoint.base), converter_of(run))  # before minutes of merging
    model = _whole(run, checkpoint, folder, "float32", kind)
    (file,) = export(
        model,
        folder,
        [kind],
        name=_name(run, checkpoint),
        converter=converter_of(run),
        notify=run.notify,
    )
    return file


def _whole(run: Run, checkpoint: Checkpoint, folder: Path, dtype: Dtype, *copies: GgufKind) -> Path:
    """A folder that has all of ``checkpoint``: its own, where no adapter is to be merged."""
    merges: tuple[Dtype, ...] = (dtype,) if checkpoint.adapter else ()
    check_room(run, checkpoint, (*merges, *copies))
    if checkpoint.adapter is None:
        return Path(checkpoint.base)
    merged = folder / "merged"
    merged.mkdir()
    merge_into(run, checkpoint, merged, dtype)
    return merged


def _name(run: Run, checkpoint: Checkpoint) -> str:
    """What the checkpoint is called while it is assessed. An adapter's hash is part of it: a server
    may still have one of a run that was begun anew under its name."""
    which = "base" if checkpoint.cycle is None else f"{checkpoint.cycle:03d}"
    if checkpoint.adapter is not None:
        which += f"-{check_adapter(Path(checkpoint.adapter)).weights_sha256[:8]}"
    return f"{run.directory.root.resolve().name}-{which}"
