"""Bring what was chosen into memory. Torch is imported when a model is loaded, not before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaduo.errors import ModelError
from llamaduo.finetuning.models.model_folder import check_model_folder, read_tokenizer
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.records import Checkpoint
from llamaduo.serving.choosing import Chosen
from llamaduo.serving.jobs import Engine
from llamaduo.serving.served import Served

if TYPE_CHECKING:
    from llamaduo.serving.batching import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """``batch`` choices are written at once, ``max_queue`` requests wait; both for each model
    in memory. ``window`` bounds prompt and answer in tokens: what it is worth is paid in
    memory, for each place of the batch."""

    batch: int = 8
    max_queue: int = 64
    window: int = 8192


@contextmanager
def loaded(
    chosen: Sequence[Chosen], capacity: Capacity, cache: Path
) -> Iterator[tuple[Served, ...]]:
    """The models of ``chosen``, ready, for as long as the block lasts.

    Adapters of one base share its weights. A single one is merged into them, which is faster.

    Raises:
        ModelError: a base is missing or another one than the bundle was made with, or a file
            cannot be loaded.
        ExtraMissing: torch and transformers are not installed.
    """
    served: list[Served] = []
    try:
        for group in _groups(chosen):
            served += _load(group, capacity, cache)
        place = {one.name: i for i, one in enumerate(chosen)}
        yield tuple(sorted(served, key=lambda one: place[one.name]))
    finally:
        for engine in {id(one.engine): one.engine for one in served}.values():
            engine.close()


def _groups(chosen: Sequence[Chosen]) -> list[list[Chosen]]:
    """Adapters of the same base together, all others alone."""
    adapters: dict[str, list[Chosen]] = {}
    groups: list[list[Chosen]] = []
    for one in chosen:
        if one.gguf is not None or one.bundle.form == "merged":
            groups.append([one])
        elif one.bundle.fingerprint in adapters:
            adapters[one.bundle.fingerprint].append(one)
        else:
            adapters[one.bundle.fingerprint] = [one]
            groups.append(adapters[one.bundle.fingerprint])
    return groups


def _load(group: Sequence[Chosen], capacity: Capacity, cache: Path) -> list[Served]:
    tokenizers = {one.name: read_tokenizer(one.folder) for one in group}
    if group[0].gguf is not None:
        engine = _on_llamacpp(group[0], capacity)
    else:
        engine = _on_transformers(group, tokenizers, capacity, cache)
    return [
        Served(
            one.name, one.bundle.generation, _window(one, capacity), tokenizers[one.name], engine
        )
        for one in group
    ]


def _window(one: Chosen, capacity: Capacity) -> int:
    return min(one.bundle.window, capacity.window)


def _on_llamacpp(one: Chosen, capacity: Capacity) -> Engine:
    from llamaduo.inference.llamacpp import load_gguf, threads_told
    from llamaduo.serving.llamacpp import LlamaCppEngine

    assert one.gguf is not None  # noqa: S101 - that is why we are here
    server = load_gguf(
        one.gguf, window=_window(one, capacity), slots=capacity.batch, threads=threads_told()
    )
    return LlamaCppEngine(server, slots=capacity.batch, most_waiting=capacity.max_queue)


def _on_transformers(
    group: Sequence[Chosen], tokenizers: Mapping[str, Any], capacity: Capacity, cache: Path
) -> Engine:
    from llamaduo.inference.loading import load_adapters, load_model
    from llamaduo.serving.batching import BatchingEngine, Voice

    first = group[0]
    voices: dict[str, Voice] = {one.name: Voice(tokenizers[one.name]) for one in group}
    if first.bundle.form == "merged":
        model = load_model(_merged(first))
    elif len(group) == 1:
        model = load_model(_adapter(first, cache))
    else:
        # PEFT makes module names of adapters' names, so they get plain ones.
        plain = {one.name: f"adapter{i}" for i, one in enumerate(group)}
        base = _adapter(first, cache)
        model = load_adapters(base, {plain[one.name]: one.folder for one in group})
        voices = {n: Voice(voice.tokenizer, plain[n]) for n, voice in voices.items()}
    return BatchingEngine(model, voices, places=capacity.batch, most_waiting=capacity.max_queue)


def _merged(one: Chosen) -> Checkpoint:
    window = check_model_folder(one.folder)
    return Checkpoint(model=one.bundle.model, base=str(one.folder), window=window)


def _adapter(one: Chosen, cache: Path) -> Checkpoint:
    """The bundle's adapter on the base that it was trained on.

    Raises:
        ModelError: that base is not to be had, or what goes by its name is another one.
    """
    bundle = one.bundle
    settings = LocalSettings(model=bundle.model, revision=bundle.revision)
    try:
        base = obtain(settings, cache, _root(one.folder))
    except ModelError as error:
        raise ModelError(
            f"{one.folder} is an adapter and needs its base model {bundle.model}, which cannot"
            f" be had: {error.message}",
            hint=f"{error.hint} Or pack a bundle that needs no base: llamaduo deploy --form"
            " merged.",
        ) from error
    if base.fingerprint != bundle.fingerprint:
        raise ModelError(
            f"{one.folder} was made with another {bundle.model} than {base.base}: fingerprint"
            f" {bundle.fingerprint[:12]} there, {base.fingerprint[:12]} here.",
            hint="Put the files in place that it was made with, or pack a bundle that needs no"
            " base: llamaduo deploy --form merged.",
        )
    return Checkpoint(
        model=bundle.model,
        base=base.base,
        adapter=str(one.folder),
        window=bundle.window,
        fingerprint=base.fingerprint,
    )


def _root(folder: Path) -> Path:
    """Where a relative name of a base model starts: beside the configuration of the run that
    the bundle is still in, or here."""
    run = folder.resolve().parent
    return run.parents[1] if run.parent.name == "runs" else Path()
