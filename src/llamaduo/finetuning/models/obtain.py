"""Get hold of the local LLM: the embedded model, a folder, a GGUF file, or a name on the Hugging
Face Hub."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from llamaduo.errors import ExtraMissing, ModelError
from llamaduo.finetuning.models.fingerprint import fingerprint_of
from llamaduo.finetuning.models.gguf_base import place_of, read_gguf
from llamaduo.finetuning.models.gguf_wheel import (
    EMBEDDED_MODEL,
    HUB_NAME,
    INSTALL,
    find_gguf,
    is_whole,
    unpack,
)
from llamaduo.finetuning.models.hub import download, is_cached, revision_of
from llamaduo.finetuning.models.model_folder import check_files, check_usable, read_tokenizer
from llamaduo.finetuning.models.prepared import prepared
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.records import Checkpoint, Pair
from llamaduo.tasks.chat import encode_pair

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""OWNER/NAME. What begins like a path (``./``, ``../``, ``/``, ``~``) cannot match."""
_POSSIBLE = (
    f"Give {EMBEDDED_MODEL}, a folder with safetensors or a GGUF file (relative to the"
    " configuration file), or OWNER/NAME on the Hub."
)


def obtain(
    settings: LocalSettings, cache: Path, root: Path | None = None, *, known: str = ""
) -> Checkpoint:
    """The base model of ``settings``, checked, as a folder with safetensors.

    The embedded model, or a GGUF file, is unpacked once into ``cache``. A folder's name starts at
    ``root``, which is the configuration file's folder, or at the working directory without one.
    What exists there, or is written like a path, is never looked for on the Hub. ``known`` is the
    fingerprint of a model that was found usable before: its files are checked again, but
    without transformers, which takes seconds to import.

    Raises:
        ModelError: it is missing, unsafe (pickle, ``auto_map``) or unsuitable.
        ExtraMissing: torch and transformers are not installed.
    """
    _require_local_extra()
    folder = _folder(settings, cache, root or Path())
    window, fingerprint = check_files(folder), fingerprint_of(folder)
    revision = revision_of(folder)
    if fingerprint != known:
        check_usable(folder, needs_template=False)
        folder = prepared(folder, cache, settings.model)
        fingerprint = fingerprint_of(folder)
    return Checkpoint(
        model=settings.model,
        base=str(folder),
        window=window,
        fingerprint=fingerprint,
        revision=revision,
    )


def is_at_hand(settings: LocalSettings, cache: Path, root: Path | None = None) -> bool:
    """Whether :func:`obtain` needs no network, as far as can be told without obtaining."""
    name = settings.model
    if name == EMBEDDED_MODEL:
        here = (cache / EMBEDDED_MODEL).is_dir() or find_gguf() is not None
        return here or is_cached(HUB_NAME, settings.revision)
    path = _path(name, root or Path())
    return path.exists() or not _HUB_NAME.fullmatch(name) or is_cached(name, settings.revision)


def token_counter(
    checkpoint: Checkpoint, loss_on: Literal["last", "all"] = "last"
) -> Callable[[Pair], tuple[int, int]]:
    """A function from a pair to its prompt and response tokens in the model's chat template.

    The counts are those of training and inference: default system prompt, role marks and end
    of turn included. It raises what training with ``loss_on`` would.
    """
    _require_local_extra()
    tokenizer = read_tokenizer(Path(checkpoint.base))

    def count(pair: Pair) -> tuple[int, int]:
        encoded = encode_pair(tokenizer, pair.messages, pair.response, loss_on=loss_on)
        return len(encoded.prompt), len(encoded.response)

    return count


def _folder(settings: LocalSettings, cache: Path, root: Path) -> Path:
    name = settings.model
    if name == EMBEDDED_MODEL:
        return _embedded(settings, cache)
    path = _path(name, root)
    if path.is_dir():
        return path
    if path.suffix == ".gguf" and path.is_file():
        folder = place_of(path, cache)
        return folder if is_whole(folder, path.name) else unpack(path, folder, read_gguf(path))
    if _HUB_NAME.fullmatch(name) and not path.exists():
        return _from_hub(name, settings.revision, path)
    raise ModelError(
        f"local.model: {name!r} is neither a folder nor a Hub name; {path} was looked for.",
        hint=_POSSIBLE,
    )


def _path(name: str, root: Path) -> Path:
    try:
        return (root / Path(name).expanduser()).resolve()
    except (RuntimeError, OSError, ValueError) as error:  # no such user; a loop; a null byte
        raise ModelError(
            f"local.model: {name!r} is not a path: {error}.", hint=_POSSIBLE
        ) from error


def _from_hub(name: str, revision: str | None, path: Path) -> Path:
    try:
        return download(name, revision)
    except ModelError as error:
        raise ModelError(
            f"{error.message} There is no folder {path} either.", hint=error.hint
        ) from error


def _embedded(settings: LocalSettings, cache: Path) -> Path:
    gguf = find_gguf()
    if gguf is not None:
        return unpack(gguf, cache / EMBEDDED_MODEL)
    try:
        return download(HUB_NAME, settings.revision)
    except ModelError as error:
        raise ModelError(
            f"The embedded model {EMBEDDED_MODEL} is not installed, and the Hub did not give it"
            f" either: {error.message}",
            hint=INSTALL,
        ) from error


def _require_local_extra() -> None:
    missing = [
        name for name in ("torch", "transformers", "peft") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ExtraMissing(
            f"The local LLM needs {', '.join(missing)}, which this environment lacks.",
            hint="pip install 'llamaduo[local]'",
        )
