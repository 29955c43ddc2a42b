"""What a bundle of a run says about itself, and the bundle that every finished run leaves."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from llamaduo import __version__
from llamaduo.assessment import SERVICE, SERVICE_FINAL
from llamaduo.deployment.bundle import (
    Bundle,
    Generation,
    add_files,
    building,
    files_of,
    held,
    seal,
    tokenizer_files,
)
from llamaduo.deployment.card import CardFacts, card
from llamaduo.deployment.dataset import data_facts, read_pairs
from llamaduo.deployment.licence import licence_of, shown_name
from llamaduo.evaluation.standing import in_words
from llamaduo.finetuning.adapter import check_adapter
from llamaduo.records import (
    Checkpoint,
    Form,
    JudgeFinding,
    Lengths,
    Message,
    Outcome,
    Pair,
    PanelReport,
    Provenance,
    Scores,
    Terms,
    Verdict,
)
from llamaduo.run import Run
from llamaduo.stages import answer_tokens, read_split
from llamaduo.storage.jsonl import read_record
from llamaduo.tasks.templates import judge_messages, synthesis_messages

Record = TypeVar("Record")
_PACKAGES = ("tokenizers", "safetensors", "pydantic-ai-slim", "gguf", "xllamacpp")


def bundle_best(run: Run, best: Checkpoint, verdict: Verdict, scores: Scores) -> Path:
    """Pack ``best`` as an adapter, which costs next to nothing, or as the whole model that it is
    where all weights were trained.

    A bundle of the same model stays, in whatever form: `deploy` may have made it. Where the
    verdict on it has changed, with the target, it is sealed again with that.
    """
    whole = best.adapter is None and best.cycle is not None
    bundle = describe(run, best, verdict, scores, "merged" if whole else "adapter")
    if whole:
        bundle = replace(bundle, dtype=_kept_in(Path(best.base)))
    into = run.directory.bundle
    before = held(into, bundle)
    if before is None:
        with building(into) as folder:
            add_adapter(best, folder)
            seal(folder, bundle, card_of(run, bundle, folder), into)
    elif not before.same_evidence(bundle):
        after = replace(
            before,
            verdict=bundle.verdict,
            label=bundle.label,
            target=bundle.target,
            ceiling=bundle.ceiling,
            ceiling_final=bundle.ceiling_final,
            findings=bundle.findings,
            files={},
        )
        with building(into) as folder:
            add_files({name: into / name for name in before.files}, folder)
            seal(folder, after, card_of(run, after, folder), into)
    return into


def add_adapter(best: Checkpoint, folder: Path) -> None:
    """The adapter of ``best``, and what turns its prompts into tokens; all of a model without."""
    base = Path(best.base)
    if best.adapter is None:
        add_files(files_of(base), folder)
    else:
        add_files(tokenizer_files(base) | files_of(Path(best.adapter)), folder)


def describe(run: Run, best: Checkpoint, verdict: Verdict, scores: Scores, form: Form) -> Bundle:
    """``bundle.json`` of ``best``, before its files are known."""
    config, root = run.config, run.directory.root
    final = root / "final" / f"{verdict.best_cycle:03d}"
    judged = root / "base" if best.cycle is None else run.directory.cycle(best.cycle)
    return Bundle(
        name=root.resolve().name,
        form=form,
        dtype=config.deployment.dtype if form == "merged" else "float32",
        label=_LABELS[verdict.outcome],
        target=in_words(config.target, config.judging),
        model=best.model if form == "adapter" else shown_name(best.model),
        revision=best.revision,
        fingerprint=best.fingerprint,
        licence=licence_of(best.model, Path(best.base)),
        cycle=best.cycle,
        window=best.window,
        generation=_generation(run, best),
        verdict=verdict,
        scores=scores,
        final=_if_there(final / "scores.json", Scores),
        ceiling=_if_there(root / SERVICE / "scores.json", Scores),
        ceiling_final=_if_there(root / SERVICE_FINAL / "scores.json", Scores),
        findings=tuple(_findings(judged, final)),
        terms=accepted_terms(run),
        rehearsed=run.rehearsed,
        service=config.service.model,
        judges=tuple(judge.model for judge in config.judges),
        versions=_versions(best),
        seeds={
            "coverage": config.coverage.seed,
            "finetuning": config.finetuning.seed,
            "inference": config.inference.seed,
            "synthesis": config.synthesis.seed,
        },
        templates=_templates(run),
        data=dict(_data(run, best)),
    )


def card_of(run: Run, bundle: Bundle, folder: Path) -> str:
    """The model card of ``bundle``, whose files lie in ``folder``."""
    root, settings = run.directory.root, run.config.deployment
    facts = CardFacts(
        bundle=bundle,
        data=data_facts(read_pairs(root, before=bundle.cycle)),
        task=run.config.task,
        base=_if_there(root / "base" / "scores.json", Scores),
        languages=settings.languages,
        intended_use=settings.intended_use,
        files=tuple(files_of(folder)),
    )
    return card(facts)


# --- what the facts come from ---------------------------------------------------------------

_LABELS: Mapping[Outcome, str] = {
    "passed": "target met",
    "undecided": "undecided",
    "continue": "target missed",
    "stopped": "target missed",
}


def _kept_in(model: Path) -> str:
    return str(json.loads((model / "config.json").read_bytes()).get("dtype", "float32"))


def _if_there(path: Path, kind: type[Record]) -> Record | None:
    return read_record(path, kind) if path.is_file() else None


def _findings(*folders: Path) -> Iterator[JudgeFinding]:
    """What was found against the judges of these sets of responses, each said once."""
    reports = (_if_there(folder / "judges.json", PanelReport) for folder in folders)
    judges = (judge for report in reports if report for judge in report.judges)
    yield from dict.fromkeys(finding for judge in judges for finding in judge.findings)


def accepted_terms(run: Run) -> Terms | None:
    """The provider's terms: as configured, or as they were given when they were asked for.

    None where nobody has stated them; a ``terms.json`` without text is such an answer, too.
    """
    given = run.config.service.terms
    if given is not None:
        return Terms(
            service=run.config.service.model,
            text=given.text,
            allow_publishing=given.allow_publishing,
        )
    path = run.directory.root / "terms.json"
    asked = read_record(path, Terms) if path.is_file() else None
    return asked if asked and asked.text else None


def _generation(run: Run, best: Checkpoint) -> Generation:
    lengths = read_record(run.directory.coverage / "lengths.json", Lengths)
    settings = run.config.inference
    return Generation(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_new_tokens=answer_tokens(run, lengths, best),
    )


def _versions(best: Checkpoint) -> dict[str, str]:
    """What it was trained with, as its own card says, and what packs it."""
    where = best.base if best.adapter is None else best.adapter
    trained = {} if best.cycle is None else check_adapter(Path(where)).versions
    found = {"llamaduo": __version__, "python": platform.python_version(), **trained}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an extra that was not needed
            continue
    return found


def _templates(run: Run) -> dict[str, tuple[Message, ...]]:
    """The prompts to the service LLM, with the paper's placeholders (Figures 5 to 7)."""
    messages = (Message("user", "$instruction"),)
    pair = Pair(
        id="$id",
        messages=messages,
        response="$response",
        reference_source="human",
        provenance=Provenance(origin="coverage", source="$source"),
    )
    task, count = run.config.task, run.config.synthesis.pairs_per_request
    return {
        "judge": tuple(judge_messages(task, pair, "$lm_response")),
        "synthesize": tuple(synthesis_messages(task, [pair], count)),
    }


def _data(run: Run, best: Checkpoint) -> Iterator[tuple[str, str]]:
    """The sha256 of the split, and of every file of pairs behind the model: no later batch."""
    yield "split", read_split(run.directory.coverage).sha256
    batches = range(best.cycle or 0)
    behind = {f"cycles/{cycle:03d}/synthetic.jsonl" for cycle in batches}
    for stage in run.manifest.stages.values():
        for name, digest in stage.files.items():
            if name in behind or (name.startswith("coverage/") and name.endswith(".jsonl")):
                yield name, digest
