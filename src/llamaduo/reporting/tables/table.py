"""What a table is, before anyone decides how it looks."""

from __future__ import annotations

from dataclasses import dataclass

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: numbers are set to the right. ``group`` is a heading over several columns.

    ``ranged`` says that its cells are figures with their interval, ``84.2 [81.0, 87.1]``, which
    may be set on two lines.
    """

    name: str
    numeric: bool = True
    group: str = ""
    ranged: bool = False

    @property
    def label(self) -> str:
        """The name that stands alone, where a table has one line of headings."""
        return f"{self.group}: {self.name}" if self.group else self.name


@dataclass(frozen=True, slots=True)
class Table:
    """A title, columns, rows of text and a note. ``emphasis`` has the rows that stand out."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    emphasis: frozenset[int] = frozenset()
