"""Records as JSON and JSON Lines that a person can read."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from llamaduo.errors import RunError
from llamaduo.storage.atomic import write_atomic

Record = TypeVar("Record")


_build = cache(TypeAdapter[Any])


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Building an adapter costs milliseconds: once for each kind of record."""
    return _build(kind)


def dump_record(record: object) -> str:
    """One record as one line of JSON, without the line end."""
    return _adapter(type(record)).dump_json(record).decode()


def write_records(path: Path, records: Iterable[object]) -> None:
    """Write all records, or none of them."""
    write_atomic(path, "".join(dump_record(record) + "\n" for record in records))


def append_records(path: Path, records: Iterable[object]) -> None:
    """Append records durably. A crash can leave a torn last line: :func:`read_records` with
    ``torn_tail`` reads around it, and the next append starts on a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(dump_record(record) + "\n" for record in records)
    with path.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                text = "\n" + text
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def read_records(path: Path, kind: type[Record], *, torn_tail: bool = False) -> tuple[Record, ...]:
    """Read every record of ``path``.

    ``torn_tail`` skips lines that a crash cut short while they were appended.

    Raises:
        RunError: a line is not a record of this kind; the message names file and line.
    """
    with _uncollected():
        return tuple(_lines(path, kind, torn_tail))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Records hold no cycles. Looking through all of them again and again for some takes half
    the time of reading 300,000."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _lines(path: Path, kind: type[Record], torn_tail: bool) -> Iterator[Record]:
    adapter = _adapter(kind)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise RunError(
            f"{path} is missing.", hint="Restore it, or start a new run with --name."
        ) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield adapter.validate_json(line)
        except ValidationError as error:
            if torn_tail and not _is_json(line):
                continue
            reason = error.errors()[0]["msg"]
            raise RunError(
                f"{path}, line {number}: not a {kind.__name__}: {reason}.",
                hint="The file was changed or damaged; restore it, or start a new run with --name.",
            ) from error


def _is_json(line: bytes) -> bool:
    import json

    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def write_record(path: Path, record: object) -> None:
    """Write one record as indented JSON."""
    write_atomic(path, _adapter(type(record)).dump_json(record, indent=2) + b"\n")


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read one record of ``kind``.

    Raises:
        RunError: the file is missing or is not such a record.
    """
    try:
        return _adapter(kind).validate_json(path.read_bytes())  # type: ignore[no-any-return]
    except FileNotFoundError as error:
        raise RunError(
            f"{path} is missing.", hint="Restore it, or start a new run with --name."
        ) from error
    except ValidationError as error:
        raise RunError(
            f"{path} is not a {kind.__name__}: {error.errors()[0]['msg']}.",
            hint="The file was changed or damaged; restore it, or start a new run with --name.",
        ) from error
