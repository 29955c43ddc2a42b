"""What a fine-tuning leaves on disk: whole or not there, with ``checkpoint.json`` written last.

It is a LoRA adapter, or a model folder that needs no base where all weights were trained.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llamaduo.errors import ModelError, RunError
from llamaduo.records import Checkpoint
from llamaduo.storage.atomic import sha256_of, sync_file, sync_folder
from llamaduo.storage.jsonl import read_record, write_record

CARD = "checkpoint.json"
WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_LIBRARIES = ("torch", "transformers", "peft")
_BESIDE = frozenset(
    (
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
        "vocab.json",
        "merges.txt",
        "generation_config.json",
        "README.md",  # says under which licence it is
    )
)
"""What a model folder has besides configuration and weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterCard:
    """What an adapter says about itself: the model it belongs to, and how it came about.

    ``fingerprint`` is the base model's; adapters saved before it was taken have none. A
    ``lora_rank`` of 0 says that all weights were trained: the folder is a model.
    """

    model: str
    cycle: int
    lora_rank: int
    lora_alpha: int
    seed: int
    weights_sha256: str
    versions: dict[str, str]
    fingerprint: str = ""
    weights: tuple[str, ...] = (WEIGHTS,)


def save_adapter(
    model: Any, into: Path, *, base: Checkpoint, cycle: int, seed: int, onto: Path | None = None
) -> AdapterCard:
    """Write the adapter of a PEFT ``model`` of ``base`` into ``into``, replacing what is there.

    ``onto`` is the adapter that was merged into the weights it was trained on: both are written
    as one, for ``base`` alone.
    """
    with _replacing(into) as temporary:
        lora = model.peft_config["default"]
        # The name, not the path that it has on this machine.
        lora.base_model_name_or_path = base.model
        model.save_pretrained(temporary, safe_serialization=True, save_embedding_layers=False)
        (temporary / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        if onto is not None:
            from llamaduo.finetuning.joining import join

            join(onto, temporary)
        written = json.loads((temporary / _CONFIG).read_bytes())
        card = _card(base, cycle, seed, temporary, (WEIGHTS,), written["r"], written["lora_alpha"])
        write_record(temporary / CARD, card)
    return card


def save_whole(model: Any, into: Path, *, base: Checkpoint, cycle: int, seed: int) -> AdapterCard:
    """Write all weights of ``model`` into ``into``, with what else the folder of ``base`` has:
    a model folder that needs nothing else. They are rounded to what ``base`` keeps them in."""
    with _replacing(into) as temporary:
        _rounded(model, Path(base.base)).save_pretrained(temporary)
        forget_place(temporary / "config.json")
        weights = tuple(sorted(path.name for path in temporary.glob("*.safetensors")))
        for path in Path(base.base).iterdir():
            if path.name in _BESIDE and not (temporary / path.name).exists():
                shutil.copyfile(path, temporary / path.name)
        card = _card(base, cycle, seed, temporary, weights, 0, 0)
        write_record(temporary / CARD, card)
    return card


def checkpoint_in(folder: Path, start: Checkpoint, cycle: int) -> Checkpoint:
    """The checkpoint that fine-tuning ``start`` left in ``folder``.

    Raises:
        ModelError: there is none.
    """
    if _read_card(folder).lora_rank:
        return replace(start, adapter=str(folder), cycle=cycle)
    from llamaduo.finetuning.models.fingerprint import fingerprint_of

    return replace(
        start, base=str(folder), adapter=None, cycle=cycle, fingerprint=fingerprint_of(folder)
    )


def forget_place(config: Path) -> None:
    """Take out of a model's configuration where it lay on this machine."""
    content = json.loads(config.read_bytes())
    content.pop("_name_or_path", None)
    config.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _rounded(model: Any, base: Path) -> Any:
    import torch

    config = json.loads((base / "config.json").read_bytes())
    kept_in = config.get("dtype", config.get("torch_dtype"))
    return model.to(getattr(torch, kept_in)) if kept_in in {"bfloat16", "float16"} else model


@contextmanager
def _replacing(into: Path) -> Iterator[Path]:
    """An empty folder that takes the place of ``into`` when the block has written it."""
    temporary = into.with_name(f".{into.name}.writing")
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    temporary.mkdir(parents=True)
    try:
        yield temporary
        _sync_files(temporary)
        shutil.rmtree(into, ignore_errors=True)
        temporary.rename(into)
        sync_folder(into.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _card(
    base: Checkpoint,
    cycle: int,
    seed: int,
    folder: Path,
    weights: tuple[str, ...],
    rank: int,
    alpha: int,
) -> AdapterCard:
    return AdapterCard(
        model=base.model,
        cycle=cycle,
        lora_rank=rank,
        lora_alpha=alpha,
        seed=seed,
        weights_sha256=_digest(folder, weights),
        versions={name: version(name) for name in _LIBRARIES},
        fingerprint=base.fingerprint,
        weights=weights,
    )


def _digest(folder: Path, weights: tuple[str, ...]) -> str:
    """Of the one file, or of the digests of several."""
    digests = [sha256_of(folder / name) for name in weights]
    return digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()


def check_adapter(folder: Path) -> AdapterCard:
    """The card of a whole adapter, or of all of a model that was trained without one.

    Raises:
        ModelError: the card or the weights are missing, or the weights were changed.
    """
    card = _read_card(folder)
    try:
        whole = _digest(folder, card.weights) == card.weights_sha256
    except FileNotFoundError as error:
        raise _unfinished(folder, error) from error
    if not whole:
        raise ModelError(
            f"{folder / card.weights[0]} is not what {CARD} says was saved: it was changed or"
            " damaged.",
            hint="Restore it, or fine-tune again: llamaduo run writes it anew.",
        )
    return card


def _read_card(folder: Path) -> AdapterCard:
    try:
        return read_record(folder / CARD, AdapterCard)
    except RunError as error:
        raise _unfinished(folder, error) from error


def _unfinished(folder: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{folder} is not a finished LoRA adapter: {error}",
        hint="Fine-tune again: llamaduo run writes it anew.",
    )


def _sync_files(folder: Path) -> None:
    for file in folder.iterdir():
        sync_file(file)
        file.chmod(0o644)
