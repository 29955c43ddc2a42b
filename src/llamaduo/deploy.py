"""⑦ of Figure 1: from a run's best checkpoint to the bundle that is deployed.

Make the form that was asked for, check that it answers like the model that was judged, and
only then put it in the place of the bundle before it. A run that was killed here has lost
nothing but time: the bundle it had is still there, or is packed again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from llamaduo.deployment.bundle import Bundle, add_files, building, seal, tokenizer_files
from llamaduo.deployment.gguf import check_covered, export
from llamaduo.deployment.modelfile import Sampling, write_modelfile
from llamaduo.deployment.settings import Dtype
from llamaduo.errors import ParityMissed, RunError, StageFailed
from llamaduo.gate import AskLeave, Forms, check_parity
from llamaduo.inference.served import Served
from llamaduo.packing import add_adapter, card_of, describe
from llamaduo.records import Checkpoint, Event, Parity, Scores, Verdict
from llamaduo.run import Run
from llamaduo.stages import base_model, check_base, read_split
from llamaduo.storage.jsonl import read_record, write_record
from llamaduo.storage.manifest import check_unchanged


@dataclass(frozen=True, slots=True)
class Deployed:
    """What `deploy` leaves: the bundle and where it lies."""

    folder: Path
    bundle: Bundle


def deploy(run: Run, *, check: bool, ask_leave: AskLeave, server: Served | None = None) -> Deployed:
    """Build the bundle of ``run`` as ``deployment`` asks for it, and promote it.

    Args:
        check: send the test prompts through every form first; what differs is judged.
        ask_leave: asked before that costs anything.
        server: with ``check``, a server that runs the model already.

    Raises:
        RunError: the run has no verdict yet, or its best checkpoint was changed.
        ParityMissed: a form answers too differently. The bundle before it stays.
        ExportUnsupported: GGUF was asked for and cannot be made of this model.
    """
    verdict = _verdict(run)
    best = best_checkpoint(run, verdict)
    scores = read_record(run.directory.cycle(verdict.best_cycle) / "scores.json", Scores)
    bundle = describe(run, best, verdict, scores, run.config.deployment.form)
    into = run.directory.bundle
    with building(into) as folder:
        make(run, best, bundle, folder)
        if check:
            parity = _check(run, best, Forms(folder, bundle, server), ask_leave)
            bundle = replace(bundle, parity=parity)
        sealed = seal(folder, bundle, card_of(run, bundle, folder), into)
    return Deployed(into, sealed)


def _verdict(run: Run) -> Verdict:
    if not run.directory.verdict.is_file():
        raise RunError(
            f"{run.directory.root} has no verdict yet, so nothing says which cycle is the best.",
            hint="Finish it with `llamaduo run`.",
        )
    return read_record(run.directory.verdict, Verdict)


def best_checkpoint(run: Run, verdict: Verdict) -> Checkpoint:
    """The checkpoint of the best cycle, as it was when it was judged."""
    base = base_model(run)
    check_base(run, base)
    stage = f"cycles/{verdict.best_cycle:03d}/finetune"
    check_unchanged(run.manifest.stages[stage], run.directory.root, stage)
    adapter = run.directory.cycle(verdict.best_cycle) / "checkpoint"
    return replace(base, adapter=str(adapter), cycle=verdict.best_cycle)


def make(run: Run, best: Checkpoint, bundle: Bundle, folder: Path) -> None:
    """Write the files of ``bundle``, card and manifest aside, into ``folder``."""
    kinds = run.config.deployment.gguf
    merged = bundle.form == "merged" or bool(kinds)
    if kinds and not run.config.deployment.converter:
        check_covered(Path(best.base))  # before minutes of merging
    _check_room(run, best, copies=merged + len(kinds))
    if bundle.form == "adapter":
        add_adapter(best, folder)
    else:
        _merge(run, best, folder, run.config.deployment.dtype)
    if kinds:
        _add_gguf(run, best, bundle, folder)


def _merge(run: Run, best: Checkpoint, folder: Path, dtype: Dtype) -> None:
    from llamaduo.finetuning.merge import merge

    run.notify(Event("merge", 0, 1, "stage"))
    merge(best, folder, dtype)
    add_files(tokenizer_files(Path(best.base)), folder)
    run.notify(Event("merge", 1, 1, "stage"))


def _add_gguf(run: Run, best: Checkpoint, bundle: Bundle, folder: Path) -> None:
    """GGUF files beside the rest. Those of an adapter are merged in a folder that then goes."""
    settings = run.config.deployment
    converter = (run.root / Path(settings.converter).expanduser()) if settings.converter else None
    source = folder
    if bundle.form == "adapter":
        source = folder / ".merged"
        source.mkdir()
        _merge(run, best, source, "float32")
    files = export(
        source,
        folder,
        settings.gguf,
        name=bundle.name,
        converter=converter,
        licence=bundle.licence,
        notify=run.notify,
    )
    smallest = min(files, key=lambda path: path.stat().st_size)
    write_modelfile(source, smallest.name, _sampling(bundle), folder / "Modelfile")
    if source is not folder:
        shutil.rmtree(source)


def _sampling(bundle: Bundle) -> Sampling:
    """How the model answered when it was judged, for Ollama."""
    return Sampling(
        temperature=bundle.generation.temperature,
        top_p=bundle.generation.top_p,
        max_new_tokens=bundle.generation.max_new_tokens,
        window=bundle.window,
    )


def _check_room(run: Run, best: Checkpoint, *, copies: int) -> None:
    """Find out before minutes of work whether the disk can hold the result."""
    weights = sum(path.stat().st_size for path in Path(best.base).glob("*.safetensors"))
    free = shutil.disk_usage(run.directory.root).free
    if weights * copies > free:
        raise StageFailed(
            f"{run.directory.root}: {copies} copies of the weights need about"
            f" {weights * copies / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free.",
            hint="Free some space, or deploy the adapter alone: --form adapter.",
        )


def _check(run: Run, best: Checkpoint, forms: Forms, ask_leave: AskLeave) -> Parity:
    """The parity of every form over the test prompts, kept in the run whatever it says."""
    root, test = run.directory.root, read_split(run.directory.coverage).test
    parity = check_parity(run, best, forms, test.pairs, into=root / "parity", ask_leave=ask_leave)
    write_record(root / "parity.json", parity)
    if parity.passed:
        return parity
    refused = "; ".join(f"{one.form}: {one.reason}" for one in parity.checks if not one.passed)
    raise ParityMissed(
        f"Not promoted. {refused}.",
        hint=f"{run.directory.root / 'parity'} has every answer. Leave that form out, or lower"
        " deployment.parity if the difference is acceptable; the bundle is as it was before.",
    )
