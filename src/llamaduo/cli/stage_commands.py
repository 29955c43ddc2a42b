"""One command a stage: the next unfinished stage of the run, if it is the one asked for."""

from __future__ import annotations

from pathlib import Path

from llamaduo.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NameOption,
    RehearseOption,
    SetOption,
)


def finetune(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """Fine-tune the local LLM on the train split and all synthetic pairs so far."""
    do_stage("finetune", config, overrides, name, rehearse, json)


def infer(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """Let the local LLM answer every held-out prompt K times."""
    do_stage("infer", config, overrides, name, rehearse, json)


def judge(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """Let the judges score every response M times. Costs money."""
    do_stage("judge", config, overrides, name, rehearse, json)


def synthesize(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """Ask the service LLM for more pairs like the train split. Costs money."""
    do_stage("synthesize", config, overrides, name, rehearse, json)


def curate(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """Deduplicate, filter and decontaminate the new pairs."""
    do_stage("curate", config, overrides, name, rehearse, json)


COMMANDS = (finetune, infer, judge, synthesize, curate)


def do_stage(
    stage: str,
    config: Path,
    overrides: list[str] | None,
    name: str | None,
    rehearse: bool,
    as_json: bool,
) -> None:
    """Do ``stage`` of the run if it is the next one, then say what comes next."""
    from llamaduo.cli.output import console, print_json, print_tables
    from llamaduo.cli.progress import label, showing_progress
    from llamaduo.cli.session import begin, owned
    from llamaduo.cycle import migrate
    from llamaduo.reporting.evidence import gather
    from llamaduo.reporting.tables import stage_counts
    from llamaduo.stages import Paused

    session = begin(config, overrides, name, rehearse)
    next_stage: str | None = None
    with showing_progress() as notify, owned(session, notify, only=stage) as run:
        before = set(run.manifest.stages)
        try:
            migrate(run)
        except Paused as paused:
            next_stage = paused.next_stage
        done = [name for name in run.manifest.stages if name not in before]
        spend = run.ledger.spend()
    if as_json:
        print_json({"run": str(session.directory.root), "done": done, "next": next_stage})
        return
    if not done:
        console().print("This run is finished: there is nothing left to do.")
        return
    print_tables(stage_counts(gather(session.directory.root, spend)))
    out = console()
    out.print("Done: " + ", ".join(label(stage) for stage in done), markup=False)
    if next_stage:
        out.print(f"Next: llamaduo {_command(next_stage)}", markup=False)


def _command(stage: str) -> str:
    return f"coverage {stage}" if stage in ("import", "split") else stage
