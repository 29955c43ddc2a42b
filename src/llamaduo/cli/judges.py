"""`llamaduo judges`: what the judges of a run are worth, and what a person says to it.

Reads a run and never writes into it; a sheet for a person goes where the user says.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamaduo.cli.options import JsonOption
from llamaduo.cli.show_commands import CycleOption, RunArgument
from llamaduo.errors import UsageError

if TYPE_CHECKING:
    from llamaduo.config import Config
    from llamaduo.records import HumanAgreement, Judged
    from llamaduo.storage.run_directory import RunDirectory

RESPONSES = 50
"""How many responses a sheet has, unless more or fewer are asked for."""


def judges(
    run: RunArgument = None,
    cycle: CycleOption = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            help="Write responses to be scored by a person: JSON Lines, without the judges' marks.",
            metavar="FILE",
        ),
    ] = None,
    responses: Annotated[
        int | None,
        typer.Option(
            "--responses",
            min=1,
            help=f"With --sheet: how many, from all fifths of the scale; {RESPONSES} if left out.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    human: Annotated[
        Path | None,
        typer.Option(
            "--human",
            help="A sheet that a person has filled in: how the judges agree with it.",
            metavar="FILE",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """What the judges are worth; a sheet for a person to score, and how they agree with it."""
    from llamaduo.cli.session import find_run
    from llamaduo.reporting.sets import set_folder

    if sheet is not None and human is not None:
        raise UsageError("--sheet writes a sheet and --human reads one.", hint="Give one of them.")
    if responses is not None and sheet is None:
        raise UsageError("--responses is about a sheet.", hint="Add --sheet FILE.")
    directory = find_run(run)
    where = set_folder(directory.root, cycle)
    if sheet is not None:
        _write(directory, where, sheet, responses or RESPONSES, as_json=json)
    elif human is not None:
        _compare(directory, where, human, as_json=json)
    else:
        _show(directory, where, as_json=json)


def _show(directory: RunDirectory, where: str, *, as_json: bool) -> None:
    from llamaduo.cli.output import print_json
    from llamaduo.cli.showing import judges_as_json, print_judges

    if as_json:
        print_json(judges_as_json(directory, where))
    else:
        print_judges(directory, where)


# --- a person's sheet -----------------------------------------------------------------------


def _write(directory: RunDirectory, where: str, path: Path, count: int, *, as_json: bool) -> None:
    """Write a sheet; one that is there already may be filled in, and stays."""
    from llamaduo.cli.output import console, print_json
    from llamaduo.evaluation.scores import panel_values
    from llamaduo.evaluation.sheet import sample, sheet
    from llamaduo.records import Pair
    from llamaduo.reporting.formatting import plural
    from llamaduo.reporting.sets import set_words, split_of
    from llamaduo.storage.atomic import write_atomic
    from llamaduo.storage.jsonl import read_records

    if path.exists():
        raise UsageError(f"{path} is there already.", hint="Name another file, or move it away.")
    config, judged = _judged(directory, where)
    settings = config.judging
    pairs = read_records(directory.coverage / f"{split_of(where)}.jsonl", Pair)
    chosen = sample(judged.responses, panel_values(judged.judgements, settings), count)
    text = sheet(chosen, {pair.id: pair for pair in pairs}, settings.all_metrics)
    write_atomic(path, text)
    if as_json:
        print_json({"sheet": str(path), "responses": len(chosen)})
        return
    console().print(
        f"{plural(len(chosen), 'response')} of {set_words(where)}, from all over the scale, are in"
        f" {path}. Put a score from 0 to 100 in place of each null (or leave it), then run"
        f" `llamaduo judges --human {path}`.",
        markup=False,
        soft_wrap=True,
    )


def _compare(directory: RunDirectory, where: str, path: Path, *, as_json: bool) -> None:
    """How the judges agree with the person that filled in the sheet at ``path``."""
    from llamaduo.cli.output import console, print_json, print_tables
    from llamaduo.evaluation.human import read_human_scores
    from llamaduo.evaluation.judge_report import agreement_with_person
    from llamaduo.reporting.evidence import gather
    from llamaduo.reporting.formatting import of
    from llamaduo.reporting.tables import agreement_table

    if not path.is_file():
        raise UsageError(
            f"{path}: No such file.",
            hint="`llamaduo judges --sheet FILE` writes one to fill in.",
        )
    _, judged = _judged(directory, where)
    given = read_human_scores(path)
    found = agreement_with_person(judged, given.scores)
    if not any(one.responses for one in found):
        raise UsageError(
            f"{path} scores nothing that the judges of {where} scored, or other texts.",
            hint="Name the set that the sheet was made of with --cycle.",
        )
    if as_json:
        print_json(_as_json(found, given.unfilled))
        return
    print_tables([agreement_table(found, gather(directory.root))])
    filled = of(len(given.scores), len(given.scores) + given.unfilled)
    console().print(f"Filled in: {filled} lines.", markup=False)


def _judged(directory: RunDirectory, where: str) -> tuple[Config, Judged]:
    """The configuration of a run, and a set of it with what the judges said.

    Raises:
        UsageError: that set is not judged yet.
    """
    from llamaduo.assessment import judged_in
    from llamaduo.config import read_resolved
    from llamaduo.storage.manifest import check_unchanged, read_manifest

    stage = f"{where}/judge"
    finished = read_manifest(directory.manifest).stages.get(stage)
    if finished is None:
        raise UsageError(
            f"{directory.root} has no finished judging of {where}.",
            hint="`llamaduo status` says how far the run is; --cycle names another set.",
        )
    check_unchanged(finished, directory.root, stage)
    config, _ = read_resolved(directory.configuration)
    return config, judged_in(directory.root, where)


def _as_json(found: tuple[HumanAgreement, ...], unfilled: int) -> dict[str, Any]:
    from dataclasses import asdict

    return {"unfilled": unfilled, "agreement": [asdict(one) for one in found]}
