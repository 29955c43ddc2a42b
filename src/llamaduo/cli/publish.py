"""`llamaduo publish`: what would leave this machine is shown; then it is asked; then it leaves."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamaduo.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NameOption,
    RehearseOption,
)

if TYPE_CHECKING:
    from llamaduo.deployment.hub import Hub
    from llamaduo.deployment.outgoing import Plan
    from llamaduo.deployment.publish import Published, Target
    from llamaduo.reporting.tables import Table


def publish(
    repo: Annotated[
        str,
        typer.Option(
            help="Where the bundle goes; the dataset goes to OWNER/NAME-data.", metavar="OWNER/NAME"
        ),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    public: Annotated[
        bool, typer.Option("--public", help="For everybody to see; private without it.")
    ] = False,
    dataset: Annotated[bool, typer.Option(help="Publish the pairs, too.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send without asking.")] = False,
    json: JsonOption = False,
) -> None:
    """Upload bundle, card and dataset to the Hugging Face Hub: private, and only when you say so.

    Shows every file, the pairs, personal data found in them, terms, account and address first.
    """
    from llamaduo.cli.output import print_json
    from llamaduo.cli.progress import showing_progress
    from llamaduo.cli.session import begin_existing
    from llamaduo.deployment.hub import Hub
    from llamaduo.deployment.outgoing import check_public, plan
    from llamaduo.deployment.publish import look_at_targets
    from llamaduo.deployment.publish import publish as send
    from llamaduo.storage.lock import locked

    session = begin_existing(config, name, rehearse)
    run = session.directory
    with locked(run.root), tempfile.TemporaryDirectory(prefix="llamaduo-") as staging:
        planned = plan(
            run.root,
            run.bundle,
            repo,
            session.real.task,
            public=public,
            dataset=dataset,
            staging=Path(staging),
        )
        check_public(planned)
        hub = Hub(quiet=json or not sys.stderr.isatty())
        account = hub.account()
        targets = look_at_targets(planned, hub)
        if not json:
            _show(planned, targets, hub, account)
        _ask(yes, as_json=json)
        with showing_progress() as notify:
            done = send(planned, targets, hub, notify)
    if json:
        print_json(_as_json(planned, done, hub, account))
    else:
        _print_done(done)


def _ask(given: bool, *, as_json: bool) -> None:
    from llamaduo.errors import UsageError

    if given:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError(
            "This would leave the machine, and nothing says that it may. Nothing was sent.",
            hint="Look at what is listed without --json, then give --yes."
            if as_json
            else "Give --yes if what is listed above may leave.",
        )
    typer.confirm("Send this?", abort=True, err=True)


# --- what would leave ---------------------------------------------------------------------


def _show(plan: Plan, targets: tuple[Target, ...], hub: Hub, account: str) -> None:
    from llamaduo.cli.output import console, print_tables
    from llamaduo.redaction.find import NOT_LOOKED_FOR
    from llamaduo.tasks.showing import visible

    out = console()
    visibility = "PUBLIC: everybody can read it" if plan.public else "private"
    out.print(f"To {hub.address} as {visible(account)}, {visibility}.", markup=False)
    for note in plan.notes:
        out.print(visible(note), markup=False)
    out.print()
    print_tables([*(_files(target, hub) for target in targets), _pairs(plan), _personal(plan)])
    if not any(found.kinds for found in plan.personal.values()):
        out.print("No personal data was found. " + NOT_LOOKED_FOR, markup=False)
    terms = plan.bundle.terms
    if terms is None:
        out.print("Terms of the service LLM's provider: not stated.", markup=False)
    else:
        allowed = "allow" if terms.allow_publishing else "do not allow"
        out.print(
            f"Terms, as accepted for {visible(terms.service)}; by your account they {allowed}"
            " publishing:",
            markup=False,
        )
        out.print(visible(terms.text), markup=False)
    out.print()


def _files(target: Target, hub: Hub) -> Table:
    from llamaduo.reporting.formatting import count
    from llamaduo.reporting.tables import Column, Table

    package = target.package
    state = "is there already" if target.before else "will be created"
    rows = [(name, count(path.stat().st_size)) for name, path in package.files.items()]
    rows += [(f"{name} (removed there)", "") for name in target.stale]
    return Table(
        f"{hub.page(package.repository, package.kind)} ({package.kind}, {state})",
        (Column("File", numeric=False), Column("Bytes")),
        (*rows, ("all", count(package.size))),
    )


def _pairs(plan: Plan) -> Table:
    from llamaduo.reporting.formatting import count
    from llamaduo.reporting.tables import Column, Table

    sent = any(package.kind == "dataset" for package in plan.packages)
    return Table(
        "Pairs" if sent else "Pairs (they stay here; the model was trained on train and synthetic)",
        (Column("Split", numeric=False), Column("Pairs")),
        tuple((split, count(number)) for split, number in plan.data.counts.items()),
    )


def _personal(plan: Plan) -> Table:
    from llamaduo.deployment.outgoing import SHOWN_IDS
    from llamaduo.redaction.find import NOT_LOOKED_FOR, PERSONAL
    from llamaduo.reporting.formatting import count
    from llamaduo.reporting.tables import Column, Table

    rows = []
    for place, found in plan.personal.items():
        for kind, number in found.kinds.items():
            ids = found.pairs[kind]
            more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
            named = ", ".join(ids[:SHOWN_IDS]) + more
            rows.append((place, PERSONAL[kind], count(number), count(len(ids)), named))
    return Table(
        "Personal data, not redacted",
        (
            Column("In", numeric=False),
            Column("What", numeric=False),
            Column("Found"),
            Column("Pairs"),
            Column("First pairs", numeric=False),
        ),
        tuple(rows),
        note=NOT_LOOKED_FOR,
    )


# --- what has left ------------------------------------------------------------------------


def _print_done(done: tuple[Published, ...]) -> None:
    from llamaduo.cli.output import console

    out = console()
    for one in done:
        seen = "private" if one.private else "public"
        out.print(
            f"Published, {seen}: {one.address} (commit {one.commit[:12]},"
            f" {len(one.files)} files, looked at again)",
            markup=False,
        )


def _as_json(plan: Plan, done: tuple[Published, ...], hub: Hub, account: str) -> dict[str, Any]:
    terms = plan.bundle.terms
    return {
        "hub": hub.address,
        "account": account,
        "public": plan.public,
        "rehearsed": plan.bundle.rehearsed,
        "label": plan.bundle.label,
        "pairs": dict(plan.data.counts),
        "personal": {
            place: {
                kind: {"found": n, "pairs": found.pairs[kind]} for kind, n in found.kinds.items()
            }
            for place, found in plan.personal.items()
        },
        "terms": asdict(terms) if terms else None,
        "repositories": [asdict(one) for one in done],
    }
