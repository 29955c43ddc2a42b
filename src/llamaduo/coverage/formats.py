"""Readers, one per file format: a configured name in, rows out.

A reader knows nothing of prompts and responses. It stops at the first thing that is not its
format, because a damaged file should be mended rather than half imported.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from llamaduo.coverage.columnar import HUB, read_hub, read_parquet, read_saved_folder
from llamaduo.coverage.rows import Row
from llamaduo.errors import DataError

_DELIMITERS = ",;\t"
_JSON_HINT = "Each line holds one JSON object; mend or delete this one."


def read_rows(name: str, root: Path) -> Iterator[Row]:
    """The rows of one entry of ``coverage.data``; ``root`` is what relative paths start from.

    Raises:
        DataError: missing, empty, of an unknown format, or damaged; the place is named.
        ExtraMissing: the format needs a package that is not installed.
    """
    row = None
    for row in _open(name, root):
        yield row
    if row is None:
        raise DataError(
            f"{_label(name)} is empty: it has no rows.",
            hint="Give a file with one pair a row, or leave it out.",
        )


def _open(name: str, root: Path) -> Iterator[Row]:
    if name.startswith(HUB):
        return read_hub(name)
    path, label = root / name, _label(name)
    if not path.exists():
        raise DataError(
            f"{label} does not exist.",
            hint=f"Relative paths start from {root.resolve()}; Hub names start with {HUB}",
        )
    if path.is_dir():
        return read_saved_folder(path, label)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{label}: {path.suffix or 'a name without an ending'} is not a known format.",
            hint=f"Known endings: {', '.join(_READERS)}.",
        )
    return reader(path, label)


def _label(name: str) -> str:
    """The name as configured, which a report may show; never where the machine keeps it."""
    return Path(name).name if Path(name).is_absolute() else name


def _read_text(path: Path, label: str) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{label} cannot be read: {error.strerror}.", hint="Check the file's permissions."
        ) from error
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{label} is UTF-16, not UTF-8.", hint="Save it again as UTF-8.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{label}:{line}: not UTF-8 (byte 0x{raw[error.start]:02x}).",
            hint="Save it again as UTF-8.",
        ) from error


# --- JSON ---------------------------------------------------------------------------------


def read_json(path: Path, label: str) -> Iterator[Row]:
    """JSON Lines, or one JSON array of objects: the first character tells them apart."""
    text = _read_text(path, label)
    array = text.lstrip().startswith("[")
    yield from _array(text, label) if array else _lines(text, label)


def _lines(text: str, label: str) -> Iterator[Row]:
    # Not splitlines(): JSON may hold U+2028 and its like unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _row(_parse(line, f"{label}:{number}"), f"{label}:{number}")


def _parse(line: str, place: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{place}: not JSON: {error.msg} at column {error.colno}.", hint=_JSON_HINT
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not readable as JSON: {error}.", hint=_JSON_HINT) from error


def _row(value: Any, place: str) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{place}: not a JSON object.", hint=_JSON_HINT)
    return Row(place, value)


def _array(text: str, label: str) -> Iterator[Row]:
    try:
        values = list(_elements(text))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{label}:{error.lineno}: not JSON: {error.msg} at column {error.colno}.",
            hint="The file opens with [ and is read as one JSON array; mend it there.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{label}: not readable as JSON: {error}.", hint=_JSON_HINT) from error
    line, counted = 1, 0
    for start, value in values:
        line, counted = line + text.count("\n", counted, start), start
        yield _row(value, f"{label}:{line}")


def _elements(text: str) -> Iterator[tuple[int, Any]]:
    """Each element of a JSON array with its offset, which the whole-file parser hides."""
    decoder = json.JSONDecoder()
    position, closed = _skip(text, text.index("[") + 1), False
    if text[position : position + 1] == "]":
        position, closed = position + 1, True
    while not closed:
        value, end = decoder.raw_decode(text, position)
        yield position, value
        end = _skip(text, end)
        if text[end : end + 1] not in {",", "]"}:
            raise json.JSONDecodeError("Expecting ',' or ']'", text, end)
        closed, position = text[end] == "]", _skip(text, end + 1)
    if text[position:].strip():
        raise json.JSONDecodeError("Text after the array", text, position)


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in {" ", "\t", "\r", "\n"}:
        position += 1
    return position


# --- CSV ----------------------------------------------------------------------------------


_LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit is 131,072


def read_csv(path: Path, label: str) -> Iterator[Row]:
    """CSV with a header line; commas, semicolons or tabs, whichever the header has most of."""
    csv.field_size_limit(_LONGEST_FIELD)
    text = _read_text(path, label)
    header = text.split("\n", 1)[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=header.count), strict=True
    )
    names: list[str] | None = None
    for line, cells in _records(reader, label):
        if names is None:
            names = _header(cells, f"{label}:{line}")
        elif len(cells) != len(names):
            raise DataError(
                f"{label}:{line}: {len(cells)} cells under {len(names)} column names.",
                hint='Put "double quotes" around text that holds the delimiter or a line break.',
            )
        else:
            yield Row(f"{label}:{line}", dict(zip(names, cells, strict=True)))


def _header(cells: list[str], place: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(set(names)) < len(names):
        raise DataError(
            f"{place}: a column name appears twice.", hint="Each column needs a name of its own."
        )
    return names


def _records(reader: Any, label: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the line that it starts on."""
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{label}:{line}: not CSV: {error}.",
            hint="Mend the quotes there, or give the data as JSON Lines.",
        ) from error


_READERS: dict[str, Callable[[Path, str], Iterator[Row]]] = {
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
}
