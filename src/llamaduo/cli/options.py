"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file.", metavar="FILE")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Override a setting, as in finetuning.epochs=2.", metavar="KEY=VALUE"
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="The run's folder within runs/.", metavar="NAME")
]
RehearseOption = Annotated[
    bool,
    typer.Option(
        "--rehearse", help="Use the built-in service LLM: every stage, offline, for nothing."
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Spend without asking first.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

DEFAULT_CONFIG = Path("llamaduo.yaml")
