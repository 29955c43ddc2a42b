"""⑦ of Figure 1: from a run's best checkpoint to the bundle that is deployed.

Make the form that was asked for, check that it answers like the model that was judged, and
only then put it in the place of the bundle before it. A run that was killed here has lost
nothing but time: the bundle it had is still there, or is packed again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from llamaduo.config import Config, read_resolved
from llamaduo.deployment.bundle import Bundle, building, seal
from llamaduo.deployment.gguf import check_exportable, export
from llamaduo.deployment.modelfile import Sampling, write_modelfile
from llamaduo.deployment.settings import Dtype
from llamaduo.errors import ParityMissed, RunError, RunIncompatible, UsageError
from llamaduo.finetuning.adapter import checkpoint_in
from llamaduo.gate import AskLeave, Forms, check_parity
from llamaduo.handover import check_room, converter_of, merge_into
from llamaduo.inference.llamacpp import require_llamacpp
from llamaduo.inference.served import Served
from llamaduo.packing import add_adapter, card_of, describe
from llamaduo.records import Checkpoint, Parity, Scores, Verdict
from llamaduo.run import Run
from llamaduo.stages import base_model, check_base, read_split
from llamaduo.storage.jsonl import read_record, write_record
from llamaduo.storage.manifest import check_unchanged
from llamaduo.storage.run_directory import RunDirectory


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
        RunError: the run has no verdict yet, or what the bundle is made from was changed.
        ParityMissed: a form answers too differently. The bundle before it stays.
        ExportUnsupported: GGUF was asked for and cannot be made of this model.
        UsageError: an adapter was asked for, and all weights were trained.
        ExtraMissing: it cannot be made, or checked, with what is installed.
    """
    verdict = _verdict(run)
    best = best_checkpoint(run, verdict)
    _require_adapter(run, best)
    if check and run.config.deployment.gguf:
        require_llamacpp()  # before minutes of work
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


def check_same_aim(directory: RunDirectory, config: Config) -> None:
    """Check that ``config`` has the target and the limits that the run's verdict was reached by.

    To be called before the run is owned, which writes ``config`` into ``run.yaml``: beside a
    target that it is not about, a verdict cannot be verified, and the bundle's label is wrong.

    Raises:
        RunIncompatible: it has others.
    """
    if not directory.verdict.is_file():
        return
    before, _ = read_resolved(directory.configuration)
    budget = "limits.budget_usd" in read_record(directory.verdict, Verdict).reason
    changed = {
        "another target": before.target != config.target,
        "other limits": _limits(before, budget) != _limits(config, budget),
    }
    if words := " and ".join(name for name, differs in changed.items() if differs):
        raise RunIncompatible(
            f"The verdict of {directory.root} was reached with {words}.",
            hint="Carry the run on with `llamaduo run`, which reaches it anew, or undo the change.",
        )


def _limits(config: Config, budget: bool) -> dict[str, object]:
    """The limits that a verdict rests on: on the ``budget`` only if that ended the loop."""
    without = {"confirm_above_usd"} if budget else {"confirm_above_usd", "budget_usd"}
    return config.limits.model_dump(exclude=without)


def _verdict(run: Run) -> Verdict:
    if not run.directory.verdict.is_file():
        raise RunError(
            f"{run.directory.root} has no verdict yet, so nothing says which cycle is the best.",
            hint="Finish it with `llamaduo run`.",
        )
    return read_record(run.directory.verdict, Verdict)


def best_checkpoint(run: Run, verdict: Verdict) -> Checkpoint:
    """The checkpoint of the best cycle, as it was when it was judged, with its scores."""
    base = base_model(run)
    check_base(run, base)
    for kind in ("finetune", "judge"):
        stage = f"cycles/{verdict.best_cycle:03d}/{kind}"
        if stage not in run.manifest.stages:
            raise RunError(
                f"{run.directory.verdict} calls cycle {verdict.best_cycle} the best, of which"
                f" {run.directory.manifest} has no {stage}.",
                hint="Reach the verdict anew with `llamaduo run`.",
            )
        check_unchanged(run.manifest.stages[stage], run.directory.root, stage)
    folder = run.directory.cycle(verdict.best_cycle) / "checkpoint"
    return checkpoint_in(folder, base, verdict.best_cycle)


def _require_adapter(run: Run, best: Checkpoint) -> None:
    """There is one, if the bundle is to be one."""
    if run.config.deployment.form == "adapter" and best.adapter is None:
        raise UsageError(
            f"deployment.form is adapter, and cycle {best.cycle} of {run.directory.root} has none:"
            " all of its weights were trained (finetuning.method: full).",
            hint="Deploy the whole model: --form merged.",
        )


def make(run: Run, best: Checkpoint, bundle: Bundle, folder: Path) -> None:
    """Write the files of ``bundle``, card and manifest aside, into ``folder``."""
    settings, kinds = run.config.deployment, run.config.deployment.gguf
    if kinds:
        check_exportable(Path(best.base), converter_of(run))  # before minutes of merging
    merged: Dtype = settings.dtype if bundle.form == "merged" else "float32"
    if bundle.form == "merged" or kinds:
        check_room(run, best, (merged, *kinds))
    if bundle.form == "adapter":
        add_adapter(best, folder)
    else:
        merge_into(run, best, folder, merged)
    if kinds:
        _add_gguf(run, best, bundle, folder)


def _add_gguf(run: Run, best: Checkpoint, bundle: Bundle, folder: Path) -> None:
    """GGUF files beside the rest. Those of an adapter are merged in a folder that then goes."""
    source = folder
    if bundle.form == "adapter":
        source = folder / ".merged"
        source.mkdir()
        merge_into(run, best, source, "float32")
    files = export(
        source,
        folder,
        run.config.deployment.gguf,
        name=bundle.name,
        converter=converter_of(run),
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


def _check(run: Run, best: Checkpoint, forms: Forms, ask_leave: AskLeave) -> Parity:
    """The parity of every form over the test prompts, kept in the run whatever it says."""
    root, test = run.directory.root, read_split(run.directory.coverage).test
    (root / "parity.json").unlink(missing_ok=True)  # its answers are about to be replaced
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
