"""Whether every judgement is what the judge replied, and every score what the judgements make.

The judging itself is done again, by the same code, with the ledger in the judge's place: each
request is built again from prompt, reference and response, so it finds its reply only if none
of them was changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import fields

from llamaduo.errors import ExtraMissing
from llamaduo.evaluation.judge import judge
from llamaduo.evaluation.scores import score
from llamaduo.records import Judgement, Judgements, Response, Unscored
from llamaduo.service.replay import NOT_STORED, replaying
from llamaduo.verification.checks import Finding, figures_in
from llamaduo.verification.records import Records

Outcome = Judgement | Unscored
_Place = tuple[str, str, int]
"""Judge, response, index: which judgement it is."""


def judged(records: Records, finding: Finding, where: str) -> None:
    """Every judgement, read again from its raw reply; scored and unscored make up all."""
    recorded = _recorded(records, where)
    responses = records.many(f"{where}/responses.jsonl", Response)
    config = records.config
    expected = len(responses) * config.judging.judgements_per_response * len(config.judges)
    found = len(recorded.scored) + len(recorded.unscored)
    finding.require(
        found == expected, f"{found} judgements are recorded, {expected} were to be had"
    )
    try:
        derived = asyncio.run(_judge_again(records, where, responses))
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
    """``scores.json`` computed again from responses and judgements (Eq. 3 to 6)."""
    again = score(
        records.many(f"{where}/responses.jsonl", Response),
        records.prompts_of(where),
        _recorded(records, where),
        records.config.judging,
    )
    finding.checked += figures_in(again)
    finding.same("scores.json", records.scores(where), again)


def _recorded(records: Records, where: str) -> Judgements:
    return Judgements(
        scored=records.many(f"{where}/judgements.jsonl", Judgement),
        unscored=records.many(f"{where}/unscored.jsonl", Unscored),
    )


async def _judge_again(records: Records, where: str, responses: tuple[Response, ...]) -> Judgements:
    async with AsyncExitStack() as stack:
        judges = [
            await stack.enter_async_context(
                replaying(settings, records.calls, records.observe, records.redactor)
            )
            for settings in records.config.judges
        ]
        return await judge(
            responses,
            records.prompts_of(where),
            judges,
            records.config.judging,
            records.config.task,
            notify=records.telling(f"{where}/judgements"),
        )


def _calls_are_there(records: Records, finding: Finding, recorded: Judgements) -> None:
    """What can be told without the provider's SDK: that each judgement has an answered call."""
    for one in recorded.scored:
        there = records.calls.answer(one.call) is not None
        finding.require(there, f"{_named(one)}: its call {one.call[:12]} is not in the ledger")


# --- comparing ----------------------------------------------------------------------------


def _place(one: Outcome) -> _Place:
    return one.judge, one.response_id, one.index


def _by_place(judgements: Judgements) -> dict[_Place, Outcome]:
    return {_place(one): one for one in _all(judgements)}


def _all(judgements: Judgements) -> Iterator[Outcome]:
    yield from judgements.scored
    yield from judgements.unscored


def _twice(judgements: Judgements) -> Iterator[str]:
    seen: set[_Place] = set()
    for one in _all(judgements):
        if _place(one) in seen:
            yield f"{_named(one)} is recorded twice"
        seen.add(_place(one))


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
    return f"judgement {one.index} of response {one.response_id} by {one.judge}"


def _difference(found: Outcome, derived: Outcome) -> str:
    if isinstance(derived, Unscored) and isinstance(found, Judgement):
        if derived.reason == NOT_STORED:
            return f"{NOT_STORED}: response, prompt, reference, template or a reply was changed"
        return f"it is scored, but its reply is not ({derived.reason})"
    if isinstance(derived, Judgement) and isinstance(found, Unscored):
        marks = f"{derived.similarity} and {derived.precision}"
        return f"it is unscored, but its reply has the scores {marks}"
    return "; ".join(_fields(found, derived))


def _fields(found: Outcome, derived: Outcome) -> Iterable[str]:
    for one in fields(found):
        left, right = getattr(found, one.name), getattr(derived, one.name)
        if left != right:
            yield f"{one.name} is {left!r:.100}, in its reply {right!r:.100}"
