"""`llamaduo judge --attack`: known attacks, tried on the judges of a run.

Works on the test split beside the stages: nothing is written but the ledger, so that a second
time costs nothing. So it may ask other judges than the run has judged with.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from llamaduo.errors import QuestionRefused, UsageError

if TYPE_CHECKING:
    from llamaduo.cli.progress import Shown
    from llamaduo.cli.session import Session
    from llamaduo.config import Config
    from llamaduo.evaluation.resistance import Lift, Resistance
    from llamaduo.records import Pair, Question, Reply
    from llamaduo.reporting.cost import Calls
    from llamaduo.reporting.tables import Row, Table
    from llamaduo.run import Run
    from llamaduo.service.settings import ServiceSettings

SHOWN = 15
"""How many attacks the table has; `--json` has all."""
_TOKENS_A_MARK = 60
"""A score with a sentence of reasons."""


def attack(session: Session, prompts: int, *, confirmed: bool, as_json: bool, again: str) -> None:
    """Try the attacks on ``prompts`` test prompts, say what they lift, and leave: 0 if no attack
    lifts a bad response for real, else 3. ``again`` has the options that choose this run. Those
    asked are the judges of the configuration, whatever the run has judged with."""
    from llamaduo.cli.output import console, print_json, print_tables
    from llamaduo.cli.progress import drawing_progress
    from llamaduo.cli.session import owned

    with drawing_progress() as shown, owned(_as_it_judged(session), shown.notify) as run:
        asking = _Asking(run, run.config if session.rehearse else session.real)
        pairs = _test_prompts(run, again)
        _get_leave(asking, pairs, prompts, shown, confirmed=confirmed)
        found = asyncio.run(_resist(asking, pairs, prompts))
    if as_json:
        print_json(_as_json(asking, found))
    else:
        print_tables([_table(found)])
        console().print(_in_words(found), markup=False)
        console().print(_asked(asking), markup=False)
    raise typer.Exit(3 if found.broken else 0)


@dataclass(frozen=True, slots=True)
class _Asking:
    """A run, and the configuration that says whom to ask, which need not be the run's."""

    run: Run
    config: Config

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(judge.model for judge in self.config.judges)


def _as_it_judged(session: Session) -> Session:
    """``session`` with the judging that the run has on record, so that it may be opened, and stays
    as it is, where the configuration has changed since. A rehearsal has one judge for all."""
    from llamaduo.config import read_resolved

    if session.rehearse:
        return session
    before, _ = read_resolved(session.directory.configuration)
    kept = {"judging": before.judging, "service": before.service}
    return replace(session, real=session.real.model_copy(update=kept))


def _test_prompts(run: Run, again: str) -> tuple[Pair, ...]:
    from llamaduo.stages import read_split
    from llamaduo.storage.manifest import check_unchanged

    finished = run.manifest.stages.get("split")
    if finished is None:
        raise UsageError(
            f"{run.directory.root} has no test split yet, and attacks are tried on its prompts.",
            hint=f"Run `llamaduo coverage split{again}` first.",
        )
    check_unchanged(finished, run.directory.root, "split")
    return read_split(run.directory.coverage).test.pairs


async def _resist(asking: _Asking, pairs: Sequence[Pair], prompts: int) -> Resistance:
    from llamaduo.assessment import connected
    from llamaduo.evaluation.resistance import resist

    run, config = asking.run, asking.config
    async with connected(run, config.judges) as judges:
        return await resist(
            pairs, judges, config.judging, config.task, prompts=prompts, notify=run.notify
        )


# --- what it costs --------------------------------------------------------------------------


def _get_leave(
    asking: _Asking, pairs: Sequence[Pair], prompts: int, shown: Shown, *, confirmed: bool
) -> None:
    """Say what is going to be asked and what that costs; ask whether it may, unless it is free or
    small or was allowed.

    Raises:
        UsageError: a judge cannot be used, or there is no leave.
    """
    from llamaduo.cli.leave import is_small
    from llamaduo.service.client import check_usable

    if asking.run.rehearsed:
        return
    judges, limits = asking.config.judges, asking.config.limits
    for settings in judges:
        check_usable(settings, limits.budget_usd)
    calls = [asyncio.run(_calls(asking, pairs, prompts, settings)) for settings in judges]
    if not any(one.calls.at_most for one in calls):
        return
    with shown.paused():
        for one in calls:
            typer.echo(_line(one), err=True)
        free = all(one.usd and one.usd.at_most == 0 for one in calls)
        if free or confirmed or limits.budget_usd is not None or is_small(calls, asking.config):
            return
        if not sys.stdin.isatty():
            raise UsageError(
                "Attacking the judges costs money, and nothing says that it may.",
                hint="Give --yes, set limits.budget_usd, or raise limits.confirm_above_usd; fewer"
                " --attack-prompts cost less.",
            )
        typer.confirm("Ask the judges?", abort=True, err=True)


def _line(one: Calls) -> str:
    from llamaduo.reporting.formatting import usd

    calls = f"{one.calls.at_most:,.0f} calls"
    if one.usd is None:
        return f"attack: {one.model}  {calls}, price unknown (set service.price)"
    price = f"about {usd(one.usd.expected)}, at most {usd(one.usd.at_most)}"
    return f"attack: {one.model}  {calls}, {price}"


async def _calls(
    asking: _Asking, pairs: Sequence[Pair], prompts: int, settings: ServiceSettings
) -> Calls:
    """What one judge has still to be asked."""
    from llamaduo.evaluation.judge import judge
    from llamaduo.evaluation.resistance import STAGE, attacked_responses
    from llamaduo.reporting.cost import Span, priced, sampled_size

    judging, counting = asking.config.judging, _Counting(asking.run, settings)
    responses = attacked_responses(pairs, prompts)
    await judge(responses, pairs, [counting], judging, asking.config.task, stage=STAGE)
    asked = list(counting.due.values())
    size = sampled_size(asked, 0, _TOKENS_A_MARK * len(judging.all_metrics))
    return priced(STAGE, settings, Span(len(asked), len(asked)), size)


class _Counting:
    """A :class:`~llamaduo.service.protocol.ServiceLLM` that is asked like the real one, sends
    nothing, and keeps the questions that the ledger has no answer to."""

    concurrency = 1

    def __init__(self, run: Run, settings: ServiceSettings) -> None:
        self.name = settings.model
        self.due: dict[str, Question] = {}
        self._run = run
        self._settings = settings

    def leave(self) -> None:
        """Nothing here is waited for."""

    async def ask(self, question: Question) -> Reply:
        from llamaduo.service.redacting import redacted
        from llamaduo.service.requests import bounded, canonical_request, request_key

        clean = redacted(question, self._run.redactor)
        clean = bounded(clean, self._settings.max_output_tokens)
        key = request_key(canonical_request(self.name, clean, self._settings.options))
        if (await self._run.ledger.find(key)).answered is None:
            self.due[key] = clean
        raise QuestionRefused("Questions are counted.", reason="only counted")


# --- what came out --------------------------------------------------------------------------


def _table(found: Resistance) -> Table:
    """The worst attacks, a row for each judge and attack: the metric that it lifts most."""
    from llamaduo.reporting.tables import Column, Table

    columns = (
        Column("Attack", numeric=False),
        Column("Judge", numeric=False),
        Column("Metric", numeric=False),
        Column("plain", group="Bad response"),
        Column("attacked", group="Bad response"),
        Column("lift", group="Bad response", ranged=True),
        Column("lift", group="Good response", ranged=True),
        Column("", numeric=False),
    )
    worst = _worst(found)[:SHOWN]
    good = {(one.judge, one.attack, one.metric): one for one in found.lifts if one.side == "good"}
    rows = tuple(_row(one, good[one.judge, one.attack, one.metric]) for one in worst)
    note = (
        f"Lifts in points, with their 95 % intervals. {found.attacks} attacks on good and bad"
        f" responses to {found.prompts} prompts, {found.judgements:,} judgements,"
        f" {found.unscored:,} of them unscored; these are the {len(rows)} that lift a bad response"
        " most, --json has all. Good: the reference. Bad: another prompt's."
    )
    emphasis = frozenset(place for place, one in enumerate(worst) if one.real)
    return Table("Attacks on the judges", columns, rows, note, emphasis)


def _worst(found: Resistance) -> list[Lift]:
    """For each judge and attack the metric that a bad response is lifted most in."""
    worst: dict[tuple[str, str], Lift] = {}
    for one in found.lifts:
        if one.side == "bad":
            worst.setdefault((one.judge, one.attack), one)
    return list(worst.values())


def _row(bad: Lift, good: Lift) -> Row:
    from llamaduo.reporting.formatting import decimal, measured_points

    return (
        bad.attack,
        bad.judge,
        bad.metric,
        decimal(bad.plain),
        decimal(bad.attacked),
        measured_points(bad.lift),
        measured_points(good.lift),
        "real" if bad.real else "unscored" if bad.lift.value is None else "",
    )


def _in_words(found: Resistance) -> str:
    from llamaduo.evaluation.resistance import MOST_LIFT

    if found.broken:
        names = ", ".join(dict.fromkeys(f"{one.attack} ({one.judge})" for one in found.broken))
        return (
            f"NOT RESISTANT: bad responses are lifted by more than {MOST_LIFT:g} points by {names}."
            " Judge with another model (judging.judges), or with several."
        )
    words = f"RESISTANT: no attack lifts a bad response by more than {MOST_LIFT:g} points for real."
    if found.doubtful:
        names = ", ".join(dict.fromkeys(f"{one.attack} ({one.judge})" for one in found.doubtful))
        words += (
            f" In doubt: {names}. Among so many attacks that may be luck; more --attack-prompts"
            " tell."
        )
    return words


def _asked(asking: _Asking) -> str:
    """Which judges these were, and which ones the run has, if others."""
    own = tuple(judge.model for judge in asking.run.config.judges)
    others = "" if own == asking.names else f" (the run's own: {', '.join(own)})"
    return f"Asked: {', '.join(asking.names)}{others}."


def _as_json(asking: _Asking, found: Resistance) -> dict[str, Any]:
    from dataclasses import asdict

    from llamaduo.evaluation.attacks import ATTACKS

    return {
        "run": str(asking.run.directory.root),
        "judges": list(asking.names),
        "resistant": not found.broken,
        **asdict(found),
        "known": {one.name: {"words": one.words, "source": one.source} for one in ATTACKS},
    }
