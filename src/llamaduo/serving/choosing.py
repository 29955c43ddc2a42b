"""Which bundles are to be served, under which names, and by which engine. Loads nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llamaduo.deployment.bundle import MANIFEST, Bundle, open_bundle
from llamaduo.deployment.settings import GgufKind
from llamaduo.errors import ExtraMissing, UsageError

EngineName = Literal["auto", "transformers", "xllamacpp"]
GGUF_KINDS: tuple[GgufKind, ...] = ("Q8_0", "F16")  # the faster and smaller one first


@dataclass(frozen=True, slots=True)
class Chosen:
    """A bundle that was opened and checked. ``gguf`` is the file that llama.cpp is to serve;
    without one transformers serves it."""

    name: str
    folder: Path
    bundle: Bundle
    gguf: Path | None


def choose_bundles(
    arguments: Sequence[str], engine: EngineName, kind: GgufKind | None
) -> tuple[Chosen, ...]:
    """The bundles that ``arguments`` name: a bundle's folder or a run's, or NAME=FOLDER.

    Raises:
        BundleError: one is damaged, unsafe, of another version, or no bundle.
        ExtraMissing: the engine is not installed.
        UsageError: two have the same name, or one lacks the GGUF file that was asked for.
    """
    chosen = [_choose(argument, engine, kind) for argument in arguments]
    for one in chosen:
        if sum(other.name == one.name for other in chosen) > 1:
            raise UsageError(
                f"Two bundles would be called {one.name}.",
                hint=f"Name one: llamaduo serve NAME={one.folder}",
            )
    return tuple(chosen)


def unheld(chosen: Sequence[Chosen]) -> tuple[str, ...]:
    """The names of those that answered under a JSON schema when they were judged, and will not
    here: transformers has no llguidance to hold them to one."""
    if importlib.util.find_spec("llguidance") is not None:
        return ()
    judged = [(one, one.bundle.verdict.inference) for one in chosen if one.gguf is None]
    return tuple(one.name for one, figures in judged if figures and figures.constrained)


def _choose(argument: str, engine: EngineName, kind: GgufKind | None) -> Chosen:
    name, folder = _named(argument)
    bundle = open_bundle(folder)
    return Chosen(name or bundle.name, folder, bundle, _gguf(folder, bundle, engine, kind))


def _named(argument: str) -> tuple[str, Path]:
    name, separator, place = argument.partition("=")
    if not separator or Path(argument).exists():
        name, place = "", argument
    elif not name or not name.isprintable() or name != name.strip():
        raise UsageError(f"{argument!r}: {name!r} is no name for a model.", hint="NAME=FOLDER")
    folder = Path(place).expanduser()
    run = not (folder / MANIFEST).is_file() and (folder / "bundle").is_dir()
    return name, folder / "bundle" if run else folder


def _gguf(folder: Path, bundle: Bundle, engine: EngineName, kind: GgufKind | None) -> Path | None:
    """The first GGUF file of ``bundle`` that will do, if llama.cpp is to serve it."""
    if engine == "transformers":
        if kind is not None:
            raise UsageError(
                "--gguf is for the engine xllamacpp.", hint="Leave out --gguf, or --engine."
            )
        return None
    kinds = [kind] if kind else list(GGUF_KINDS)
    found = next((k for k in kinds if f"model-{k}.gguf" in bundle.files), None)
    wanted = engine == "xllamacpp" or kind is not None
    if found is None:
        if not wanted:
            return None
        raise UsageError(
            f"{folder} has no {' or '.join(f'model-{k}.gguf' for k in kinds)}.",
            hint="llamaduo deploy --gguf writes one; or serve it with --engine transformers.",
        )
    if importlib.util.find_spec("xllamacpp") is None:
        if not wanted:
            return None
        raise ExtraMissing(
            "The engine xllamacpp is not installed.", hint="pip install 'llamaduo[gguf]'"
        )
    return folder / f"model-{found}.gguf"
