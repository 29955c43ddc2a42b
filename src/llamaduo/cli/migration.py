"""The loop as commands: quickstart, run, status, report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

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
    from llamaduo.cli.session import Session
    from llamaduo.config import Config
    from llamaduo.records import Scores, Verdict
    from llamaduo.service.ledger import SpendRow


QuickstartTask = Literal["classification", "closed_qa", "summarization", "coding"]


def run(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Run the loop to a verdict. Run it again to resume.

    Exit code 0: target met; 3: stopped without meeting it.
    """
    from llamaduo.cli.output import exit_code
    from llamaduo.cli.session import begin

    session = begin(config, overrides, name, rehearse)
    verdict = carry_out(session, confirmed=yes, as_json=json)
    if not json:
        deploy = "llamaduo deploy --rehearse" if rehearse else "llamaduo deploy"
        typer.echo(
            f"Next: {deploy} --check, then llamaduo serve runs/{session.directory.root.name}"
        )
    raise typer.Exit(exit_code(verdict))


def quickstart(
    into: Annotated[Path, typer.Option(help="The folder to work in.", metavar="FOLDER")] = Path(
        "quickstart"
    ),
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**32 - 1, help="Chooses the data, the split and the sampling."),
    ] = 0,
    task: Annotated[QuickstartTask, typer.Option(help="Which built-in task.")] = "classification",
    json: JsonOption = False,
) -> None:
    """Migrate a built-in task to SmolLM2-135M: the whole loop, offline, no key, no GPU."""
    from llamaduo.cli.output import exit_code
    from llamaduo.cli.quickstart import afterwards, before, prepare
    from llamaduo.cli.session import begin

    if not json:
        typer.echo(before(task), err=True)
    session = begin(prepare(into, seed, task), None, None, rehearse=True)
    verdict = carry_out(session, confirmed=True, as_json=json)
    if not json:
        typer.echo(afterwards(task, into))
    raise typer.Exit(exit_code(verdict))


def status(
    config: ConfigOption = DEFAULT_CONFIG,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """What is done, what it scored, what it cost so far."""
    from llamaduo.cli.output import (
        console,
        print_findings,
        print_json,
        print_tables,
        print_verdict,
    )
    from llamaduo.cli.progress import label
    from llamaduo.cli.session import begin_existing
    from llamaduo.cli.showing import judged_tables
    from llamaduo.reporting.evidence import gather
    from llamaduo.reporting.tables import findings, spend, stage_counts
    from llamaduo.service.ledger import read_spend
    from llamaduo.storage.manifest import read_manifest

    session = begin_existing(config, name, rehearse)
    directory = session.directory
    manifest = read_manifest(directory.manifest)
    evidence = gather(directory.root, read_spend(directory.ledger))
    if json:
        print_json(
            _summary(session, evidence.verdict, evidence.spend)
            | {"stages": {stage: done.at for stage, done in manifest.stages.items()}}
        )
        return
    print_tables([*judged_tables(evidence), *stage_counts(evidence), spend(evidence)])
    print_findings(findings(evidence))
    last = next(reversed(manifest.stages.items()), None)
    out = console()
    if last:
        out.print(f"Last finished: {label(last[0])}, {last[1].at}", markup=False)
    if evidence.verdict:
        print_verdict(evidence.verdict)
    else:
        out.print("No verdict yet; `llamaduo run` goes on from here.", markup=False)


def report(
    config: ConfigOption = DEFAULT_CONFIG,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """Write the report of a run again, as Markdown and as one HTML file."""
    from llamaduo.cli.output import console, print_json
    from llamaduo.cli.session import begin_existing
    from llamaduo.reporting.evidence import gather
    from llamaduo.reporting.report import write_report
    from llamaduo.service.ledger import read_spend
    from llamaduo.stages import telling

    session = begin_existing(config, name, rehearse)
    directory = session.directory
    spend = read_spend(directory.ledger)
    tell = telling(session.real.curation)
    evidence = gather(directory.root, spend, cost=session.real.cost, tell=tell)
    path = write_report(evidence, directory.report)
    if json:
        print_json({"report": str(path)})
    else:
        console().print(f"Report: {path}", markup=False)


# --- the run itself -----------------------------------------------------------------------


def carry_out(session: Session, *, confirmed: bool, as_json: bool) -> Verdict:
    """The loop, with what it will cost said before and what it came to printed after."""
    from llamaduo.cli.leave import get_leave
    from llamaduo.cli.output import print_json
    from llamaduo.cli.progress import showing_progress
    from llamaduo.cli.rehearse import BANNER
    from llamaduo.cli.session import owned
    from llamaduo.cycle import migrate

    if session.rehearse:
        typer.echo(BANNER, err=True)
    get_leave(session, confirmed)
    try:
        with showing_progress() as notify, owned(session, notify) as run:
            verdict = migrate(run)
            spend, snapshots = run.ledger.spend(), run.ledger.snapshots()
    except KeyboardInterrupt:
        typer.echo("\nInterrupted. Run the same command again to go on from here.", err=True)
        raise
    if as_json:
        print_json(_summary(session, verdict, spend))
    else:
        _print_outcome(session, verdict, spend)
    for model, names in snapshots.items():
        if len(names) > 1:
            changed = " then ".join(names)
            typer.echo(f"Warning: {model} was {changed}: it changed during the run.", err=True)
    return verdict


def _print_outcome(session: Session, verdict: Verdict, rows: tuple[SpendRow, ...]) -> None:
    from llamaduo.cli.output import console, print_findings, print_tables, print_verdict
    from llamaduo.cli.showing import judged_tables
    from llamaduo.reporting.evidence import gather
    from llamaduo.reporting.tables import (
        drops_by_reason,
        findings,
        spend,
        stage_counts,
        timings,
    )

    evidence = gather(session.directory.root, rows)
    print_tables(
        [
            *stage_counts(evidence),
            drops_by_reason(evidence),
            timings(evidence),
            spend(evidence),
            *judged_tables(evidence),
        ]
    )
    print_findings(findings(evidence))
    print_verdict(verdict)
    out = console()
    if session.rehearse:
        out.print(_would_cost(rows, session.real), markup=False)
    out.print(f"\nReport: {session.directory.report / 'report.html'}", markup=False)
    out.print(f"Bundle: {session.directory.bundle}", markup=False)


def _would_cost(rows: tuple[SpendRow, ...], real: Config) -> str:
    from llamaduo.cli.rehearse import real_cost

    dollars, unknown = real_cost(rows, real)
    models = ", ".join(sorted({s.model for s in (real.service, *real.judges)}))
    text = f"The same calls to {models} would have cost about ${dollars:.2f}."
    if unknown:
        text += f" No price is known for {', '.join(unknown)}: set `price` beside the model."
    return text


def _summary(
    session: Session, verdict: Verdict | None, rows: tuple[SpendRow, ...]
) -> dict[str, object]:
    from llamaduo.reporting.evidence import gather

    evidence = gather(session.directory.root, rows)
    return {
        "run": str(session.directory.root),
        "rehearsed": session.rehearse,
        "verdict": _plain(verdict),
        "base": _plain(evidence.base.scores),
        "cycles": [_plain(cycle.answers.scores) for cycle in evidence.cycles],
        "service": _plain(evidence.service.scores),
        "final": _plain(evidence.final.scores),
        "service_final": _plain(evidence.service_final.scores),
        "usd": sum(row.usd for row in rows),
        "spend": [asdict(row) for row in rows],
    }


def _plain(record: Scores | Verdict | None) -> dict[str, object] | None:
    return asdict(record) if record else None
