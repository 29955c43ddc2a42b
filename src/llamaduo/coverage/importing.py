"""Coverage data as people have it, as a coverage dataset (Section 3.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llamaduo.coverage.formats import read_rows
from llamaduo.coverage.rows import RefusedError, Row, read_pair
from llamaduo.coverage.settings import CoverageSettings
from llamaduo.errors import DataError
from llamaduo.records import CoverageDataset, Event, Notify, Pair, Refused, silent
from llamaduo.tasks.settings import TaskSettings

ReadPair = Callable[[Row, CoverageSettings, TaskSettings], Pair]

_TOLD_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import read: ``read`` rows are the pairs, the duplicates and the refused."""

    dataset: CoverageDataset
    read: int
    duplicates: int
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class PairsRead:
    """The pairs of some data in their order, equal ones included, and the rows refused."""

    pairs: tuple[Pair, ...]
    refused: tuple[Refused, ...]

    @property
    def rows(self) -> int:
        return len(self.pairs) + len(self.refused)


def import_pairs(settings: CoverageSettings, task: TaskSettings, root: Path) -> Imported:
    """Read everything that ``coverage.data`` names; relative paths start from ``root``.

    The first of several equal pairs is kept. A row's own ``reference_source`` and
    ``json_schema`` win over the configured ones.

    Raises:
        DataError: data that is missing, damaged or of an unknown shape, with its place; or
            every row was refused, with the reasons counted.
        ExtraMissing: a format needs a package that is not installed.
    """
    found = read_pairs(settings, task, root)
    pairs: dict[str, Pair] = {}
    for pair in found.pairs:
        pairs.setdefault(pair.id, pair)
    duplicates = len(found.pairs) - len(pairs)
    return Imported(CoverageDataset(tuple(pairs.values())), found.rows, duplicates, found.refused)


def read_pairs(
    settings: CoverageSettings,
    task: TaskSettings,
    root: Path,
    *,
    read: ReadPair = read_pair,
    notify: Notify = silent,
) -> PairsRead:
    """Every pair in everything that ``coverage.data`` names, ``read`` from its row.

    Raises:
        DataError, ExtraMissing: as :func:`import_pairs`.
    """
    pairs: list[Pair] = []
    refused: list[Refused] = []
    rows = (row for name in settings.data for row in read_rows(name, root))
    for number, row in enumerate(rows, start=1):
        try:
            pairs.append(read(row, settings, task))
        except RefusedError as error:
            refused.append(Refused(row.place, str(error)))
        if number % _TOLD_EVERY == 0:
            notify(Event("read", number, None, "rows"))
    if not pairs:
        raise _nothing_left(refused)
    return PairsRead(tuple(pairs), tuple(refused))


def _nothing_left(refused: Sequence[Refused]) -> DataError:
    counts = Counter(refusal.reason for refusal in refused)
    reasons = "; ".join(f"{reason}: {count}" for reason, count in counts.most_common())
    return DataError(
        f"All {len(refused)} rows were refused: {reasons}.",
        hint=f"The first one is {refused[0].place}. A pair needs a user message and a response,"
        " both text; tool calls and images are not supported yet.",
    )
