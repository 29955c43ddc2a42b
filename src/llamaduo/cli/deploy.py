"""`llamaduo deploy`: the bundle in the form that is wanted, checked before it is promoted."""

from __future__ import annotations

import os
import shlex
import sys
from enum import StrEnum
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
    from llamaduo.cli.progress import Shown
    from llamaduo.deploy import Deployed
    from llamaduo.gate import AskLeave
    from llamaduo.inference.served import Served
    from llamaduo.run import Run


class GgufChoice(StrEnum):
    """What ``--gguf`` takes: ``deployment.settings.GgufKind``, as Typer wants it in a list."""

    F16 = "F16"
    Q8_0 = "Q8_0"


def deploy(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    form: Annotated[
        Literal["merged", "adapter"] | None,
        typer.Option(help="One model that needs nothing else, or LoRA on its base."),
    ] = None,
    gguf: Annotated[
        list[GgufChoice] | None,
        typer.Option(help="A file for llama.cpp and Ollama besides; may be repeated."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Send the test prompts through every form first; refuse what differs."
        ),
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            help="With --check: an OpenAI-compatible server that runs the bundle, as in"
            " http://127.0.0.1:8000/v1.",
            metavar="URL",
        ),
    ] = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Build the bundle of a finished run: merged weights, adapter, GGUF.

    Exit code 3: a form answers too differently from the model that was judged.
    """
    from llamaduo.cli.progress import drawing_progress
    from llamaduo.cli.session import begin_existing, owned
    from llamaduo.deploy import check_same_aim
    from llamaduo.deploy import deploy as build
    from llamaduo.errors import UsageError

    if server and not check:
        raise UsageError("--server is checked for parity only.", hint="Add --check.")
    asked = [*(overrides or ()), *_as_settings(form, gguf)]
    session = begin_existing(config, name, rehearse, asked)
    check_same_aim(session.directory, session.real)
    served = _served(server, session.directory.root.name) if server else None
    with drawing_progress() as shown, owned(session, shown.notify) as run:
        with shown.paused():
            _ask_terms(run)
        leave = _asking(run, shown, confirmed=yes)
        deployed = build(run, check=check, ask_leave=leave, server=served)
    _print(deployed, as_json=json)


def _as_settings(form: str | None, gguf: list[GgufChoice] | None) -> list[str]:
    settings = [f"deployment.form={form}"] if form else []
    if gguf:
        settings.append(f"deployment.gguf=[{', '.join(dict.fromkeys(gguf))}]")
    return settings


def _served(url: str, name: str) -> Served:
    """The model ``name`` at ``url``, or the only one that is there."""
    from llamaduo.errors import UsageError
    from llamaduo.inference.served import Served, served_models

    if (
        "@" in url.partition("://")[2].partition("/")[0]
    ):  # it would be shown, and kept in the bundle
        raise UsageError(
            "--server has a user name or a password in it.",
            hint="Write it as http://HOST:PORT/v1, and the server's token into LLAMADUO_TOKEN.",
        )
    token = os.environ.get("LLAMADUO_TOKEN")
    models = served_models(url, token)
    if name not in models and len(models) != 1:
        raise UsageError(
            f"{url} serves {', '.join(models) or 'no model'}, and none is called {name}.",
            hint="Serve this run's bundle alone, or under the run's name.",
        )
    return Served(url.rstrip("/"), name if name in models else models[0], token)


# --- questions ----------------------------------------------------------------------------

TERMS_QUESTION = """\
Which terms of the provider of {service} did you accept for its replies? They go into the model
card, word for word; llamaduo does not judge them. Give their address and what they say about
models made with the replies, or nothing to leave it open. (`service.terms` in the
configuration answers this, too.)"""


def _ask_terms(run: Run) -> None:
    """Ask once, in a terminal. What was said is kept in the run as ``terms.json``."""
    from llamaduo.packing import accepted_terms
    from llamaduo.records import Terms
    from llamaduo.storage.jsonl import write_record

    finished, record = run.directory.verdict.is_file(), run.directory.root / "terms.json"
    known = accepted_terms(run) is not None or record.is_file()
    if run.rehearsed or known or not finished or not sys.stdin.isatty():
        return
    service = run.config.service.model
    typer.echo(TERMS_QUESTION.format(service=service), err=True)
    text = typer.prompt("Terms", default="", show_default=False, err=True).strip()
    public = bool(text) and typer.confirm(
        "Do they let data and models made with replies be public?", err=True
    )
    write_record(record, Terms(service=service, text=text, allow_publishing=public))


def _asking(run: Run, shown: Shown, *, confirmed: bool) -> AskLeave:
    """Says what judging the differences costs, and asks, unless it is free or was allowed."""
    from llamaduo.errors import UsageError
    from llamaduo.reporting.formatting import usd as in_dollars

    limits = run.config.limits
    allowed = confirmed or limits.budget_usd is not None

    def ask_leave(form: str, calls: int) -> None:
        cost = 0.0 if run.rehearsed else _usd_of_judging(run, calls)
        if cost == 0:
            return
        price = "at a price that is not known" if cost is None else f"about {in_dollars(cost)}"
        small = cost is not None and cost <= limits.confirm_above_usd
        with shown.paused():
            text = f"{form}: some answers differ. Scoring them takes up to {calls:,} calls"
            typer.echo(f"{text}, {price}.", err=True)
            if allowed or small:
                return
            if not sys.stdin.isatty():
                raise UsageError(
                    f"Scoring what differs costs money ({price}), and nothing says that it may.",
                    hint="Give --yes, set limits.budget_usd, or raise limits.confirm_above_usd.",
                )
            typer.confirm("Ask the judges?", abort=True, err=True)

    return ask_leave


def _usd_of_judging(run: Run, calls: int) -> float | None:
    """What ``calls`` judgements cost if they are as long as those of this run; None: unknown."""
    from llamaduo.service.pricing import price_of, usd_of_calls

    judges = {judge.model: judge for judge in run.config.judges}
    if any(price_of(judge) is None for judge in judges.values()):
        return None
    rows = [row for row in run.ledger.spend() if row.stage == "judge" and row.model in judges]
    cost = sum(
        usd_of_calls(judges[row.model], row.answered, row.input_tokens, row.output_tokens)
        for row in rows
    )
    answered = sum(row.answered for row in rows)
    return calls * cost / answered if answered else 0.0


# --- what is printed ------------------------------------------------------------------------


def _print(deployed: Deployed, *, as_json: bool) -> None:
    from dataclasses import asdict

    from llamaduo.cli.output import console, print_json, print_tables
    from llamaduo.reporting.tables import parity_table

    bundle = deployed.bundle
    if as_json:
        print_json(
            {
                "bundle": str(deployed.folder),
                "label": bundle.label,
                "form": bundle.form,
                "files": bundle.files,
                "parity": asdict(bundle.parity) if bundle.parity else None,
            }
        )
        return
    out = console()
    if table := parity_table(bundle.parity):
        print_tables([table])
    else:
        out.print("Not checked for parity: `llamaduo deploy --check` does that.", markup=False)
    size = sum((deployed.folder / name).stat().st_size for name in bundle.files)
    what = f"{bundle.form}, {bundle.label}, {len(bundle.files)} files, {size / 1e6:,.0f} MB"
    out.print(f"Bundle: {deployed.folder} ({what})", markup=False)
    if bundle.terms is None and not bundle.rehearsed:
        out.print("The card says that the provider's terms were not stated.", markup=False)
    out.print(f"Serve it: llamaduo serve {_shown(deployed.folder)}", markup=False)


def _shown(folder: Path) -> str:
    """As a shell takes it: relative to where the user stands, if it is below."""
    try:
        return shlex.quote(str(folder.resolve().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(folder))
