"""A GGUF file as the base model: read as what it says, or refused.

transformers turns the weights of a Llama back into floats. What it does not take from the file is
how the tokenizer splits text, of which GGUF has only a name: that is put in here, and a name that
is not known here is refused, as its tokens would be others than the model knows, silently.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from llamaduo.errors import ExtraMissing, ModelError

_ENDS = 1 << 20
_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
KNOWN = ("gpt-2", "smollm", "llama-bpe", "smaug-bpe")
"""Ways of splitting text, by llama.cpp's names, that are put in here."""
_IGNORES_MERGES = "llama-bpe"
_ORIGINAL = "Give the model that it was made from, as a folder with safetensors or OWNER/NAME."


@dataclass(frozen=True, slots=True)
class GgufHead:
    """What a file says of its model: as far as it is needed to take it out."""

    splitting: str
    window: int


def read_gguf(path: Path) -> GgufHead:
    """What ``path`` holds.

    Raises:
        ModelError: it is damaged, or holds a model that would not be taken out exactly.
        ExtraMissing: the ``gguf`` package is not installed.
    """
    fields, tensors = _read(path)
    kind = fields.get("general.architecture")
    if kind != "llama":
        _refuse(path, f"it is a {kind or 'model of a kind that it does not name'}, not a Llama")
    if int(fields.get("split.count") or 1) > 1:
        _refuse(path, "it is one of several parts")
    if "rope_freqs.weight" in tensors:
        _refuse(path, "its positions are scaled (rope_freqs), which transformers does not read")
    if "tokenizer.chat_template" not in fields:
        _refuse(path, "it has no chat template")
    splitting, tokens = str(fields.get("tokenizer.ggml.pre")), fields.get("tokenizer.ggml.model")
    if tokens != "gpt2" or splitting not in KNOWN:
        _refuse(path, f"its tokenizer ({tokens}, {splitting}) is none of {', '.join(KNOWN)}")
    window = fields.get("llama.context_length")
    if not isinstance(window, int):
        _refuse(path, "it does not say how many tokens the model can attend to")
    return GgufHead(splitting, window)


def place_of(path: Path, cache: Path) -> Path:
    """The folder in ``cache`` for the model of ``path``, by the file's size and ends."""
    digest, size = hashlib.sha256(), path.stat().st_size
    digest.update(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_ENDS))
        file.seek(max(0, size - _ENDS))
        digest.update(file.read(_ENDS))
    return cache / f"gguf-{digest.hexdigest()[:16]}"


def split_as(tokenizer: Any, splitting: str) -> None:
    """Have ``tokenizer`` split text in the way that llama.cpp calls ``splitting``."""
    from tokenizers import Regex, pre_tokenizers

    def byte_level(use_regex: bool = True) -> Any:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)

    if splitting == "gpt-2":
        found = byte_level()
    elif splitting == "smollm":
        # SmolLM2 splits off every digit before anything else: without it, spaces before numbers
        # come out as other tokens.
        found = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), byte_level()]
        )
    else:
        split = pre_tokenizers.Split(Regex(_LLAMA3_SPLIT), "isolated")
        found = pre_tokenizers.Sequence([split, byte_level(use_regex=False)])
    tokenizer.backend_tokenizer.pre_tokenizer = found
    tokenizer.backend_tokenizer.model.ignore_merges = splitting == _IGNORES_MERGES


def _read(path: Path) -> tuple[dict[str, Any], set[str]]:
    """The values of the keys that are not arrays, and the names of the tensors."""
    try:
        import gguf
    except ImportError as error:
        raise ExtraMissing(
            "A GGUF file as the base model needs gguf, which is not installed.",
            hint="pip install 'llamaduo[local]'",
        ) from error
    try:
        reader = gguf.GGUFReader(path)
        array = gguf.GGUFValueType.ARRAY
        fields = {
            name: field.contents()
            for name, field in reader.fields.items()
            if field.types and field.types[0] != array
        }
        return fields, {tensor.name for tensor in reader.tensors}
    except (ValueError, IndexError, KeyError, OverflowError, OSError) as error:
        raise ModelError(
            f"{path} is not a whole GGUF file ({path.stat().st_size:,} bytes): {error}.",
            hint="Copy the file again.",
        ) from error


def _refuse(path: Path, reason: str) -> NoReturn:
    raise ModelError(
        f"{path} cannot be the base model: {reason}. Only what is sure to come out as the model"
        " that it was is taken out of a GGUF file.",
        hint=_ORIGINAL,
    )
