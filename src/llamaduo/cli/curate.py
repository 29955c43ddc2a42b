"""`llamaduo curate`: the stage of a run, or a file of pairs on its own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamaduo.cli.options import (
    DEFAULT_CONFIG,
    JsonOption,
    NameOption,
    RehearseOption,
    SetOption,
    YesOption,
)
from llamaduo.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llamaduo.cli.curating import Material, Outcome, Places
    from llamaduo.cli.session import Session
    from llamaduo.curation.thresholds import Trial
    from llamaduo.reporting.tables import Table

PairsArgument = Annotated[
    str | None,
    typer.Argument(
        help="A file of pairs; left out, the run's batch is curated, if that is next.",
        metavar="PAIRS",
        show_default=False,
    ),
]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        help="Pairs that are there already, such as the train split: PAIRS must differ from them"
        " and be written as they are. May repeat.",
        metavar="FILE",
    ),
]
TestOption = Annotated[
    list[str] | None,
    typer.Option(
        "--test", help="Held-out pairs that PAIRS must not resemble. May repeat.", metavar="FILE"
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="The folder to write to; else beside PAIRS.", metavar="DIR"),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Write nothing; show what other thresholds would drop, each by itself."
    ),
]
TokenizerOption = Annotated[
    Path | None,
    typer.Option(
        "--tokenizer",
        help="A tokenizer.json, or the folder of a model that has one: lengths in its tokens.",
        metavar="PATH",
    ),
]
OwnConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help=f"The configuration file. A run has {DEFAULT_CONFIG} unless told otherwise; of a file"
        " named here for PAIRS, the sections curation, task and coverage count.",
        metavar="FILE",
    ),
]


def curate(
    pairs: PairsArgument = None,
    against: AgainstOption = None,
    test: TestOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    tokenizer: TokenizerOption = None,
    config: OwnConfigOption = None,
    overrides: SetOption = None,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Deduplicate, filter and decontaminate new pairs: the run's batch, or a file on its own.

    llamaduo curate new.jsonl --against train.jsonl --test test.jsonl

    writes new.kept.jsonl and new.dropped.jsonl, where every drop has its step,
    its reason and the pair it lost to. All formats that coverage import reads
    will do. Nothing is sent; nothing is redacted either: what is personal in
    the pairs stays in the files.
    """
    if pairs is None:
        given = {"--against": against, "--test": test, "--out": out, "--force": force}
        _refuse(given | {"--tokenizer": tokenizer}, "needs PAIRS, the file to curate")
        _curate_run(config or DEFAULT_CONFIG, overrides, name, rehearse, yes, json, dry_run)
        return
    of_runs = {"--name": name, "--rehearse": rehearse, "--yes": yes}
    _refuse(of_runs, f"is about a run, and {pairs} is a file on its own")
    if dry_run:
        unused = {"--out": out, "--force": force, "--tokenizer": tokenizer}
        _refuse(unused, "does not fit --dry-run, which writes nothing")
    if not against:
        raise UsageError(
            f"--against is missing: what {pairs} must differ from, and is held to the habits of.",
            hint="Name the train split: --against train.jsonl",
        )
    from llamaduo.cli.curating import Places, places_for, settings_for

    settings = settings_for(config, overrides or ())
    if dry_run:
        _try_file(Places(pairs, tuple(against), tuple(test or ())), settings, json)
        return
    places = places_for(pairs, tuple(against), tuple(test or ()), out, force=force)
    _curate_file(places, settings, tokenizer, json)


def _refuse(options: dict[str, Any], why: str) -> None:
    given = [option for option, value in options.items() if value]
    if given:
        raise UsageError(f"{given[0]} {why}.", hint="`llamaduo curate --help` shows both uses.")


# --- a run ----------------------------------------------------------------------------------


def _curate_run(
    config: Path,
    overrides: list[str] | None,
    name: str | None,
    rehearse: bool,
    yes: bool,
    json: bool,
    dry_run: bool,
) -> None:
    from llamaduo.cli.session import begin_existing
    from llamaduo.cli.stage_commands import Options, do_stage

    if dry_run:
        _try_run(begin_existing(config, name, rehearse, overrides), json)
    else:
        do_stage("curate", Options(config, overrides, name, rehearse, yes, json))


def _try_run(session: Session, json: bool) -> None:
    """What other thresholds would drop of the run's last batch. The run stays as it is."""
    from llamaduo.cli.curating import batch_of, try_thresholds
    from llamaduo.cli.progress import showing_progress

    cycle, material = batch_of(session.directory)
    with showing_progress() as notify:
        trials = try_thresholds(material, session.real, notify)
    what = f"the batch made after cycle {cycle}"
    _show_trials(trials, what, len(material.raw), _NEXT_OF_RUN, json)


# --- a file on its own ----------------------------------------------------------------------


def _try_file(places: Places, settings: Any, json: bool) -> None:
    from llamaduo.cli.curating import read_material, try_thresholds
    from llamaduo.cli.progress import showing_progress

    with showing_progress() as notify:
        material = read_material(places, settings, notify)
        trials = try_thresholds(material, settings, notify)
    _show_trials(trials, places.pairs, len(material.raw), _NEXT_OF_FILE, json, material)


def _curate_file(places: Places, settings: Any, tokenizer: Path | None, json: bool) -> None:
    from llamaduo.cli.curating import curate_material, read_material, token_counter
    from llamaduo.cli.progress import showing_progress

    count = token_counter(tokenizer) if tokenizer else None
    with showing_progress() as notify:
        material = read_material(places, settings, notify)
        outcome = curate_material(material, settings, places, count, notify)
    _show_outcome(outcome, material, places, json)


def _show_outcome(outcome: Outcome, material: Material, places: Places, json: bool) -> None:
    from llamaduo.cli.output import console, print_json, print_tables
    from llamaduo.reporting.formatting import part
    from llamaduo.reporting.tables import (
        drops_by_language,
        drops_of_batch,
        portrait_tables,
        refused_rows,
        warnings_of,
    )
    from llamaduo.tasks.showing import visible

    if json:
        print_json(_as_json(outcome, material, places))
        return
    curated, out = outcome.curated, console()
    portraits = [("kept", outcome.portrait)]
    tongues = drops_by_language([(Path(places.pairs).name, outcome.by_language)])
    print_tables(
        [
            refused_rows(material.refused),
            drops_of_batch(curated.dropped, len(material.raw)),
            *([tongues] if tongues else []),
            *portrait_tables(portraits),
        ]
    )
    if curated.discounted:
        frames = "; ".join(f"“{visible(frame)}”" for frame in curated.discounted)
        out.print(f"Did not count, since many train prompts share it: {frames}", markup=False)
    for warning in warnings_of(portraits):
        out.print(f"Warning: {warning}", markup=False)
    if not places.test:
        out.print("Nothing was decontaminated: --test FILE names held-out pairs.")
    kept = part(len(curated.kept), len(material.raw))
    for line in (
        f"Kept: {kept}, in {places.kept}",
        f"Dropped: {len(curated.dropped):,}, in {places.dropped}",
        f"Next: look at why in {places.dropped}; --dry-run shows what other thresholds would drop.",
    ):
        out.print(line, markup=False, soft_wrap=True)  # whole paths, which can be copied


def _as_json(outcome: Outcome, material: Material, places: Places) -> dict[str, Any]:
    import json
    from collections import Counter

    from llamaduo.storage.jsonl import dump_record

    curated = outcome.curated
    return {
        "pairs": len(material.raw),
        "refused": [asdict(row) for row in material.refused],
        "kept": len(curated.kept),
        "dropped": dict(Counter(drop.step for drop in curated.dropped)),
        "by_language": outcome.by_language,
        "discounted": list(curated.discounted),
        "portrait": json.loads(dump_record(outcome.portrait)),
        "files": {"kept": str(places.kept), "dropped": str(places.dropped)},
    }


# --- thresholds -----------------------------------------------------------------------------


_NEXT_OF_FILE = (
    "choose a threshold with --set, as in --set curation.novelty=0.8, and leave out --dry-run."
)
_NEXT_OF_RUN = (
    "set a threshold in llamaduo.yaml before the run curates its first batch; after that, its"
    " settings are fixed, and another run (--name) can have others."
)


def _show_trials(
    trials: Sequence[Trial],
    what: str,
    pairs: int,
    then: str,
    json: bool,
    material: Material | None = None,
) -> None:
    from llamaduo.cli.output import console, print_json, print_tables
    from llamaduo.reporting.tables import refused_rows

    refused = material.refused if material else ()
    if json:
        print_json(
            {
                "pairs": pairs,
                "refused": [asdict(row) for row in refused],
                "trials": [asdict(trial) for trial in trials],
            }
        )
        return
    print_tables([refused_rows(refused), *_trial_tables(trials, pairs)])
    console().print(
        f"A dry run over {what}: nothing was written. Next: {then}", markup=False, soft_wrap=True
    )


def _trial_tables(trials: Sequence[Trial], pairs: int) -> list[Table]:
    """A table for each setting, the threshold that is set now standing out."""
    from llamaduo.reporting.formatting import part
    from llamaduo.reporting.tables import Column, Table

    tables = []
    for setting in dict.fromkeys(trial.setting for trial in trials):
        own = [trial for trial in trials if trial.setting == setting]
        columns = (Column("Threshold"), Column(f"Dropped by {own[0].step}"), Column("Kept in all"))
        rows = tuple(
            (
                f"{trial.threshold:g}{' (now)' if trial.current else ''}",
                part(trial.dropped, pairs),
                part(trial.kept, pairs),
            )
            for trial in own
        )
        now = frozenset(place for place, trial in enumerate(own) if trial.current)
        tables.append(Table(f"curation.{setting}", columns, rows, "", now))
    return tables
