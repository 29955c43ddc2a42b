"""One command a stage: the next unfinished stage of the run, if it is the one asked for."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from llamaduo.cli.curate import curate
from llamaduo.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NameOption,
    RehearseOption,
    SetOption,
    YesOption,
)

if TYPE_CHECKING:
    from llamaduo.records import Verdict

STAGES = {
    "finetune": "Fine-tune the local LLM on the train split and all synthetic pairs so far.",
    "infer": "Let the local LLM answer every held-out prompt K times.",
    "judge": "Let the judges score every response M times. Costs money.",
    "synthesize": "Ask the service LLM for more pairs like the train split. Costs money.",
}
PAID_STAGES = ("judge", "synthesize")
COVERAGE_STAGES = {
    "import": "Read the coverage data into the run; count what is refused and why.",
    "split": "Split the pairs into train, test and final, near-duplicates together.",
}


def add_stage_commands(app: typer.Typer, panel: str) -> None:
    """Add a command for each stage; those of the coverage data below ``coverage``. That of
    curation takes files of its own, too."""
    for stage, what in STAGES.items():
        app.command(stage, help=what, rich_help_panel=panel)(_command(stage))
    app.command(rich_help_panel=panel)(curate)
    coverage = typer.Typer(help="Import the coverage data, split it once.", no_args_is_help=True)
    for stage, what in COVERAGE_STAGES.items():
        coverage.command(stage, help=what)(_command(stage))
    app.add_typer(coverage, name="coverage", rich_help_panel=panel)


@dataclass(frozen=True, slots=True)
class Options:
    """What every stage command takes."""

    config: Path
    overrides: list[str] | None
    name: str | None
    rehearse: bool
    yes: bool
    json: bool

    def again(self) -> str:
        """The options that choose this run, for the next command line."""
        words = ["--config", str(self.config)] if self.config != DEFAULT_CONFIG else []
        words += ["--name", self.name] if self.name else []
        words += ["--rehearse"] if self.rehearse else []
        words += [word for override in self.overrides or () for word in ("--set", override)]
        return "".join(f" {shlex.quote(word)}" for word in words)


def _command(stage: str) -> Callable[..., None]:
    def command(
        config: ConfigOption = DEFAULT_CONFIG,
        overrides: SetOption = None,
        name: NameOption = None,
        rehearse: RehearseOption = False,
        yes: YesOption = False,
        json: JsonOption = False,
    ) -> None:
        do_stage(stage, Options(config, overrides, name, rehearse, yes, json))

    return command


def do_stage(stage: str, options: Options) -> None:
    """Do ``stage`` of the run if it is the next one, then say what comes next."""
    from llamaduo.cli.leave import get_leave
    from llamaduo.cli.output import (
        console,
        exit_code,
        print_json,
        print_tables,
        print_verdict,
    )
    from llamaduo.cli.progress import label, showing_progress
    from llamaduo.cli.session import begin, owned
    from llamaduo.cycle import migrate
    from llamaduo.reporting.evidence import gather
    from llamaduo.reporting.tables import stage_counts
    from llamaduo.run import Paused

    session = begin(options.config, options.overrides, options.name, options.rehearse)
    if stage in PAID_STAGES:
        get_leave(session, options.yes)
    next_stage: str | None = None
    with showing_progress() as notify, owned(session, notify, only=stage) as run:
        before = set(run.manifest.stages)
        verdict: Verdict | None = None
        try:
            verdict = migrate(run)
        except Paused as paused:
            next_stage = paused.next_stage
        done = [name for name in run.manifest.stages if name not in before]
        spend = run.ledger.spend()
    if options.json:
        ended = asdict(verdict) if verdict else None
        print_json(
            {"run": str(session.directory.root), "done": done, "next": next_stage, "verdict": ended}
        )
    else:
        print_tables(stage_counts(gather(session.directory.root, spend)))
        out = console()
        out.print("Done: " + (", ".join(map(label, done)) or "nothing was left"), markup=False)
        if next_stage:
            parent = "coverage " if next_stage in COVERAGE_STAGES else ""
            out.print(f"Next: llamaduo {parent}{next_stage}{options.again()}", markup=False)
        if verdict:
            print_verdict(verdict)
    if verdict:
        raise typer.Exit(exit_code(verdict))
