"""Events of the stages as bars with an estimate in a terminal, as one line a stage in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from llamaduo.records import Event, Notify


@contextmanager
def showing_progress() -> Iterator[Notify]:
    """A :data:`Notify` that draws on standard error while the block runs."""
    if sys.stderr.isatty():
        with _bars() as notify:
            yield notify
    else:
        yield _Lines().notify


def label(stage: str) -> str:
    """``cycles/001/judge`` as ``cycle 1: judge``; other names as they are."""
    parts = stage.split("/")
    if parts[0] == "cycles":
        return f"cycle {int(parts[1])}: {parts[2]}"
    return ": ".join(parts)


class _Lines:
    """One line when a stage ends, with the time it took."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def notify(self, event: Event) -> None:
        if event.unit != "stage":
            return
        now = time.monotonic()
        if event.done:
            print(f"{label(event.stage)}: done in {now - self._since:.1f} s", file=sys.stderr)  # noqa: T201
        self._since = now


@contextmanager
def _bars() -> Iterator[Notify]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    progress = Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[unit]}[/]"),
        TimeElapsedColumn(),
        TextColumn("[dim]left[/]"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[detail]}[/]"),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}

    def notify(event: Event) -> None:
        if event.stage == "ledger":
            return
        name = label(event.stage)
        ended = event.unit == "stage" and event.done
        if name not in tasks:
            tasks[name] = progress.add_task(name, total=None, unit="", detail="")
        if ended:
            task = progress.tasks[progress.task_ids.index(tasks[name])]
            total = task.total or 1
            progress.update(tasks[name], total=total, completed=total, detail="")
        elif event.unit != "stage":
            progress.update(
                tasks[name],
                total=event.total,
                completed=event.done,
                unit=event.unit,
                detail=event.detail,
            )

    with progress:
        yield notify
