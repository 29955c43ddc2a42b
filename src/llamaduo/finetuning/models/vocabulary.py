"""Whether tokenizer and weights of a model speak of the same tokens. Reads headers only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llamaduo.errors import ModelError


def rows_in(folder: Path) -> int:
    """How many tokens the model in ``folder`` has an embedding for, as its configuration says."""
    config = json.loads((folder / "config.json").read_bytes())
    inner = config.get("text_config")
    rows = (inner if isinstance(inner, dict) else config).get("vocab_size")
    if not isinstance(rows, int):
        from transformers import AutoConfig

        rows = (
            AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config().vocab_size
        )
    return int(rows)


def check_vocabulary(folder: Path, tokenizer: Any) -> None:
    """Check that the model has a row for every token that ``tokenizer`` can give.

    More rows than tokens are common: sizes are rounded up.

    Raises:
        ModelError: the tokenizer is another model's, or tokens were added to it alone.
    """
    highest, rows = max(tokenizer.get_vocab().values()), rows_in(folder)
    if highest >= rows:
        raise ModelError(
            f"{folder}: the tokenizer and the model disagree: tokens are numbered up to"
            f" {highest:,}, and the model has rows for {rows:,}.",
            hint="Copy tokenizer.json, tokenizer_config.json and the weights from one revision of"
            " the model; tokens added to a tokenizer need a row in the weights as well.",
        )
    if (stored := _stored_rows(folder)) is not None and stored != rows:
        raise ModelError(
            f"{folder}: the weights have {stored:,} rows of embeddings, config.json says"
            f" {rows:,} (vocab_size).",
            hint="Copy config.json and the weights from one revision of the model.",
        )


def _stored_rows(folder: Path) -> int | None:
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - no dict
                if name.endswith("embed_tokens.weight"):
                    return int(file.get_slice(name).get_shape()[0])
    return None
