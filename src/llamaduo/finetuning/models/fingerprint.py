"""Whether two model folders hold the same model, without reading gigabytes of weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

_WHOLE = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_ENDS = 1 << 20


def fingerprint_of(folder: Path) -> str:
    """A sha256 over what tells the model in ``folder`` from another, as 64 hex digits.

    It covers the name, size, first and last MiB of every safetensors file, and all of the
    configuration, tokenizer and chat template. A change in the middle of the weights goes
    unseen: it tells models and revisions apart, and does not prove that no byte was changed.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name in _WHOLE:
            _add(digest, path, path.read_bytes())
        elif path.suffix == ".safetensors":
            _add(digest, path, _ends(path))
    return digest.hexdigest()


def _add(digest: hashlib._Hash, path: Path, content: bytes) -> None:
    # Name and size go first, so the end of one file is never the beginning of the next.
    digest.update(f"{path.name}\n{path.stat().st_size}\n{len(content)}\n".encode())
    digest.update(content)


def _ends(path: Path) -> bytes:
    """The first and the last MiB, which overlap in a file of less than two."""
    with path.open("rb") as file:
        first = file.read(_ENDS)
        file.seek(max(0, path.stat().st_size - _ENDS))
        return first + file.read()
