"""Tables and sentences on standard output, or JSON for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table as RichTable
    from rich.text import Text

    from llamaduo.records import JudgeFinding, Verdict
    from llamaduo.reporting.tables import Column, Table


def console() -> Console:
    """Standard output; as wide as the text needs when it is not a terminal."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def print_json(value: Any) -> None:
    """One JSON document on standard output, with no character that a terminal would obey."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    print(text.translate(_ESCAPED))  # noqa: T201


_ESCAPED = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
"""Controls and changes of direction beyond those that JSON escapes by itself."""


def print_tables(tables: Iterable[Table]) -> None:
    """Tables of :mod:`llamaduo.reporting.tables`, the empty ones left out.

    One that is wider than the terminal is turned on its side, or its groups of columns stand one
    below the other, where that fits; where even its longest words do not fit beside each other,
    its rows do.
    """
    from rich.text import Text

    out = console()
    for table in tables:
        if not table.rows:
            continue
        out.print(Text(table.title, style="bold"))
        out.print(_drawn(out, table))
        if table.note:
            out.print(Text(table.note, style="dim"))
        out.print()


def _drawn(out: Console, table: Table) -> RichTable | Group:
    """The first way to draw it that fits; in a pipe, where nothing is cut, upright at the last."""
    unbounded = out.options.update(max_width=10_000)

    def fits(*drawn: RichTable) -> bool:
        return all(out.measure(one, options=unbounded).maximum <= out.width for one in drawn)

    upright = _upright(table)
    if fits(upright):
        return upright
    if fits(side := _on_its_side(table)):
        return side
    parts = [_upright(part) for part in _by_group(table)]
    if len(parts) > 1 and fits(*parts):
        from rich.console import Group

        return Group(*parts)
    crowded = out.measure(upright, options=unbounded).minimum > out.width
    return _stacked(table) if crowded and out.is_terminal else upright


def _by_group(table: Table) -> Iterator[Table]:
    """The table in parts: what is in no group, then every group, each beside the first column."""
    groups = dict.fromkeys(column.group for column in table.columns[1:])
    for group in sorted(groups, key=bool):
        places = [0, *(n for n, c in enumerate(table.columns) if n and c.group == group)]
        yield replace(
            table,
            columns=tuple(table.columns[n] for n in places),
            rows=tuple(tuple(row[n] for n in places) for row in table.rows),
        )


def _cell(column: Column, cell: str) -> Text:
    """A cell; an interval stands below its figure."""
    from rich.text import Text

    figure, blank, interval = cell.partition(" [") if column.ranged else (cell, "", "")
    return Text.assemble(figure, (f"\n[{interval}", "dim")) if blank else Text(figure)


def _upright(table: Table) -> RichTable:
    drawn = _frame()
    for column, heading in zip(table.columns, _headings(table.columns), strict=True):
        drawn.add_column(
            heading, justify="right" if column.numeric else "left", no_wrap=column.numeric
        )
    for index, row in enumerate(table.rows):
        style = "bold" if index in table.emphasis else ""
        cells = (_cell(column, cell) for column, cell in zip(table.columns, row, strict=True))
        drawn.add_row(*cells, style=style)
    return drawn


def _on_its_side(table: Table) -> RichTable:
    """Each row a column, under the row's first cell."""
    from rich.text import Text

    drawn = _frame()
    names, *cells = zip(*table.rows, strict=True)
    drawn.add_column(Text(table.columns[0].name))
    for index, name in enumerate(names):
        style = "bold" if index in table.emphasis else ""
        drawn.add_column(Text(name), justify="right", style=style)
    for column, values in zip(table.columns[1:], cells, strict=True):
        drawn.add_row(Text(column.label), *(_cell(column, value) for value in values))
    return drawn


def _stacked(table: Table) -> Group:
    """Each row a paragraph: its first cell, then a line for every other one."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    lines: list[Text | Padding] = []
    for first, *rest in table.rows:
        lines += [Text(""), Text(first, style="bold")]
        for column, cell in zip(table.columns[1:], rest, strict=True):
            words = Text.assemble((f"{column.label}: ", "dim"), cell)
            lines.append(Padding(words, (0, 0, 0, 2)))
    return Group(*lines)


def _frame() -> RichTable:
    from rich import box
    from rich.table import Table as RichTable

    return RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))


def _headings(columns: Sequence[Column]) -> Iterator[Text]:
    """A group's name stands over the first of its columns alone, which keeps tables narrow."""
    from rich.text import Text

    grouped = any(column.group for column in columns)
    before = ""
    for column in columns:
        group = column.group if column.group != before else ""
        yield Text(f"{group}\n{column.name}" if grouped else column.name)
        before = column.group


def print_verdict(verdict: Verdict) -> None:
    """The verdict in one line, its shortfalls below."""
    from rich.text import Text

    words, style = {
        "passed": ("TARGET MET", "bold green"),
        "stopped": ("STOPPED, TARGET MISSED", "bold red"),
        "undecided": ("UNDECIDED: THE EVIDENCE IS TOO THIN", "bold yellow"),
        "continue": ("NOT YET", "bold yellow"),
    }[verdict.outcome]
    out = console()
    out.print()
    out.print(Text.assemble((words, style), f"  {verdict.reason}"))
    for shortfall in verdict.shortfalls:
        out.print(Text(f"  - {shortfall}"))
    for line in _certainty(verdict):
        out.print(Text(f"  {line}"))


def _certainty(verdict: Verdict) -> Iterator[str]:
    """How the local LLM stands beside the service LLM, what a decision would take, and how fast it
    is."""
    from llamaduo.reporting.formatting import (
        count,
        decimal,
        gigabytes,
        measured_points,
        seconds,
    )

    if found := verdict.non_inferiority:
        words = {"met": "yes", "missed": "no", "undecided": "undecided"}[found.standing]
        yield (
            f"At most {decimal(found.margin)} points of {found.metric} behind the service LLM on"
            f" the final split: {words}; local minus service {measured_points(found.difference)}"
        )
    if verdict.prompts_needed is not None:
        yield f"A decision needs about {count(verdict.prompts_needed)} test prompts."
    if (speed := verdict.inference) and speed.seconds:
        memory = speed.peak_memory_bytes
        yield (
            f"Local LLM: {decimal(speed.tokens_per_second)} tokens/s, a response in"
            f" {seconds(speed.p50_seconds)} (p50), {seconds(speed.p95_seconds)} (p95)"
            + (f", {gigabytes(memory)} of memory" if memory is not None else "")
        )


def print_findings(findings: Iterable[JudgeFinding]) -> None:
    """What is wrong with the judges: a line each, except where a terminal is narrower."""
    from rich.text import Text

    from llamaduo.reporting.tables import finding_words
    from llamaduo.tasks.showing import visible

    out = console()
    for finding in findings:
        style = "bold red" if finding.unfit else "bold yellow"
        text = Text(visible(finding_words(finding)), style=style)
        out.print(text, soft_wrap=not out.is_terminal)


def exit_code(verdict: Verdict) -> int:
    """0 when the target was met, 3 when the run stopped without."""
    return 0 if verdict.outcome == "passed" else 3
