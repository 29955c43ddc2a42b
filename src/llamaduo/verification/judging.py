"""Whether every judgement is what the judge replied, and every score what the judgements make.

The judging itself is done again, by the same code, with the ledger in the judge's place: each
request is built again from prompt, reference and response, so it finds its reply only if none
of them was changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields, replace

from llamaduo.assessment import judging_of, rules_of
from llamaduo.errors import ExtraMissing, RunError
from llamaduo.evaluation.adaptive import plan_looks
from llamaduo.evaluation.assess import Material, conclude
from llamaduo.evaluation.compare import compare
from llamaduo.evaluation.controls import judge_controls
from llamaduo.evaluation.judge import judge_due
from llamaduo.inference.answers import answer
from llamaduo.records import (
    Breakdown,
    Comparison,
    Comparisons,
    Judged,
    Judgement,
    Judgements,
    Measure,
    Pair,
    PanelReport,
    Response,
    Scores,
    Unscored,
)
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.replay import NOT_STORED, replaying
from llamaduo.service.settings import ServiceSettings
from llamaduo.tasks.code import lacking
from llamaduo.verification.checks import Finding, figures_in
from llamaduo.verification.records import Records

Outcome = Judgement | Comparison | Unscored
_Place = tuple[str, str, str, int]
"""Kind, judge, response, index: which call of a judge it is."""


@dataclass(frozen=True, slots=True)
class _Calls:
    """Everything that the judges said about one set, as it is recorded or as it is read again."""

    controls: Judgements
    judgements: Judgements
    comparisons: Comparisons


def answered_by_service(records: Records, finding: Finding, where: str) -> None:
    """The service LLM's own responses, read again from its raw replies."""
    recorded = records.many(f"{where}/responses.jsonl", Response)
    derived = {one.id: one for one in asyncio.run(_answer_again(records, where))}
    for one in recorded:
        again = derived.pop(one.id, None)
        finding.expect(again == one, f"response {one.id} is not what the service LLM replied")
    for missing in derived:
        finding.differ(f"response {missing} is not recorded")


def judged(records: Records, finding: Finding, where: str) -> None:
    """Every judgement, control and comparison, read again from its raw reply; scored and unscored
    make up all that were due."""
    recorded = _recorded(records, where)
    looks = plan_looks(_responses(records, where), judging_of(records.config, where))
    rounds = _rounds(records, where)
    judges = len(records.config.judges)
    expected = judges * sum(len(looks.due(number)) for number in range(rounds))
    found = len(recorded.judgements.scored) + len(recorded.judgements.unscored)
    finding.require(
        found == expected, f"{found} judgements are recorded, {expected} were to be had"
    )
    try:
        derived = asyncio.run(_judge_again(records, where, rounds))
    except ExtraMissing as missing:
        finding.left_out = (
            "Only that every judgement has an answered call was checked; no reply was read again:"
            f" {missing.message} {missing.hint}"
        )
        _calls_are_there(records, finding, recorded)
        return
    _compare(finding, _by_place(recorded), _by_place(derived))
    for words in _twice(recorded):
        finding.differ(words)


def scored(records: Records, finding: Finding, where: str) -> None:
    """``scores.json``, ``breakdown.json`` and ``judges.json``, computed again from responses and
    judgements (Eq. 3 to 6).

    Where judging stopped may have followed from another target, and a person's scores may have
    changed since: both are taken as they are recorded.
    """
    recorded, responses = _recorded(records, where), _responses(records, where)
    material = Material(
        responses=responses,
        pairs=records.prompts_of(where),
        controls=recorded.controls,
        judgements=recorded.judgements,
        rounds=_rounds(records, where),
        comparisons=recorded.comparisons,
        ceiling=_ceiling(records, where),
    )
    config = records.config.model_copy(update=_without_person(records))
    accepted = records.many("coverage/accepted.jsonl", Pair)
    rules = rules_of(config, records.root, where, (), accepted)
    again = conclude(material, rules)
    scores = records.scores(where)
    if scores.effort and again.scores.effort:
        took = replace(again.scores.effort, standing=scores.effort.standing)
        again = replace(again, scores=replace(again.scores, effort=took))
    report = records.one(f"{where}/judges.json", PanelReport)
    recorded_as = _Figures(scores, records.one(f"{where}/breakdown.json", Breakdown))
    derived = _Figures(again.scores, again.breakdown)
    finding.checked += figures_in(again.scores)
    if recorded_as != derived and (languages := _languages_lacking(records, material)):
        finding.left_out = _NO_GRAMMAR.format(languages=", ".join(languages))
        recorded_as, derived = recorded_as.without(_PARSES), derived.without(_PARSES)
    finding.same("scores.json", recorded_as.scores, derived.scores)
    finding.same("breakdown.json", recorded_as.breakdown, derived.breakdown)
    finding.same("judges.json", report, replace(again.report, human=report.human))


# --- what only some machines can tell -----------------------------------------------------

_PARSES = "parses"
_NO_GRAMMAR = (
    "Whether code parses was not derived again, all else was: no grammar for {languages} is"
    " installed here, as there may have been where the run was made. pip install -c"
    " constraints.txt 'llamaduo[code]', then verify again."
)


@dataclass(frozen=True, slots=True)
class _Figures:
    """What is measured of a set of responses."""

    scores: Scores
    breakdown: Breakdown

    def without(self, metric: str) -> _Figures:
        """The same, but for one metric that costs nothing."""
        scores = replace(
            self.scores,
            free=_but(metric, self.scores.free),
            versus_service=_but(metric, self.scores.versus_service),
        )
        slices = (replace(s, measures=_but(metric, s.measures)) for s in self.breakdown.slices)
        return _Figures(scores, replace(self.breakdown, slices=tuple(slices)))


def _but(metric: str, measures: Mapping[str, Measure]) -> dict[str, Measure]:
    return {name: measure for name, measure in measures.items() if name != metric}


def _languages_lacking(records: Records, material: Material) -> list[str]:
    """The programming languages in prompts' references and responses without a grammar here."""
    if records.config.task.kind != "coding":
        return []
    ceiling = material.ceiling.responses if material.ceiling else ()
    texts = {one.text for one in (*material.responses, *ceiling)}
    texts |= {pair.response for pair in material.pairs}
    return sorted({language for text in texts for language in lacking(text)})


# --- the records --------------------------------------------------------------------------


def _responses(records: Records, where: str) -> tuple[Response, ...]:
    return records.many(f"{where}/responses.jsonl", Response)


def _judgements(records: Records, where: str) -> Judgements:
    return Judgements(
        scored=records.many(f"{where}/judgements.jsonl", Judgement),
        unscored=records.many(f"{where}/unscored.jsonl", Unscored),
    )


def _recorded(records: Records, where: str) -> _Calls:
    comparisons = Comparisons()
    if _compares(records, where):
        comparisons = Comparisons(
            records.many(f"{where}/comparisons.jsonl", Comparison),
            records.many(f"{where}/uncompared.jsonl", Unscored),
        )
    controls = Judgements(records.many(f"{where}/controls.jsonl", Judgement), ())
    return _Calls(controls, _judgements(records, where), comparisons)


def _rounds(records: Records, where: str) -> int:
    """How many rounds of judging there were.

    Raises:
        RunError: more than may be, or none.
    """
    effort = records.scores(where).effort
    rounds = effort.rounds if effort else 1
    most = len(plan_looks(_responses(records, where), judging_of(records.config, where)).rounds)
    if not 1 <= rounds <= most:
        raise RunError(f"{where}/scores.json: effort.rounds is {rounds}, of {most} at most.")
    return rounds


def _compares(records: Records, where: str) -> bool:
    return records.config.judging.pairwise and _ceiling_of(records, where) is not None


def _ceiling_of(records: Records, where: str) -> str | None:
    """The folder of the service LLM's answers that ``where`` is compared with."""
    folder = "service-final" if where.startswith("final") else "service"
    own = where in ("service", "service-final")
    return folder if not own and records.is_finished(f"{folder}/judge") else None


def _ceiling(records: Records, where: str) -> Judged | None:
    folder = _ceiling_of(records, where)
    return Judged(_responses(records, folder), _judgements(records, folder)) if folder else None


def _without_person(records: Records) -> dict[str, object]:
    return {"judging": records.config.judging.model_copy(update={"human_scores": None})}


# --- read again ---------------------------------------------------------------------------


async def _answer_again(records: Records, where: str) -> tuple[Response, ...]:
    async with _replaying(records, [records.config.service]) as (service,):
        times = records.config.judging.service_responses
        return await answer(records.prompts_of(where), service, times)


async def _judge_again(records: Records, where: str, rounds: int) -> _Calls:
    settings, task = judging_of(records.config, where), records.config.task
    responses, pairs = _responses(records, where), records.prompts_of(where)
    looks = plan_looks(responses, settings)
    due = [place for number in range(rounds) for place in looks.due(number)]
    notify = records.telling(f"{where}/judgements")
    async with _replaying(records, records.config.judges) as judges:
        comparisons = Comparisons()
        if folder := _ceiling_of(records, where):
            rivals = _responses(records, folder)
            if settings.pairwise:
                comparisons = await compare(responses, rivals, pairs, judges, settings, task)
        controls = await judge_controls(pairs, judges, settings, task, occasion=where)
        judgements = await judge_due(due, pairs, judges, settings, task, notify=notify)
    return _Calls(Judgements(controls.scored, ()), judgements, comparisons)


@asynccontextmanager
async def _replaying(
    records: Records, services: Sequence[ServiceSettings]
) -> AsyncIterator[list[ServiceLLM]]:
    """The ledger in the place of ``services``."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                replaying(settings, records.calls, records.observe, records.redactor)
            )
            for settings in services
        ]


def _calls_are_there(records: Records, finding: Finding, recorded: _Calls) -> None:
    """What can be told without the provider's SDK: that each judgement has an answered call."""
    for _, one in _all(recorded):
        if not isinstance(one, Unscored):
            there = records.calls.answer(one.call) is not None
            finding.require(there, f"{_named(one)}: its call {one.call[:12]} is not in the ledger")


# --- comparing ----------------------------------------------------------------------------


def _all(calls: _Calls) -> Iterator[tuple[_Place, Outcome]]:
    judged: list[Judgement | Unscored] = [*calls.controls.scored, *calls.judgements.scored]
    for one in (*judged, *calls.judgements.unscored):
        yield ("judgement", one.judge, one.response_id, one.index), one
    for compared in calls.comparisons.scored:
        index = 2 * compared.index + (not compared.local_first)
        yield ("comparison", compared.judge, compared.response_id, index), compared
    for lost in calls.comparisons.unscored:
        yield ("comparison", lost.judge, lost.response_id, lost.index), lost


def _by_place(calls: _Calls) -> dict[_Place, Outcome]:
    return dict(_all(calls))


def _twice(calls: _Calls) -> Iterator[str]:
    seen: set[_Place] = set()
    for place, one in _all(calls):
        if place in seen:
            yield f"{_named(one)} is recorded twice"
        seen.add(place)


def _compare(
    finding: Finding, recorded: dict[_Place, Outcome], derived: dict[_Place, Outcome]
) -> None:
    for place, one in derived.items():
        found = recorded.get(place)
        if found is None:
            finding.expect(False, f"{_named(one)} is not recorded")
        else:
            finding.expect(found == one, f"{_named(one)}: {_difference(found, one)}")
    for place in recorded.keys() - derived.keys():
        finding.differ(f"{_named(recorded[place])} is of no response and judge of this run")


def _named(one: Outcome) -> str:
    kind = "comparison" if isinstance(one, Comparison) else "judgement"
    return f"{kind} {one.index} of response {one.response_id} by {one.judge}"


def _difference(found: Outcome, derived: Outcome) -> str:
    if isinstance(derived, Unscored) and not isinstance(found, Unscored):
        if derived.reason == NOT_STORED:
            return f"{NOT_STORED}: response, prompt, reference, template or a reply was changed"
        return f"it is scored, but its reply is not ({derived.reason})"
    if isinstance(derived, Judgement) and isinstance(found, Unscored):
        marks = " and ".join(str(mark.score) for mark in derived.marks.values())
        return f"it is unscored, but its reply has the scores {marks}"
    if isinstance(derived, Comparison) and isinstance(found, Unscored):
        return f"it is unscored, but its reply prefers {derived.better}"
    return "; ".join(_fields(found, derived))


def _fields(found: Outcome, derived: Outcome) -> Iterable[str]:
    recorded, reply = _values(found), _values(derived)
    for name in dict.fromkeys((*recorded, *reply)):
        left, right = recorded.get(name), reply.get(name)
        if left != right:
            yield f"{name} is {left!r:.100}, in its reply {right!r:.100}"


def _values(one: Outcome) -> dict[str, object]:
    """Every field by its name, and every mark by its metric's."""
    values: dict[str, object] = {field.name: getattr(one, field.name) for field in fields(one)}
    if isinstance(one, Judgement):
        del values["marks"]
        for metric, mark in one.marks.items():
            values |= {metric: mark.score, f"{metric}_reason": mark.reason}
    return values
