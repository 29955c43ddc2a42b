"""A LoRA adapter on disk: whole or not there, with ``checkpoint.json`` written last."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llamaduo.errors import ModelError, RunError
from llamaduo.records import Checkpoint
from llamaduo.storage.atomic import sha256_of, sync_file, sync_folder
from llamaduo.storage.jsonl import read_record, write_record

CARD = "checkpoint.json"
WEIGHTS = "adapter_model.safetensors"
_LIBRARIES = ("torch", "transformers", "peft", "trl")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterCard:
    """What an adapter says about itself: the model it belongs to, and how it came about.

    ``fingerprint`` is the base model's; adapters saved before it was taken have none.
    """

    model: str
    cycle: int
    lora_rank: int
    lora_alpha: int
    seed: int
    weights_sha256: str
    versions: dict[str, str]
    fingerprint: str = ""


def save_adapter(model: Any, into: Path, *, base: Checkpoint, cycle: int, seed: int) -> AdapterCard:
    """Write the adapter of a PEFT ``model`` of ``base`` into ``into``, replacing what is there."""
    temporary = into.with_name(f".{into.name}.writing")
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    temporary.mkdir(parents=True)
    try:
        lora = model.peft_config["default"]
        lora.base_model_name_or_path = (
            base.model
        )  # the name, not the path that it has on this machine
        model.save_pretrained(temporary, safe_serialization=True, save_embedding_layers=False)
        (temporary / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        _sync_files(temporary)
        card = AdapterCard(
            model=base.model,
            cycle=cycle,
            lora_rank=lora.r,
            lora_alpha=lora.lora_alpha,
            seed=seed,
            weights_sha256=sha256_of(temporary / WEIGHTS),
            versions={name: version(name) for name in _LIBRARIES},
            fingerprint=base.fingerprint,
        )
        write_record(temporary / CARD, card)
        shutil.rmtree(into, ignore_errors=True)
        temporary.rename(into)
        sync_folder(into.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return card


def check_adapter(folder: Path) -> AdapterCard:
    """The card of a whole adapter.

    Raises:
        ModelError: the card or the weights are missing, or the weights were changed.
    """
    try:
        card = read_record(folder / CARD, AdapterCard)
        whole = sha256_of(folder / WEIGHTS) == card.weights_sha256
    except (RunError, FileNotFoundError) as error:
        raise ModelError(
            f"{folder} is not a finished LoRA adapter: {error}",
            hint="Fine-tune again: llamaduo run writes it anew.",
        ) from error
    if not whole:
        raise ModelError(
            f"{folder / WEIGHTS} is not what {CARD} says was saved: it was changed or damaged.",
            hint="Restore it, or fine-tune again: llamaduo run writes it anew.",
        )
    return card


def _sync_files(folder: Path) -> None:
    for file in folder.iterdir():
        sync_file(file)
        file.chmod(0o644)
