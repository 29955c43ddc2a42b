"""``llamaduo show``: what is inside a run, as tables with filters, or whole records as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from llamaduo.cli.options import JsonOption

if TYPE_CHECKING:
    from llamaduo.reporting.inside import Wanted
    from llamaduo.reporting.tables import Table

show = typer.Typer(help="Look inside a run.", no_args_is_help=True)

RunArgument = Annotated[
    str | None,
    typer.Argument(
        help="A run directory, or the name of a run in ./runs; left out where there is only one.",
        metavar="[RUN]",
        show_default=False,
    ),
]
CycleOption = Annotated[
    str | None,
    typer.Option(
        "--cycle",
        help="A number, base, final, service or service-final. Left out: the best.",
        metavar="N",
    ),
]
CycleNumberOption = Annotated[
    int | None,
    typer.Option("--cycle", min=0, help="Only after this cycle.", metavar="N"),
]
PromptOption = Annotated[
    str, typer.Option("--prompt", help="The beginning of a pair's id.", metavar="ID")
]
JudgeOption = Annotated[
    str, typer.Option("--judge", help="A part of a judge's name.", metavar="NAME")
]
MetricOption = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help="What --below, --above and the order mean: precision, similarity, or one of"
        " judging.metrics. Left out: the mean.",
        metavar="NAME",
    ),
]
BelowOption = Annotated[
    float | None, typer.Option("--below", help="Scores below this.", metavar="SCORE")
]
AboveOption = Annotated[
    float | None, typer.Option("--above", help="Scores above this.", metavar="SCORE")
]
ContainsOption = Annotated[
    str, typer.Option("--contains", help="A text, in any case.", metavar="TEXT")
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit", min=0, help="Rows at most, 0 for all. Left out: 20; all of them with --json."
    ),
]

_ROWS = 20
_CELL = 70
"""Characters of a text in a terminal's table; in a pipe they are whole."""


@show.command()
def run(run: RunArgument = None, json: JsonOption = False) -> None:
    """What is done, what it scored, what it cost: the whole run."""
    from llamaduo.cli.session import find_run
    from llamaduo.cli.showing import print_run, run_as_json

    directory = find_run(run)
    _print(json, lambda: run_as_json(directory), lambda: print_run(directory))


@show.command()
def cycle(run: RunArgument = None, cycle: CycleOption = None, json: JsonOption = False) -> None:
    """One cycle, the base model or the final split: scores by judge, losses, drops, speed."""
    from llamaduo.cli.session import find_run
    from llamaduo.cli.showing import cycle_as_json, print_cycle
    from llamaduo.reporting.sets import set_folder

    directory = find_run(run)
    where = set_folder(directory.root, cycle)
    _print(json, lambda: cycle_as_json(directory, where), lambda: print_cycle(directory, where))


@show.command()
def responses(
    run: RunArgument = None,
    cycle: CycleOption = None,
    response_id: Annotated[
        str | None,
        typer.Option("--id", help="One response in full: its id, or how it begins.", metavar="ID"),
    ] = None,
    prompt: PromptOption = "",
    judge: JudgeOption = "",
    metric: MetricOption = None,
    below: BelowOption = None,
    above: AboveOption = None,
    contains: ContainsOption = "",
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """Responses, the worst first; with --id one of them, with all that was said about it."""
    from llamaduo.cli.session import find_run
    from llamaduo.cli.showing import response_as_json, show_whole_response
    from llamaduo.reporting.inside import responses as find_responses
    from llamaduo.reporting.inside_tables import response_table
    from llamaduo.reporting.sets import set_folder

    directory = find_run(run)
    where = set_folder(directory.root, cycle)
    if response_id is not None:
        show_whole_response(directory, where, response_id, json)
        return
    wanted = _wanted(prompt, contains, judge, metric, below, above)
    found = find_responses(directory.root, where, wanted)
    rows, all_of = _limits(limit)
    _print(
        json,
        lambda: [response_as_json(one) for one in found[:all_of]],
        lambda: _print_table(response_table(_title("Responses", where), found, rows, _cell())),
    )


@show.command()
def judgements(
    run: RunArgument = None,
    cycle: CycleOption = None,
    prompt: PromptOption = "",
    judge: JudgeOption = "",
    metric: MetricOption = None,
    below: BelowOption = None,
    above: AboveOption = None,
    contains: ContainsOption = "",
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """Judgements with their reasons, the lowest first; those that did not count come last."""
    from llamaduo.cli.session import find_run
    from llamaduo.reporting.inside import judgements as find_judgements
    from llamaduo.reporting.inside_tables import judgement_table
    from llamaduo.reporting.sets import set_folder

    directory = find_run(run)
    where = set_folder(directory.root, cycle)
    wanted = _wanted(prompt, contains, judge, metric, below, above)
    found = find_judgements(directory.root, where, wanted)
    rows, all_of = _limits(limit)
    _print(
        json,
        lambda: [_plain(one) for one in found[:all_of]],
        lambda: _print_table(judgement_table(_title("Judgements", where), found, rows, _cell())),
    )


@show.command()
def pairs(
    run: RunArgument = None,
    split: Annotated[
        Literal["train", "test", "final", "synthetic", "accepted"],
        typer.Option("--split", help="Which pairs."),
    ] = "accepted",
    cycle: CycleNumberOption = None,
    prompt: PromptOption = "",
    contains: ContainsOption = "",
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """The pairs of a split, or the synthetic ones that were kept."""
    from llamaduo.cli.session import find_run
    from llamaduo.errors import UsageError
    from llamaduo.reporting.inside import pairs as find_pairs
    from llamaduo.reporting.inside_tables import pair_table

    if cycle is not None and split != "synthetic":
        raise UsageError(
            f"The {split} pairs are of no cycle.", hint="--cycle goes with --split synthetic."
        )
    found = find_pairs(find_run(run).root, split, cycle, _wanted(prompt, contains))
    rows, all_of = _limits(limit)
    _print(
        json,
        lambda: [_plain(one) for one in found[:all_of]],
        lambda: _print_table(pair_table(f"Pairs: {split}", found, rows, _cell())),
    )


@show.command()
def dropped(
    run: RunArgument = None,
    cycle: CycleNumberOption = None,
    step: Annotated[
        str, typer.Option("--step", help="A part of the step's name.", metavar="NAME")
    ] = "",
    reason: Annotated[
        str, typer.Option("--reason", help="A part of the reason.", metavar="TEXT")
    ] = "",
    prompt: PromptOption = "",
    contains: ContainsOption = "",
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """The synthetic pairs that curation did not keep: at which step, why, and lost to which."""
    from llamaduo.cli.session import find_run
    from llamaduo.reporting.inside import dropped as find_dropped
    from llamaduo.reporting.inside_tables import dropped_table

    found = find_dropped(find_run(run).root, cycle, step, reason, _wanted(prompt, contains))
    rows, all_of = _limits(limit)
    _print(
        json,
        lambda: [{"cycle": number, **_plain(one)} for number, one in found[:all_of]],
        lambda: _print_table(dropped_table("Dropped by curation", found, rows, _cell())),
    )


@show.command()
def calls(
    run: RunArgument = None,
    key: Annotated[
        str,
        typer.Option("--key", help="One call in full: its key, or how it begins.", metavar="KEY"),
    ] = "",
    stage: Annotated[str, typer.Option("--stage", help="judge or synthesize.")] = "",
    model: Annotated[str, typer.Option("--model", help="A part of a model's name.")] = "",
    state: Annotated[
        Literal["answered", "failed", "sent"] | None, typer.Option("--state", help="What came.")
    ] = None,
    contains: ContainsOption = "",
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """Every call to a service LLM as the ledger has it, with the sums of tokens and dollars."""
    from llamaduo.cli.session import find_run
    from llamaduo.cli.showing import show_calls
    from llamaduo.reporting.inside import CallsWanted

    wanted = CallsWanted(key=key, stage=stage, model=model, state=state or "", contains=contains)
    rows, all_of = _limits(limit)
    show_calls(find_run(run), wanted, all_of if json else rows, json)


# --- the same for all of them -------------------------------------------------------------


def _wanted(
    prompt: str,
    contains: str,
    judge: str = "",
    metric: str | None = None,
    below: float | None = None,
    above: float | None = None,
) -> Wanted:
    from llamaduo.reporting.inside import Wanted

    return Wanted(
        prompt=prompt, contains=contains, judge=judge, metric=metric, below=below, above=above
    )


def _limits(limit: int | None) -> tuple[int, int]:
    """Rows of a table, and records of a JSON array."""
    if limit is None:
        return _ROWS, sys.maxsize
    return (limit, limit) if limit else (sys.maxsize, sys.maxsize)


def _cell() -> int | None:
    return _CELL if sys.stdout.isatty() else None


def _title(what: str, where: str) -> str:
    from llamaduo.reporting.sets import set_words

    return f"{what} of {set_words(where)}"


def _print(json: bool, records: Callable[[], Any], draw: Callable[[], None]) -> None:
    from llamaduo.cli.output import print_json

    if json:
        print_json(records())
    else:
        draw()


def _print_table(table: Table) -> None:
    from llamaduo.cli.output import console, print_tables

    if table.rows:
        print_tables([table])
    else:
        console().print(f"{table.title}: nothing fits.", markup=False)


def _plain(record: object) -> Any:
    from llamaduo.cli.showing import plain

    return plain(record)
