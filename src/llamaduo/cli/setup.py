"""``llamaduo init`` and ``llamaduo doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from llamaduo.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption


def init(
    source: Annotated[
        str | None,
        typer.Option("--from", help="Your coverage data; the file is filled in from it."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a commented llamaduo.yaml, filled in from the data where it can be."""
    from llamaduo.cli.output import console, print_json
    from llamaduo.cli.starter import starter
    from llamaduo.errors import UsageError
    from llamaduo.storage.atomic import write_atomic

    if config.exists() and not force:
        raise UsageError(f"{config} exists already.", hint="--force overwrites it.")
    config.parent.mkdir(parents=True, exist_ok=True)
    written = starter(source, config.resolve().parent)
    write_atomic(config, written.text)
    if json:
        print_json({"config": str(config), "found": list(written.found)})
        return
    out = console()
    out.print(f"Wrote {config}.", markup=False)
    for line in written.found:
        out.print(f"  {line}", markup=False)
    if source is None:
        out.print("Next: name your data under coverage.data, then `llamaduo doctor`.", markup=False)
    else:
        out.print("Next: `llamaduo run --rehearse` runs it for nothing.", markup=False)


def doctor(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """What this machine, environment, keys and models can do, and what is missing.

    Exit code 0 when nothing that `llamaduo run` needs is missing, else 1.
    """
    from llamaduo.cli.checkup import examine
    from llamaduo.cli.output import print_json, print_tables
    from llamaduo.reporting.tables import Column, Table

    checks = examine(config)
    if json:
        print_json(
            [{"what": c.what, "state": c.state, "found": c.found, "fix": c.fix} for c in checks]
        )
    else:
        rows = tuple((c.what, c.state, c.found, c.fix) for c in checks)
        columns = tuple(Column(c, numeric=False) for c in ("what", "state", "found", "fix"))
        print_tables([Table("What this machine can do", columns, rows)])
    raise typer.Exit(1 if any(c.state == "missing" for c in checks) else 0)
