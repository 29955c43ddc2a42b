"""Get hold of the local LLM: the embedded model, a folder, or a name on the Hugging Face Hub."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from llamaduo.errors import ExtraMissing, ModelError
from llamaduo.finetuning.gguf_wheel import EMBEDDED_MODEL, HUB_NAME, INSTALL, find_gguf, unpack
from llamaduo.finetuning.hub import download
from llamaduo.finetuning.model_folder import check_model_folder, read_tokenizer
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.records import Checkpoint, Pair
from llamaduo.tasks.chat import encode_pair

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def obtain(settings: LocalSettings, cache: Path) -> Checkpoint:
    """The base model of ``settings``, checked, as a folder with safetensors.

    The embedded model is unpacked once into ``cache``.

    Raises:
        ModelError: it is missing, unsafe (pickle, ``auto_map``) or unsuitable.
        ExtraMissing: torch and transformers are not installed.
    """
    _require_local_extra()
    folder = _folder(settings, cache)
    return Checkpoint(model=settings.model, base=str(folder), window=check_model_folder(folder))


def token_counter(checkpoint: Checkpoint) -> Callable[[Pair], tuple[int, int]]:
    """A function from a pair to its prompt and response tokens in the model's chat template.

    The counts are those of training and inference: default system prompt, role marks and end
    of turn included.
    """
    _require_local_extra()
    tokenizer = read_tokenizer(Path(checkpoint.base))

    def count(pair: Pair) -> tuple[int, int]:
        encoded = encode_pair(tokenizer, pair.messages, pair.response)
        return len(encoded.prompt), len(encoded.response)

    return count


def _folder(settings: LocalSettings, cache: Path) -> Path:
    if settings.model == EMBEDDED_MODEL:
        return _embedded(settings, cache)
    path = Path(settings.model).expanduser()
    if path.is_dir():
        return path.resolve()
    if _HUB_NAME.fullmatch(settings.model) and not path.exists():
        return download(settings.model, settings.revision)
    raise ModelError(
        f"local.model: {settings.model!r} is neither a folder nor a Hub name.",
        hint=f"Give {EMBEDDED_MODEL}, a folder with safetensors, or OWNER/NAME.",
    )


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
        name
        for name in ("torch", "transformers", "peft", "trl")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ExtraMissing(
            f"The local LLM needs {', '.join(missing)}, which this environment lacks.",
            hint="pip install 'llamaduo[local]'",
        )
