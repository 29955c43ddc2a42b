"""``llamaduo coverage``: look at the data, split it once."""

from __future__ import annotations

import typer

from llamaduo.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NameOption,
    RehearseOption,
    SetOption,
)
from llamaduo.cli.stage_commands import do_stage

app = typer.Typer(help="Import the coverage data and split it once.", no_args_is_help=True)


@app.command("import")
def import_data(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """Read the coverage data into the run; count what is refused and why."""
    do_stage("import", config, overrides, name, rehearse, json)


@app.command("split")
def split_data(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """Split the pairs into train, test and final, near-duplicates together."""
    do_stage("split", config, overrides, name, rehearse, json)
