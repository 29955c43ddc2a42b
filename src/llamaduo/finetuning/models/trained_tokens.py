"""The tokens of a base model that were given to it here, and so must be trained with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llamaduo.storage.jsonl import read_record, write_record

FILE = "trained_tokens.json"


@dataclass(frozen=True, slots=True)
class TrainedTokens:
    """The ids whose rows in the embeddings every adapter of this model trains."""

    ids: tuple[int, ...]


def write_trained_tokens(folder: Path, ids: tuple[int, ...]) -> None:
    """Say that the model in ``folder`` knows nothing yet about the tokens ``ids``."""
    write_record(folder / FILE, TrainedTokens(ids))


def trained_tokens(folder: Path) -> tuple[int, ...]:
    """What :func:`write_trained_tokens` said about ``folder``; none for most models."""
    path = folder / FILE
    return read_record(path, TrainedTokens).ids if path.is_file() else ()
