"""Whether a folder holds a model that is safe to load and fit to be fine-tuned.

Safe means: weights as safetensors, which hold numbers only, and no ``auto_map``, which would
have transformers run the model's own Python code. Nothing is loaded before that is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from llamaduo.errors import ModelError
from llamaduo.finetuning.models.vocabulary import check_vocabulary

PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_INDEX = "model.safetensors.index.json"


def check_model_folder(folder: Path, *, needs_template: bool = True) -> int:
    """Check ``folder`` and return its window: the tokens that the model can attend to.

    A base model may lack a chat template, until :mod:`~llamaduo.finetuning.models.prepared` gave
    it one.

    Raises:
        ModelError: naming the file that is missing, unsafe or unreadable, and the next step.
    """
    window = check_files(folder)
    check_usable(folder, needs_template=needs_template)
    return window


def check_files(folder: Path) -> int:
    """The part of :func:`check_model_folder` that does without transformers, which takes
    seconds to import: that the files are there, whole and safe. Returns the window."""
    window = _window(_config(folder), folder)
    _refuse_code(folder)
    _require_safetensors(folder)
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise ModelError(
            f"{folder} has no tokenizer: neither tokenizer.json nor tokenizer_config.json.",
            hint="Copy the tokenizer's files from the model's page into the folder.",
        )
    return window


def check_usable(folder: Path, *, needs_template: bool) -> None:
    """The rest of it: that transformers can build the model, and that prompts can be rendered."""
    _require_architecture(folder)
    _require_tokenizer(folder, needs_template)


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checked folder.

    Raises:
        ModelError: it cannot be read.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise ModelError(
            f"{folder}: the tokenizer cannot be read: {error}",
            hint="Copy tokenizer.json and tokenizer_config.json from the model's page again.",
        ) from error
    tokenizer.model_max_length = 2**31  # the window is ours to check; it would only print
    return tokenizer


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(
            f"{folder} has no config.json, so it is not a model folder.",
            hint="Give the folder that save_pretrained wrote, or a Hub name as OWNER/NAME.",
        )
    config = _read_json(path)
    if not isinstance(config, dict):
        raise ModelError(f"{path} is not a JSON object.", hint="Copy the file again.")
    return config


def _refuse_code(folder: Path) -> None:
    for path in sorted(folder.glob("*config.json")):
        if "auto_map" in _keys(_read_json(path)):
            raise ModelError(
                f"{path} has an auto_map: the model would run Python code of its own.",
                hint="Use a model of an architecture that transformers ships; llamaduo never"
                " runs a model's code.",
            )


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def _require_architecture(folder: Path) -> None:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise ModelError(
            f"{folder / 'config.json'} describes no model that transformers can build: {error}",
            hint="Use a model of an architecture that the installed transformers knows.",
        ) from error


def _require_safetensors(folder: Path) -> None:
    index, whole = folder / _INDEX, folder / "model.safetensors"
    if not index.is_file() and not whole.is_file():
        _refuse_without_safetensors(folder)
    if index.is_file():
        _check_shards(index)
    if whole.is_file():  # beside an index, transformers prefers it
        _check_header(whole)


def _refuse_without_safetensors(folder: Path) -> NoReturn:
    pickles = sorted(path for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelError(
            f"{pickles[0]} holds the weights as a pickle, which can run code when loaded.",
            hint="Use a revision of the model that has model.safetensors.",
        )
    raise ModelError(
        f"{folder} has no model.safetensors.",
        hint="Copy the weights into it, as model.safetensors or as shards with their index.",
    )


def _check_shards(index: Path) -> None:
    content = _read_json(index)
    shards = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(shards, dict) or not shards:
        raise ModelError(f"{index} names no shards.", hint="Copy the file again.")
    for name in sorted({str(shard) for shard in shards.values()}):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(
                f"{index} names {name}, which is not a safetensors file in the same folder.",
                hint="Use a revision of the model that has safetensors only.",
            )
        if not (index.parent / name).is_file():
            raise ModelError(f"{index.parent / name} is missing.", hint="Copy the shard again.")
        _check_header(index.parent / name)


def _check_header(weights: Path) -> None:
    """Check that the header can be read, names tensors, and that the file holds all of them."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as file:
            tensors = len(file.keys())
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{weights} is not a whole safetensors file: {error}.",
            hint="Copy the file again from the model's page.",
        ) from error
    if not tensors:
        raise ModelError(f"{weights} holds no weights.", hint="Copy the file again.")


def _require_tokenizer(folder: Path, needs_template: bool) -> None:
    tokenizer = read_tokenizer(folder)
    if not tokenizer.eos_token:
        raise ModelError(
            f"{folder}: the tokenizer has no eos_token, so responses would never end.",
            hint="Name the token that ends a turn as eos_token in tokenizer_config.json.",
        )
    check_vocabulary(folder, tokenizer)
    if needs_template and not tokenizer.chat_template:
        raise ModelError(
            f"{folder}: the tokenizer has no chat template, so prompts cannot be rendered.",
            hint="Use the instruct or chat variant of the model, or add chat_template.jinja.",
        )


def _window(config: dict[str, Any], folder: Path) -> int:
    inner = config.get("text_config")
    text = inner if isinstance(inner, dict) else config
    window = text.get("max_position_embeddings")
    if not isinstance(window, int) or window < 1:
        raise ModelError(
            f"{folder / 'config.json'} does not say how many tokens the model can attend to"
            " (max_position_embeddings).",
            hint="Use a decoder-only model of the Llama kind, or add the number to the file.",
        )
    return window


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.", hint="Copy the file again.") from error
