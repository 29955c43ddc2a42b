"""GGUF files as such: written whole or not at all, and read back."""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.errors import ExtraMissing, ModelError
from llamaduo.storage.atomic import sync_file, sync_folder

_MAGIC, _VERSIONS, _ALIGNMENT = b"GGUF", (2, 3), 32
_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""The numbers that a key may have, by GGUF's number for their kind."""
_TEXT, _ARRAY = 8, 9
_AGAIN = "Export it again: llamaduo deploy."


def gguf_package() -> Any:
    """The ``gguf`` package, which knows the format.

    Raises:
        ExtraMissing: it is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise ExtraMissing(
            f"GGUF files need {error.name}, which is not installed.",
            hint="pip install 'llamaduo[gguf]'",
        ) from error
    return gguf


@contextmanager
def partial_file(into: Path) -> Iterator[Path]:
    """A path beside ``into`` to write to; at the end it is moved there, or goes.

    A process that is killed leaves the file beside, which the next one replaces.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    partial = into.with_name(f".{into.name}.partial")
    try:
        yield partial
        sync_file(partial)
        partial.chmod(0o644)
        partial.replace(into)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(into.parent)


@dataclass(frozen=True, slots=True)
class GgufHead:
    """What a GGUF file says of itself: its texts by key, and how many tensors it holds."""

    texts: dict[str, str]
    tensors: int


def read_head(path: Path) -> GgufHead:
    """The head of a whole GGUF file. The ``gguf`` package's own reader takes seconds over a
    vocabulary, as it makes an array of every token.

    Raises:
        ModelError: the file is missing, cut short, or no GGUF.
        ExtraMissing: the ``gguf`` package is not installed.
    """
    sizes = gguf_package().GGML_QUANT_SIZES
    if not path.is_file():
        raise ModelError(f"{path} is missing.", hint=_AGAIN)
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ModelError(f"{path} is not a GGUF file.", hint=_AGAIN)
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return _head(_Cursor(view), sizes)
    except (struct.error, ValueError, KeyError, RecursionError) as error:
        raise ModelError(
            f"{path} is a damaged GGUF file, perhaps cut short ({len(view):,} bytes): {error}.",
            hint=_AGAIN,
        ) from error


class _Cursor:
    """Reads little-endian values one after the other."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.data, self.at = data, len(_MAGIC)

    def number(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self) -> str:
        return self.skip(self.number("Q")).decode()

    def skip(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise ValueError("it ends in the middle")
        begin, self.at = self.at, self.at + size
        return self.data[begin : self.at]


def _head(cursor: _Cursor, sizes: Mapping[Any, tuple[int, int]]) -> GgufHead:
    version, tensors, keys = cursor.number("I"), cursor.number("Q"), cursor.number("Q")
    if version not in _VERSIONS:
        raise ValueError(f"its version is {version}")
    texts, alignment = {}, _ALIGNMENT
    for _ in range(keys):
        key, kind = cursor.text(), cursor.number("I")
        value = _value(cursor, kind)
        if kind == _TEXT:
            texts[key] = value
        elif key == "general.alignment":
            alignment = value
    ends = [_tensor_end(cursor, sizes) for _ in range(tensors)]
    begin = -(-cursor.at // alignment) * alignment
    if begin + max(ends, default=0) > len(cursor.data):
        raise ValueError("its last tensor is not all there")
    return GgufHead(texts, tensors)


def _value(cursor: _Cursor, kind: int) -> Any:
    """The value of a key; None for an array, which is passed over."""
    if kind == _TEXT:
        return cursor.text()
    if kind != _ARRAY:
        return cursor.number(_FORMS[kind])
    inner, count = cursor.number("I"), cursor.number("Q")
    if inner in _FORMS:
        cursor.skip(struct.calcsize(_FORMS[inner]) * count)
        return None
    for _ in range(count):
        if inner == _TEXT:
            cursor.skip(cursor.number("Q"))
        else:
            _value(cursor, inner)
    return None


def _tensor_end(cursor: _Cursor, sizes: Mapping[Any, tuple[int, int]]) -> int:
    """Where a tensor's data end, counted from where the first begin."""
    cursor.text()
    values = math.prod(cursor.number("Q") for _ in range(cursor.number("I")))
    block, size = {int(kind): found for kind, found in sizes.items()}[cursor.number("I")]
    end: int = cursor.number("Q") + values // block * size
    return end
