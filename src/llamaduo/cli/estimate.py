"""`llamaduo estimate`: what a run will ask, pay and work, before it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamaduo.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, NameOption, SetOption

if TYPE_CHECKING:
    from llamaduo.cli.session import Session
    from llamaduo.config import Config
    from llamaduo.estimate import Estimate
    from llamaduo.reporting.cost import Span

ProbeOption = Annotated[
    bool,
    typer.Option(
        "--probe/--no-probe", help="Measure how fast this machine is, where no run has yet."
    ),
]


def estimate(
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    name: NameOption = None,
    probe: ProbeOption = True,
    json: JsonOption = False,
) -> None:
    """What a run will ask, pay and work: all of it, or what is left of a run that has begun."""
    from llamaduo.cli.output import console, print_json, print_tables
    from llamaduo.cli.session import begin
    from llamaduo.reporting.tables import calls_ahead, work_ahead

    session = begin(config, overrides, name, rehearse=False)
    found, unmeasured = _estimate(session, probe)
    notes = [*assumptions(found, session.real), *([unmeasured] if unmeasured else [])]
    if json:
        print_json(_as_json(found, session.real, notes))
        return
    print_tables([calls_ahead(found.calls), work_ahead(found.local, found.speed)])
    for note in notes:
        console().print(note, markup=False)


def _estimate(session: Session, may_probe: bool) -> tuple[Estimate, str]:
    """The estimate, and why there are no hours in it, if there are none."""
    from llamaduo.cli.progress import showing_progress
    from llamaduo.cli.session import model_cache
    from llamaduo.errors import ExtraMissing, ModelError, StageFailed
    from llamaduo.estimate import estimate, measured_speed, split_of
    from llamaduo.probe import probe

    config, directory, root = session.real, session.directory, session.root
    split = split_of(config, directory, root)
    speed = measured_speed(config, directory)
    if speed or not may_probe:
        return estimate(config, directory, split, speed=speed), ""
    try:
        with showing_progress() as notify:
            probed = probe(config, split, cache=model_cache(), root=root, notify=notify)
    except (ModelError, ExtraMissing, StageFailed) as error:
        reason = f"No hours of local work: {error.message} {error.hint}".rstrip()
        return estimate(config, directory, split), reason
    return estimate(config, directory, split, speed=probed.speed, count=probed.count), ""


def forecast(session: Session) -> Estimate:
    """What is left to pay for, without a look at how fast this machine is.

    Raises:
        DataError: the data cannot be read or split.
    """
    from llamaduo.estimate import estimate, split_of

    split = split_of(session.real, session.directory, session.root)
    return estimate(session.real, session.directory, split)


# --- in words -------------------------------------------------------------------------------


def assumptions(found: Estimate, config: Config) -> list[str]:
    """What the figures rest on, in sentences."""
    from llamaduo.reporting.formatting import plural, usd
    from llamaduo.service.batch.offers import notices
    from llamaduo.service.setbacks import MOST_ATTEMPTS

    if found.ended:
        notes = ["The run has its verdict: nothing is expected to be left."]
    else:
        usual = (
            f"Expected: the target is met after {plural(found.cycles, 'cycle')}, replies are as"
            " long as they usually are, and as many answers are alike as in the sets judged so far"
            " (none before that); equal ones are judged once."
        )
        notes = [usual]
    if any(one.calls.at_most for one in found.calls):
        notes.append(
            f"At most: all {plural(found.most_cycles, 'cycle')}, every answer different, every"
            " reply as long as max_output_tokens lets it be (lower that to lower the sum). A reply"
            f" of no use is asked for again, up to {MOST_ATTEMPTS} attempts a question: those come"
            " on top."
        )
    if found.spent_usd:
        notes.append(f"Spent so far: {usd(found.spent_usd)}; it is in no figure above.")
    engine = config.inference.engine
    if found.speed and found.speed.source == "probe" and engine != "transformers":
        notes.append(
            "The probe timed answers on transformers, in this process. How long inference.engine:"
            f" {engine} takes shows as soon as the run, or its rehearsal, has answers."
        )
    notes += notices((config.service, *config.judges))
    notes.append("`llamaduo deploy --check` may ask the judges again; it says so before it does.")
    return [*notes, _budget(config)]


def _budget(config: Config) -> str:
    from llamaduo.reporting.formatting import usd

    budget = config.limits.budget_usd
    if budget is None:
        return "No limits.budget_usd is set: nothing bounds the spending."
    return f"limits.budget_usd stops the run before it has spent more than {usd(budget)}."


def describe(found: Estimate, config: Config) -> str:
    """What a run may cost, in the few lines that stand before the question whether it may."""
    from dataclasses import astuple

    from llamaduo.reporting.cost import together

    dollars, unpriced = together(found.calls)
    lines = ["This run calls paid services. What is left of it, as it usually goes and at most:"]
    for one in found.calls:
        if one.calls.at_most:
            price = _from_to(one.usd) if one.usd else "price unknown"
            calls = _span(*(f"{round(calls):,}" for calls in astuple(one.calls)))
            lines.append(f"  {one.stage:<14} {one.model}  {calls} calls, {price}")
    sums = [_from_to(dollars)] if dollars.at_most else []
    sums += [f"what {', '.join(unpriced)} charges (set service.price)"] if unpriced else []
    lines.append(f"  together {', and '.join(sums)}.")
    lines += [f"  {note}" for note in assumptions(found, config)]
    return "\n".join(lines)


def _from_to(dollars: Span) -> str:
    from llamaduo.reporting.formatting import usd

    return _span(usd(dollars.expected), usd(dollars.at_most))


def _span(expected: str, at_most: str) -> str:
    return expected if expected == at_most else f"{expected} to {at_most}"


# --- for a program --------------------------------------------------------------------------


def _as_json(found: Estimate, config: Config, notes: list[str]) -> dict[str, Any]:
    from dataclasses import asdict

    from llamaduo.reporting.cost import together

    dollars, unpriced = together(found.calls)
    return {
        "calls": [asdict(one) for one in found.calls],
        "usd": asdict(dollars),
        "unpriced": list(unpriced),
        "spent_usd": found.spent_usd,
        "budget_usd": config.limits.budget_usd,
        "cycles": {"expected": found.cycles, "at_most": found.most_cycles},
        "local": [asdict(stage) for stage in found.local],
        "speed": asdict(found.speed) if found.speed else None,
        "notes": notes,
    }
