"""The command line: the list of commands, and how an error reaches the user.

Commands import what they need when they run, so that ``llamaduo --help`` stays instant.
"""

from __future__ import annotations

import io
import sys

import typer

from llamaduo.cli import deploy, migration, publish, setup
from llamaduo.cli.estimate import estimate
from llamaduo.cli.evidence_commands import add_evidence_commands
from llamaduo.cli.serve import serve
from llamaduo.cli.spend import spend
from llamaduo.cli.stage_commands import add_stage_commands
from llamaduo.errors import LlamaduoError
from llamaduo.service.masking import install, masked, show_traceback
from llamaduo.tasks.showing import visible

app = typer.Typer(
    help="Carry a task from a service LLM to a small model of your own, and prove it arrived.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command(rich_help_panel="Begin")(migration.quickstart)
app.command(rich_help_panel="Begin")(setup.init)
app.command(rich_help_panel="Begin")(setup.doctor)
app.command(rich_help_panel="The loop")(estimate)
app.command(rich_help_panel="The loop")(migration.run)
app.command(rich_help_panel="The loop")(migration.status)
app.command(rich_help_panel="The loop")(spend)
app.command(rich_help_panel="The loop")(migration.report)
app.command(rich_help_panel="Deploy")(deploy.deploy)
app.command(rich_help_panel="Deploy")(publish.publish)
app.command(rich_help_panel="Deploy")(serve)
add_evidence_commands(app, "Evidence")
add_stage_commands(app, "One stage at a time")


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from llamaduo import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run a command. Exit codes: 0 target met or done, 1 failure, 2 wrong usage or
    configuration, 3 stopped without meeting the target."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ζ still gets its table
    install()
    try:
        app()
    except LlamaduoError as error:
        _complain(error.message, error.hint)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.strerror is None:
            sys.excepthook = show_traceback
            raise  # not the operating system's: a bug, which keeps its traceback
        place = error.filename or "the run directory"
        _complain(
            f"{place}: {error.strerror}.",
            "Mend that and run the same command again: what was finished is kept.",
        )
        sys.exit(1)
    except Exception:
        sys.excepthook = show_traceback  # typer has set its own
        raise  # a bug, which keeps its traceback, but shows no key


def _complain(message: str, hint: str) -> None:
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]Error:[/] ", end="")
    console.print(visible(masked(message)), markup=False)
    if hint:
        console.print("[bold]Next:[/] ", end="")
        console.print(visible(masked(hint)), markup=False)
