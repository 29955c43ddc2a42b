"""Events of the stages as bars with an estimate in a terminal, as one line a stage in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from llamaduo.records import Event, Notify

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Shown:
    """Progress as it is drawn. ``paused`` keeps off the terminal while a block asks a question:
    bars that go on being drawn would wipe out the question and what is typed after it."""

    notify: Notify
    paused: Callable[[], AbstractContextManager[None]] = nullcontext


@contextmanager
def showing_progress() -> Iterator[Notify]:
    """A :data:`Notify` that draws on standard error while the block runs."""
    with drawing_progress() as shown:
        yield shown.notify


@contextmanager
def drawing_progress() -> Iterator[Shown]:
    """The same, for a block that may have a question to ask."""
    if sys.stderr.isatty():
        with _bars() as shown:
            yield shown
    else:
        yield Shown(_Lines().notify)


def label(stage: str) -> str:
    """``cycles/001/judge`` as ``cycle 1: judge``; other names as they are."""
    place, *rest = stage.split("/")
    if place == "cycles" and len(rest) == 2 and rest[0].isdecimal():
        return f"cycle {int(rest[0])}: {rest[1]}"
    if place == "final" and rest:
        return f"final: {rest[-1]}"
    return ": ".join([place, *rest])


def _line_of(event: Event) -> str | None:
    """What is said in a line of its own, in a terminal and in a pipe; None of mere progress."""
    if event.unit == "warning":
        return f"Warning: {event.detail}"
    if event.unit == "notice":
        return f"{label(event.stage)}: {event.detail}"
    if event.unit == "recipe":  # its first line sums it up
        return f"{label(event.stage)}: {event.detail.splitlines()[0]}"
    return event.detail if event.stage == "lengths" and event.detail else None


EVERY_SECONDS = 15.0
"""How often a stage that takes long says in a pipe how far it is."""
BATCH_SECONDS = 600.0
"""The same of a batch, which may take a day."""
WIDE = 96
"""Columns of a terminal that has room for long bars."""


class _Lines:
    """In a pipe: one line when a stage ends, and now and then how far a long one is."""

    def __init__(self) -> None:
        self._begun = self._said = time.monotonic()
        self._from: tuple[str, float, int] | None = None
        """What is counted, since when, and from how many on."""
        self._batches: dict[str, float] = {}

    def notify(self, event: Event) -> None:
        if event.stage == "ledger":
            return
        now = time.monotonic()
        if (line := _line_of(event)) is not None:
            _say(line)
            if event.unit == "recipe":
                _say(_aligned(event.detail))
        elif event.stage.startswith("batch "):
            self._tell_of_batch(event, now)
        elif event.unit == "stage" and event.done:
            end = f"; {event.detail}" if event.detail else ""
            _say(f"{label(event.stage)}: done in {now - self._begun:.1f} s{end}")
        elif event.unit == "stage":
            self._begun = self._said = now
            self._from = label(event.stage), now, 0
        else:
            self._tell_how_far(event, now)

    def _tell_how_far(self, event: Event, now: float) -> None:
        """Every now and then, by the pace since there was something to count."""
        if event.total is None:
            self._from = None
        elif self._from is None or self._from[0] != label(event.stage):
            self._from = label(event.stage), now, event.done
        elif self._from[2] < event.done < event.total and now - self._said >= EVERY_SECONDS:
            self._said = now
            _, since, first = self._from
            left = (now - since) * (event.total - event.done) / (event.done - first)
            share = f"{event.done} of {event.total} {event.unit}"
            # A training says itself how it stands, and what is left.
            of_training = event.detail if event.unit == "steps" else ""
            _say(f"{label(event.stage)}: {share}, {of_training or f'about {left:.0f} s left'}")

    def _tell_of_batch(self, event: Event, now: float) -> None:
        """How far it is; when it will end, nobody knows."""
        said = self._batches.get(event.stage)
        if said is None or event.done == event.total or now - said >= BATCH_SECONDS:
            self._batches[event.stage] = now
            _say(event.detail)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - standard error is where it belongs


def _rows(detail: str) -> list[list[str]]:
    """Names, values and reasons: the lines after the first, with tabs between the columns."""
    return [line.split("\t") for line in detail.splitlines()[1:]]


def _aligned(detail: str) -> str:
    rows = _rows(detail)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"  {'  '.join(map(str.ljust, row, widths)).rstrip()}" for row in rows)


def _table(detail: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for row in _rows(detail):
        table.add_row(*map(Text, row))
    return table


class _Bars:
    """In a terminal: a bar for each stage under way, and a line for each that has ended, so that
    a run of many cycles does not push what is under way off the screen."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def notify(self, event: Event) -> None:
        if event.stage == "ledger":
            return
        name = label(event.stage)
        if (line := _line_of(event)) is not None:
            self._say(line)
            if event.unit == "recipe":
                self._progress.console.print(_table(event.detail), highlight=False)
        elif event.unit == "stage" and event.done:
            self._end(name, event.detail)
        else:
            self._draw(name, event)

    def _draw(self, name: str, event: Event) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=None, unit="", detail="")
        if event.unit == "stage":
            self._progress.update(self._tasks[name], detail=event.detail)
        else:
            self._progress.update(
                self._tasks[name],
                total=event.total,
                completed=event.done,
                unit=event.unit,
                detail=event.detail,
            )

    def _end(self, name: str, detail: str) -> None:
        if name not in self._tasks:
            return
        number = self._tasks.pop(name)
        task = self._progress.tasks[self._progress.task_ids.index(number)]
        took = timedelta(seconds=round(task.elapsed or 0))
        counted = f"{task.completed:.0f} {task.fields['unit']}  " if task.total else ""
        self._progress.remove_task(number)
        self._say(f"✓ {name:<20}  {took}  {counted}{detail}".rstrip())

    def _say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, markup=False)


@contextmanager
def _bars() -> Iterator[Shown]:
    from rich.console import Console

    progress = _drawn(Console(stderr=True))

    @contextmanager
    def paused() -> Iterator[None]:
        progress.stop()
        try:
            yield
        finally:
            progress.start()

    with progress:
        yield Shown(_Bars(progress).notify, paused)


def _drawn(console: Console) -> Progress:
    """Bars with counts and times; below them how the stage under way stands, which beside them
    would leave a narrow terminal no room for the counts."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Bars(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            details = [task.fields["detail"] for task in self.tasks if not task.finished]
            yield from (Text(f"  {detail}", style="dim") for detail in details if detail)

    return Bars(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24 if console.width >= WIDE else 12),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[unit]}[/]"),
        TimeElapsedColumn(),
        TextColumn("[dim]left[/]"),
        TimeRemainingColumn(),
        console=console,
    )
