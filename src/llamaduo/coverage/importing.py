"""Coverage data as people have it, as a coverage dataset (Section 3.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llamaduo.coverage.formats import read_rows
from llamaduo.coverage.rows import RefusedError, read_pair
from llamaduo.coverage.settings import CoverageSettings
from llamaduo.errors import DataError
from llamaduo.records import CoverageDataset, Pair, Refused
from llamaduo.tasks.settings import TaskSettings


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import read: ``read`` rows are the pairs, the duplicates and the refused."""

    dataset: CoverageDataset
    read: int
    duplicates: int
    refused: tuple[Refused, ...]


def import_pairs(settings: CoverageSettings, task: TaskSettings, root: Path) -> Imported:
    """Read everything that ``coverage.data`` names; relative paths start from ``root``.

    The first of several equal pairs is kept. A row's own ``reference_source`` and
    ``json_schema`` win over the configured ones.

    Raises:
        DataError: data that is missing, damaged or of an unknown shape, with its place; or
            every row was refused, with the reasons counted.
        ExtraMissing: a format needs a package that is not installed.
    """
    pairs: dict[str, Pair] = {}
    refused: list[Refused] = []
    read = 0
    for name in settings.data:
        for row in read_rows(name, root):
            read += 1
            try:
                pair = read_pair(row, settings, task)
            except RefusedError as error:
                refused.append(Refused(row.place, str(error)))
            else:
                pairs.setdefault(pair.id, pair)
    if not pairs:
        raise _nothing_left(refused)
    duplicates = read - len(refused) - len(pairs)
    return Imported(CoverageDataset(tuple(pairs.values())), read, duplicates, tuple(refused))


def _nothing_left(refused: Sequence[Refused]) -> DataError:
    counts = Counter(refusal.reason for refusal in refused)
    reasons = "; ".join(f"{reason}: {count}" for reason, count in counts.most_common())
    return DataError(
        f"All {len(refused)} rows were refused: {reasons}.",
        hint=f"The first one is {refused[0].place}. A pair needs a user message and a response,"
        " both text; tool calls and images are not supported yet.",
    )
