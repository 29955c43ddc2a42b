"""Looking inside a run: responses, judgements, pairs and drops, found by what one asks for.

Only reading and choosing; how it is shown is :mod:`llamaduo.reporting.inside_tables`. The
records are the run's own, whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal, TypeVar

from llamaduo.errors import UsageError
from llamaduo.records import Dropped, Judgement, Metric, Pair, Response, Unscored
from llamaduo.reporting.panel import Aggregate, PanelScore, panel_scores
from llamaduo.reporting.sets import split_of
from llamaduo.reporting.setup import read_setup
from llamaduo.service.calls import CallRecord, Calls
from llamaduo.storage.jsonl import read_records

Record = TypeVar("Record")
Marks = PanelScore | Judgement
"""What has a score for each metric."""
SplitName = Literal["accepted", "train", "test", "final", "synthetic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for. What is not set does not narrow the search.

    ``prompt`` is the beginning of a pair id, ``judge`` and ``model`` a part of a model's name,
    ``below`` and ``above`` bound the score of ``metric`` (of all metrics' mean if it is None),
    ``contains`` is a text in any case.
    """

    prompt: str = ""
    judge: str = ""
    metric: Metric | None = None
    below: float | None = None
    above: float | None = None
    contains: str = ""

    def has(self, *texts: str) -> bool:
        needle = self.contains.casefold()
        return not needle or any(needle in text.casefold() for text in texts)

    def bounds(self, scores: Marks | None) -> bool:
        """Whether the score lies where it is asked to; what has none does only if nothing is."""
        if self.below is None and self.above is None:
            return True
        if scores is None:
            return False
        score = self.score(scores)
        if score is None:
            return False
        low = self.above is None or score > self.above
        return low and (self.below is None or score < self.below)

    def score(self, scores: Marks) -> float | None:
        """What is looked at: one metric, or the mean of all; None where it has none."""
        found = scores_of(scores)
        if self.metric is None:
            return fmean(found.values()) if found else None
        return found.get(self.metric)


def scores_of(found: Marks) -> Mapping[Metric, float]:
    """The scores by metric."""
    if isinstance(found, PanelScore):
        return found.scores
    return {metric: mark.score for metric, mark in found.marks.items()}


# --- responses and judgements -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScoredResponse:
    """A response with the panel's score, if it has one, and the prompt that it answers."""

    response: Response
    scores: PanelScore | None
    pair: Pair | None


@dataclass(frozen=True, slots=True)
class JudgedCall:
    """A judgement, scored or not, with the ledger's row of the reply behind it."""

    judgement: Judgement | Unscored
    call: CallRecord | None


@dataclass(frozen=True, slots=True)
class WholeResponse:
    """Everything about one response."""

    found: ScoredResponse
    judgements: tuple[JudgedCall, ...]


def responses(run: Path, where: str, wanted: Wanted) -> list[ScoredResponse]:
    """The responses of the set ``where``, the worst first; what was not scored comes last."""
    pairs = _pairs_by_id(run, where)
    judgements = _judgements(run, where)
    _check_judge(wanted, [*judgements, *_unscored(run, where)])
    _check_metric(wanted, judgements)
    by_judge = [one for one in judgements if wanted.judge in one.judge]
    scores = panel_scores(by_judge, _aggregate(run))
    found = [
        ScoredResponse(one, scores.get(one.id), pairs.get(one.pair_id))
        for one in _responses(run, where)
        if one.pair_id.startswith(wanted.prompt)
    ]
    kept = [one for one in found if _is_wanted(one, wanted)]
    return sorted(kept, key=lambda one: _rank(one.scores, wanted, one.response.id))


def _check_judge(wanted: Wanted, judged: Iterable[Judgement | Unscored]) -> None:
    """A judge who said nothing would make every response look unscored."""
    names = sorted({one.judge for one in judged})
    if wanted.judge and names and not any(wanted.judge in name for name in names):
        raise UsageError(
            f"No judge has a name with {wanted.judge!r} in it.",
            hint=f"The judges are: {', '.join(names)}.",
        )


def _check_metric(wanted: Wanted, judged: Iterable[Judgement]) -> None:
    """A metric that nobody was asked for would make every response look unscored."""
    names = dict.fromkeys(metric for one in judged for metric in one.marks)
    if wanted.metric and names and wanted.metric not in names:
        raise UsageError(
            f"No judge was asked about {wanted.metric!r}.",
            hint=f"The metrics are: {', '.join(names)}.",
        )


def _is_wanted(one: ScoredResponse, wanted: Wanted) -> bool:
    shown = (one.pair.instruction, one.pair.response) if one.pair else ()
    return wanted.bounds(one.scores) and wanted.has(one.response.text, *shown)


def _rank(
    scores: PanelScore | Judgement | None, wanted: Wanted, tie: str
) -> tuple[bool, float, str]:
    score = None if scores is None else wanted.score(scores)
    return score is None, score or 0.0, tie


def whole_response(run: Path, where: str, response_id: str, calls: Calls | None) -> WholeResponse:
    """The one response whose id begins with ``response_id``.

    Raises:
        UsageError: there is none, or more than one.
    """
    found = [one for one in _responses(run, where) if one.id.startswith(response_id)]
    exact = [one for one in found if one.id == response_id]
    response = _the_only(exact or found, response_id, [one.id for one in found], where)
    own = [one for one in _judgements(run, where) if one.response_id == response.id]
    lost = [one for one in _unscored(run, where) if one.response_id == response.id]
    scores = panel_scores(own, _aggregate(run)).get(response.id)
    pair = _pairs_by_id(run, where).get(response.pair_id)
    both: list[Judgement | Unscored] = [*own, *lost]
    judged = (JudgedCall(one, _call(calls, one.call)) for one in both)
    return WholeResponse(ScoredResponse(response, scores, pair), tuple(judged))


def _the_only(found: list[Record], prefix: str, names: list[str], where: str) -> Record:
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"No response of {where} has an id that begins with {prefix!r}.",
            hint="`llamaduo show responses` lists them; --cycle chooses another set.",
        )
    raise UsageError(
        f"{len(found)} responses of {where} have an id that begins with {prefix!r}.",
        hint=f"Write more of it: {', '.join(names[:4])}.",
    )


def _call(calls: Calls | None, key: str | None) -> CallRecord | None:
    """The row that answered ``key``, or the last attempt at it if none did."""
    if calls is None or key is None:
        return None
    attempts = calls.attempts(key)
    return calls.answer(key) or (attempts[-1] if attempts else None)


def judgements(run: Path, where: str, wanted: Wanted) -> list[Judgement | Unscored]:
    """The judgements of the set ``where``, the lowest first; the unscored come last."""
    every, lost = _judgements(run, where), _unscored(run, where)
    _check_judge(wanted, [*every, *lost])
    _check_metric(wanted, every)
    scored = [
        one
        for one in every
        if _is_of(one, wanted)
        and wanted.bounds(one)
        and wanted.has(*(mark.reason for mark in one.marks.values()))
    ]
    unscored = [
        one
        for one in lost
        if _is_of(one, wanted) and wanted.bounds(None) and wanted.has(one.reason)
    ]
    return [*sorted(scored, key=lambda one: _rank(one, wanted, one.response_id)), *unscored]


def _is_of(one: Judgement | Unscored, wanted: Wanted) -> bool:
    return one.pair_id.startswith(wanted.prompt) and wanted.judge in one.judge


# --- pairs, drops, calls ------------------------------------------------------------------


def pairs(run: Path, split: SplitName, cycle: int | None, wanted: Wanted) -> list[Pair]:
    """The pairs of a split, in its order; of ``synthetic`` those that every cycle kept, or one."""
    if split == "synthetic":
        paths = _of_cycles(run, "synthetic.jsonl", cycle)
    else:
        paths = [run / "coverage" / f"{split}.jsonl"]
    return [one for path in paths for one in read_records(path, Pair) if _pair_fits(one, wanted)]


def dropped(
    run: Path, cycle: int | None, step: str, reason: str, wanted: Wanted
) -> list[tuple[int, Dropped]]:
    """(cycle, drop) of every cycle, or of one. ``step`` and ``reason`` are parts of what the
    drop says."""
    return [
        (int(path.parent.name), one)
        for path in _of_cycles(run, "dropped.jsonl", cycle)
        for one in read_records(path, Dropped)
        if step.casefold() in one.step.casefold()
        and reason.casefold() in one.reason.casefold()
        and _pair_fits(one.pair, wanted)
    ]


def _of_cycles(run: Path, name: str, cycle: int | None) -> list[Path]:
    """The files ``name`` of every cycle that has one, or of ``cycle`` alone.

    Raises:
        UsageError: that cycle has none.
    """
    found = sorted((run / "cycles").glob(f"[0-9]*/{name}"))
    if cycle is None:
        return found
    there = [path for path in found if int(path.parent.name) == cycle]
    if not there:
        numbers = ", ".join(str(int(path.parent.name)) for path in found)
        raise UsageError(
            f"{run} has no curated batch after cycle {cycle}.",
            hint=f"It has one after: {numbers}." if found else "No curation has finished yet.",
        )
    return there


def _pair_fits(pair: Pair, wanted: Wanted) -> bool:
    texts = (message.content for message in pair.messages)
    return pair.id.startswith(wanted.prompt) and wanted.has(pair.response, *texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsWanted:
    """Which calls: ``key``, ``stage`` and ``state`` begin so, ``model`` and ``contains`` are
    parts."""

    key: str = ""
    stage: str = ""
    model: str = ""
    state: str = ""
    contains: str = ""

    def fits(self, call: CallRecord) -> bool:
        begins = call.key.startswith(self.key) and call.stage.startswith(self.stage)
        return (
            begins
            and call.state.startswith(self.state)
            and self.model in call.model
            and (not self.contains or self._says(call))
        )

    def _says(self, call: CallRecord) -> bool:
        said = (content for _, content in call.messages())
        return Wanted(contains=self.contains).has(call.raw, *said)


def find_calls(calls: Iterable[CallRecord], wanted: CallsWanted) -> Iterator[CallRecord]:
    """The attempts that fit, in the order they were made, one at a time."""
    return (one for one in calls if wanted.fits(one))


# --- reading ------------------------------------------------------------------------------


def _responses(run: Path, where: str) -> tuple[Response, ...]:
    return read_records(run / where / "responses.jsonl", Response, torn_tail=True)


def _judgements(run: Path, where: str) -> tuple[Judgement, ...]:
    return _if_there(run / where / "judgements.jsonl", Judgement)


def _unscored(run: Path, where: str) -> tuple[Unscored, ...]:
    return _if_there(run / where / "unscored.jsonl", Unscored)


def _if_there(path: Path, kind: type[Record]) -> tuple[Record, ...]:
    return read_records(path, kind) if path.is_file() else ()


def _pairs_by_id(run: Path, where: str) -> dict[str, Pair]:
    path = run / "coverage" / f"{split_of(where)}.jsonl"
    return {pair.id: pair for pair in _if_there(path, Pair)}


def _aggregate(run: Path) -> Aggregate:
    return read_setup(run / "run.yaml").judging.aggregate
