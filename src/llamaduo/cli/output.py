"""Tables and sentences on standard output, or JSON for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from llamaduo.records import Verdict
    from llamaduo.reporting.tables import Column, Table


def console() -> Console:
    """Standard output; as wide as the text needs when it is not a terminal."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2))  # noqa: T201


def print_tables(tables: Iterable[Table]) -> None:
    """Tables of :mod:`llamaduo.reporting.tables`, the empty ones left out."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    out = console()
    for table in tables:
        if not table.rows:
            continue
        drawn = RichTable(
            title=Text(table.title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD
        )
        for column in table.columns:
            drawn.add_column(_heading(column), justify="right" if column.numeric else "left")
        for index, row in enumerate(table.rows):
            style = "bold" if index in table.emphasis else ""
            drawn.add_row(*(Text(cell) for cell in row), style=style)
        out.print(drawn)
        if table.note:
            out.print(Text(f"  {table.note}", style="dim"))


def _heading(column: Column) -> Text:
    from rich.text import Text

    return Text(f"{column.group}\n{column.name}" if column.group else column.name)


def print_verdict(verdict: Verdict) -> None:
    """The verdict in one line, its shortfalls below."""
    from rich.text import Text

    words, style = {
        "passed": ("TARGET MET", "bold green"),
        "stopped": ("STOPPED, TARGET MISSED", "bold red"),
        "undecided": ("UNDECIDED", "bold yellow"),
        "continue": ("NOT YET", "bold yellow"),
    }[verdict.outcome]
    out = console()
    out.print()
    out.print(Text.assemble((words, style), f"  {verdict.reason}"))
    for shortfall in verdict.shortfalls:
        out.print(Text(f"  - {shortfall}"))


def exit_code(verdict: Verdict) -> int:
    """0 when the target was met, 3 when the run stopped without."""
    return 0 if verdict.outcome == "passed" else 3
