"""The evidence as commands: verify a run, compare two. What is inside: ``show_commands``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llamaduo.cli.judges import judges
from llamaduo.cli.options import JsonOption
from llamaduo.cli.show_commands import RunArgument, show

if TYPE_CHECKING:
    from rich.console import Console

    from llamaduo.records import Event, Notify
    from llamaduo.verification.checks import Check

SideArgument = Annotated[
    str,
    typer.Argument(
        help="RUN, or RUN:CYCLE, with a number, base, final, service or service-final.",
        metavar="RUN[:CYCLE]",
    ),
]

PATIENCE_SECONDS = 2.0
"""What takes longer shows how far it is."""


def add_evidence_commands(app: typer.Typer, panel: str) -> None:
    """Add verify, judges, show and compare."""
    app.command(rich_help_panel=panel)(verify)
    app.command(rich_help_panel=panel)(judges)
    app.add_typer(show, name="show", rich_help_panel=panel)
    app.command(rich_help_panel=panel)(compare)


def verify(run: RunArgument = None, json: JsonOption = False) -> None:
    """Derive scores, verdict and counts again from ledger and records, offline; check every hash.

    Nothing is sent and nothing is written. Exit code 0: all holds; 1: something differs; 2: nothing
    differs, but a check was left out because a package is missing.
    """
    from dataclasses import asdict

    from llamaduo.cli.output import print_json
    from llamaduo.cli.progress import showing_progress
    from llamaduo.cli.session import find_run
    from llamaduo.verification.verify import verify as verify_run

    directory = find_run(run)
    with showing_progress() as notify:
        checks = verify_run(directory, notify=_late(notify))
    if json:
        print_json([asdict(check) for check in checks])
    else:
        _print_checks(checks, unfinished=not directory.verdict.is_file())
    raise typer.Exit(_code(checks))


def _late(notify: Notify) -> Notify:
    """``notify``, silent at first: what is done at once needs no progress."""
    begun = time.monotonic()

    def later(event: Event) -> None:
        if time.monotonic() - begun > PATIENCE_SECONDS:
            notify(event)

    return later


def _code(checks: tuple[Check, ...]) -> int:
    if any(check.ok is False for check in checks):
        return 1
    return 2 if any(check.ok is None for check in checks) else 0


_MARKS = {
    True: ("ok", "green"),
    False: ("DIFFERS", "bold red"),
    None: ("left out", "yellow"),
}


def _print_checks(checks: tuple[Check, ...], *, unfinished: bool) -> None:
    """One line a check, in columns; what differs, or is worth knowing, below it."""
    from rich.text import Text

    from llamaduo.cli.output import console
    from llamaduo.cli.progress import label
    from llamaduo.reporting.formatting import plural
    from llamaduo.tasks.showing import visible
    from llamaduo.verification.verify import NOT_CHECKED

    out = console()
    rows = [(one, visible(label(one.name)), plural(one.checked, one.unit)) for one in checks]
    mark = max(len(words) for words, _ in _MARKS.values())
    names = max(len(name) for _, name, _ in rows)
    counts = max(len(checked) for _, _, checked in rows)
    for check, name, checked in rows:
        words, style = _MARKS[check.ok]
        line = Text.assemble((words.ljust(mark), style), f"  {name:<{names}}  {checked:>{counts}}")
        against = f"  against {check.against}"
        if len(line) + len(against) <= out.width:  # a narrow terminal goes without
            line.append(against, "dim")
        out.print(line, soft_wrap=True)
        for note in visible(check.detail).splitlines():
            _print_note(out, note, mark + 2)
    out.print()
    if unfinished:
        out.print("The run is unfinished: it was verified as far as it got.")
    out.print(Text(_summary(checks), style="bold"))
    out.print(Text(NOT_CHECKED, style="dim"))


def _print_note(out: Console, note: str, indent: int) -> None:
    """Wrapped in a terminal; whole on one line in a pipe, where it can be searched."""
    from rich.padding import Padding
    from rich.text import Text

    if out.is_terminal:
        out.print(Padding(Text(note), (0, 0, 0, indent)))
    else:
        out.print(Text(" " * indent + note), soft_wrap=True)


def _summary(checks: tuple[Check, ...]) -> str:
    wrong = sum(check.ok is False for check in checks)
    skipped = sum(check.ok is None for check in checks)
    if wrong:
        return f"{wrong} of {len(checks)} checks differ: these records do not fit together."
    if skipped:
        return f"Nothing differs, but {skipped} of {len(checks)} checks were left out."
    return (
        f"All {len(checks)} checks hold: scores, counts and verdicts follow from the ledger and"
        " the responses."
    )


def compare(left: SideArgument, right: SideArgument, json: JsonOption = False) -> None:
    """Two runs, or two cycles, side by side: what was different, and what came of it."""
    from llamaduo.cli.output import console, print_json, print_tables
    from llamaduo.evaluation.intervals import difference_of
    from llamaduo.reporting.compare import compare_sides
    from llamaduo.reporting.compare_json import as_json
    from llamaduo.reporting.compare_tables import comparison_tables

    comparison = compare_sides(_side(left), _side(right), difference_of)
    if json:
        print_json(as_json(comparison))
        return
    out = console()
    for warning in comparison.warnings:
        out.print(warning, markup=False, style="bold yellow", soft_wrap=True)
    print_tables(comparison_tables(comparison))


def _side(text: str) -> tuple[Path, str | None]:
    """The run directory and the set that RUN or RUN:CYCLE names."""
    from llamaduo.cli.session import find_run
    from llamaduo.errors import UsageError

    try:
        return find_run(text).root, None
    except UsageError:
        name, colon, which = text.rpartition(":")
        if not colon:
            raise
    return find_run(name).root, which
