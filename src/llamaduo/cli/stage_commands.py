"""One command a stage: the next unfinished stage of the run, if it is the one asked for."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from llamaduo.errors import UsageError

if TYPE_CHECKING:
    from llamaduo.records import Verdict

STAGES = {
    "finetune": "Fine-tune the local LLM on the train split and all synthetic pairs so far.",
    "infer": "Let the local LLM answer every held-out prompt K times.",
    "answer": "Let the service LLM answer the held-out prompts: the ceiling. Costs money.",
    "judge": "Let the judges score every response M times. Costs money.",
    "synthesize": "Ask the service LLM for more pairs like the train split. Costs money.",
}
PAID_STAGES = ("answer", "judge", "synthesize")
COVERAGE_STAGES = {
    "import": "Read the coverage data into the run; count what is refused and why.",
    "split": "Split the pairs into train, test and final, near-duplicates together.",
}

ATTACK_PROMPTS = 4
"""Of how many test prompts the responses are attacked, unless more are asked for."""

AttackOption = Annotated[
    bool,
    typer.Option(
        "--attack",
        help="Try known attacks on the judges with responses to the test prompts, and say what"
        " they lift; exit code 3 if one lifts a bad response for real. No stage is done.",
    ),
]
AttackPromptsOption = Annotated[
    int | None,
    typer.Option(
        "--attack-prompts",
        min=2,
        help=f"With --attack: responses to how many prompts; {ATTACK_PROMPTS} if left out.",
        metavar="N",
        show_default=False,
    ),
]


def add_stage_commands(app: typer.Typer, panel: str) -> None:
    """Add a command for each stage; those of the coverage data below ``coverage``. That of
    curation takes files of its own, too."""
    for stage, what in STAGES.items():
        command = judge if stage == "judge" else _command(stage)
        app.command(stage, help=what, rich_help_panel=panel)(command)
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


def judge(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    attack: AttackOption = False,
    attack_prompts: AttackPromptsOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """The stage, or, beside the stages, attacks on the judges."""
    options = Options(config, overrides, name, rehearse, yes, json)
    if attack:
        _attack(options, attack_prompts or ATTACK_PROMPTS)
    elif attack_prompts is not None:
        raise UsageError("--attack-prompts is about attacks.", hint="Add --attack.")
    else:
        do_stage("judge", options)


def _attack(options: Options, prompts: int) -> None:
    from llamaduo.cli.attack import attack
    from llamaduo.cli.session import begin_existing

    session = begin_existing(options.config, options.name, options.rehearse, options.overrides)
    attack(session, prompts, confirmed=options.yes, as_json=options.json, again=options.again())


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
