"""Readers of columnar data: Parquet, folders that ``datasets`` saved, and the Hub.

Their packages are optional and imported here only when such data is read. Places count rows
from 1, as lines do elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaduo.coverage.rows import Row
from llamaduo.errors import DataError, ExtraMissing

if TYPE_CHECKING:
    from datasets import Dataset

HUB = "hf:"


def read_parquet(path: Path, label: str) -> Iterator[Row]:
    """The rows of one Parquet file."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ExtraMissing(
            f"{label}: reading Parquet needs pyarrow.", hint="pip install 'llamaduo[parquet]'"
        ) from error
    try:
        with ParquetFile(path) as file:
            table = file.read()
    except (ArrowException, OSError) as error:
        raise DataError(
            f"{label}: not a Parquet file: {_first_line(error)}.", hint="Write or copy it again."
        ) from error
    return _numbered([table], label)


def read_saved_folder(path: Path, label: str) -> Iterator[Row]:
    """The rows of a folder written by ``Dataset.save_to_disk``."""
    if (path / "dataset_dict.json").is_file():
        splits = sorted(folder.name for folder in path.iterdir() if folder.is_dir())
        raise DataError(
            f"{label} holds several splits: {', '.join(splits)}.",
            hint=f"Name those to import, as in {label.rstrip('/')}/{(splits or ['train'])[0]}",
        )
    if not (path / "state.json").is_file():
        raise DataError(
            f"{label} is a folder, but not one that datasets saved.",
            hint="Name the files in it, or save it with Dataset.save_to_disk.",
        )
    _need_datasets(label)
    from datasets import load_from_disk
    from pyarrow import ArrowException

    try:
        dataset = load_from_disk(str(path))
    except (ArrowException, OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{label}: datasets cannot load it: {_first_line(error)}.", hint="Save it again."
        ) from error
    return _rows_of(dataset, label)


def read_hub(name: str) -> Iterator[Row]:
    """The rows of ``hf:OWNER/NAME`` or ``hf:OWNER/NAME#SPLIT``; the split is train by default."""
    _need_datasets(name)
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    repository, _, split = name.removeprefix(HUB).partition("#")
    try:
        dataset = load_dataset(repository, split=split or "train")
    except (DatasetsError, OSError, ValueError) as error:
        raise DataError(
            f"{name}: cannot be loaded from the Hub: {_first_line(error)}.",
            hint="Check the name (hf:OWNER/NAME, or hf:OWNER/NAME#SPLIT) and the network,"
            " or download the data and name the file.",
        ) from error
    return _rows_of(dataset, name)


def _need_datasets(label: str) -> None:
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        raise ExtraMissing(
            f"{label}: reading it needs the datasets package.",
            hint="pip install 'llamaduo[local]'",
        ) from error


def _rows_of(dataset: Dataset, label: str) -> Iterator[Row]:
    # As Arrow tables: rows of Python objects would decode images, which needs yet more packages.
    return _numbered(dataset.with_format("arrow").iter(batch_size=1000), label)


def _numbered(tables: Iterable[Any], label: str) -> Iterator[Row]:
    rows = (fields for table in tables for fields in table.to_pylist())
    return (Row(f"{label}:{number}", fields) for number, fields in enumerate(rows, start=1))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
