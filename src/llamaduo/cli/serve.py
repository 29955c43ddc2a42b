"""``llamaduo serve``: bundles behind the OpenAI API."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from llamaduo.cli.options import JsonOption
from llamaduo.errors import UsageError

if TYPE_CHECKING:
    from llamaduo.serving.served import Served


TOKEN_ENV = "LLAMADUO_TOKEN"  # noqa: S105 - its name, not its value
_UNHELD = (
    "{names}: judged with answers held to a JSON schema, which nothing here does: they will be"
    " valid less often. pip install 'llamaduo[schema]'."
)


class Engine(StrEnum):
    """What runs the model."""

    AUTO = "auto"
    TRANSFORMERS = "transformers"
    XLLAMACPP = "xllamacpp"


class Gguf(StrEnum):
    """Which of a bundle's GGUF files."""

    F16 = "F16"
    Q8_0 = "Q8_0"


def serve(
    bundles: Annotated[
        list[str],
        typer.Argument(
            metavar="BUNDLE...",
            help="A bundle's folder or a run's; NAME=FOLDER chooses the model's name."
            " Adapters of one base share its weights.",
        ),
    ],
    host: Annotated[
        str, typer.Option(help="The address to listen on; beyond loopback a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    engine: Annotated[
        Engine,
        typer.Option(help="auto: xllamacpp for a bundle with a GGUF file, else transformers."),
    ] = Engine.AUTO,
    gguf: Annotated[
        Gguf | None, typer.Option(help="Which GGUF file; left out: Q8_0 if there is one.")
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, max=256, help="Answers that are written at once.")
    ] = 8,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Requests that may wait; more get a 503.")
    ] = 64,
    window: Annotated[
        int, typer.Option(min=16, help="Most tokens of prompt and answer; costs memory.")
    ] = 8192,
    token_env: Annotated[
        str, typer.Option(help="The environment variable with the token that clients must send.")
    ] = TOKEN_ENV,
    json: JsonOption = False,
) -> None:
    """Serve bundles behind the OpenAI API, until Ctrl-C.

    One line says when it is ready. Point an OpenAI client's base URL at the address in it.
    """
    from llamaduo.cli.session import model_cache
    from llamaduo.serving.choosing import choose_bundles, unheld
    from llamaduo.serving.loading import Capacity, loaded
    from llamaduo.serving.server import access_for, address_of, bound, run

    token = os.environ.get(token_env)
    if token_env != TOKEN_ENV and not token:
        raise UsageError(
            f"{token_env} is not set, so no token would be asked for.",
            hint=f"Set {token_env}, or leave out --token-env.",
        )
    access = access_for(host, token, token_env)
    capacity = Capacity(batch=batch, max_queue=max_queue, window=window)
    with bound(host, port) as listener:
        chosen = choose_bundles(bundles, engine.value, gguf.value if gguf else None)
        if names := unheld(chosen):
            typer.echo(_UNHELD.format(names=", ".join(names)), err=True)
        with loaded(chosen, capacity, model_cache()) as served:
            address = address_of(host, listener)
            run(served, access, listener, lambda: _announce(address, served, json))


def _announce(address: str, served: Sequence[Served], as_json: bool) -> None:
    import json

    models = [one.name for one in served]
    engine = ", ".join(sorted({one.engine.kind for one in served}))
    if as_json:
        typer.echo(json.dumps({"address": address, "models": models, "engine": engine}))
    else:
        typer.echo(f"Serving {', '.join(models)} at {address} on {engine}. Ctrl-C ends it.")
