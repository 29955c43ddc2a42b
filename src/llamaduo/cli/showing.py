"""What ``llamaduo show`` prints beyond lists: a run, a cycle, one response, one call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import Any

from llamaduo.cli.output import console, print_findings, print_json, print_tables, print_verdict
from llamaduo.errors import UsageError
from llamaduo.records import Judgement
from llamaduo.reporting.answers import Answers
from llamaduo.reporting.evidence import Evidence, gather
from llamaduo.reporting.formatting import count, decimal, usd
from llamaduo.reporting.inside import (
    CallsWanted,
    JudgedCall,
    ScoredResponse,
    WholeResponse,
    find_calls,
    whole_response,
)
from llamaduo.reporting.inside_tables import CallSums, call_table
from llamaduo.reporting.metric_names import words_of
from llamaduo.reporting.sets import set_words
from llamaduo.reporting.tables import (
    Table,
    differences,
    drops_by_reason,
    findings,
    free_scores,
    judge_report,
    judging_effort,
    recipes,
    scores_by_cycle,
    spend,
    stage_counts,
    timings,
    weakness,
    win_rates,
)
from llamaduo.service.calls import CallRecord, Calls, open_calls
from llamaduo.service.ledger import SpendRow
from llamaduo.storage.jsonl import dump_record
from llamaduo.storage.manifest import read_manifest
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.tasks.showing import visible


def plain(record: object) -> Any:
    """A record as it stands in its file."""
    return json.loads(dump_record(record))


# --- a run, a cycle -----------------------------------------------------------------------


def print_run(directory: RunDirectory) -> None:
    evidence = _evidence(directory)
    tables = (
        *stage_counts(evidence),
        drops_by_reason(evidence),
        timings(evidence),
        spend(evidence),
        *judged_tables(evidence),
    )
    print_tables(tables)
    print_findings(findings(evidence))
    if evidence.verdict:
        print_verdict(evidence.verdict)
    else:
        stages = list(read_manifest(directory.manifest).stages)
        last = stages[-1] if stages else "none"
        console().print(f"No verdict yet. Last finished stage: {last}", markup=False)


def judged_tables(evidence: Evidence) -> list[Table]:
    """What the judging of all sets came to: by judge, free metrics, against the service LLM."""
    beside = (free_scores, differences, win_rates, judging_effort)
    found = [table(evidence) for table in beside]
    return [*scores_by_cycle(evidence), *(table for table in found if table)]


def _weak_tables(evidence: Evidence) -> list[Table]:
    found = weakness(evidence)
    return [table for table in (found.every or found.weakest, found.confusion) if table]


def run_as_json(directory: RunDirectory) -> dict[str, Any]:
    evidence = _evidence(directory)
    stages = read_manifest(directory.manifest).stages
    return {
        "run": str(directory.root),
        "rehearsed": evidence.rehearsed,
        "stages": {stage: done.at for stage, done in stages.items()},
        "import": _or_none(evidence.imported),
        "split": _or_none(evidence.split),
        "lengths": _or_none(evidence.lengths),
        "sets": {one.name: _answers(one.answers) for one in evidence.sets()},
        "verdict": _or_none(evidence.verdict),
        "spend": [plain(row) for row in evidence.spend],
        "usd": sum(row.usd for row in evidence.spend),
    }


def print_cycle(directory: RunDirectory, where: str) -> None:
    evidence = _only(_evidence(directory), where)
    recipe = recipes(evidence)
    print_tables(
        [
            *(one for one in stage_counts(evidence) if one.columns[0].name == "Set"),
            drops_by_reason(evidence),
            timings(evidence),
            *([recipe] if recipe else []),
            *judged_tables(evidence),
            *_weak_tables(evidence),
            *judge_report(evidence),
        ]
    )
    print_findings(findings(evidence))
    for cycle in evidence.cycles:
        if cycle.verdict:
            print_verdict(cycle.verdict)


def print_judges(directory: RunDirectory, where: str) -> None:
    evidence = _only(_evidence(directory), where)
    tables = judge_report(evidence)
    if not tables:
        console().print(f"The judges of {set_words(where)} have no report yet.", markup=False)
    effort = judging_effort(evidence)
    print_tables([*tables, *([effort] if effort else [])])
    print_findings(findings(evidence))


def judges_as_json(directory: RunDirectory, where: str) -> dict[str, Any]:
    found = next(_only(_evidence(directory), where).sets(), None)
    return {"set": where, "judges": _or_none(found and found.answers.judges)}


def cycle_as_json(directory: RunDirectory, where: str) -> dict[str, Any]:
    evidence = _only(_evidence(directory), where)
    found = next(evidence.sets(), None)
    cycle = found.cycle if found else None
    return {
        "set": where,
        **_answers(found.answers if found else Answers()),
        "recipe": _or_none(cycle and cycle.recipe),
        "training": _or_none(cycle and cycle.training),
        "verdict": _or_none(cycle and cycle.verdict),
        "synthesis": _or_none(cycle and cycle.synthesis),
        "curation": _or_none(cycle and cycle.curation),
    }


def _only(evidence: Evidence, where: str) -> Evidence:
    """The evidence of one set, so that the tables of a run show it alone."""
    kind, _, number = where.partition("/")
    cycles = tuple(c for c in evidence.cycles if kind == "cycles" and c.cycle == int(number))
    return replace(
        evidence,
        imported=None,
        split=None,
        base=evidence.base if kind == "base" else Answers(),
        cycles=cycles,
        service=evidence.service if kind == "service" else Answers(),
        final=evidence.final if kind == "final" else Answers(),
        service_final=evidence.service_final if kind == "service-final" else Answers(),
    )


def _answers(answers: Answers) -> dict[str, Any]:
    return {
        "scores": _or_none(answers.scores),
        "inference": _or_none(answers.inference),
        "breakdown": _or_none(answers.breakdown),
        "judges": _or_none(answers.judges),
        "unscored": answers.unscored,
        "uncompared": answers.uncompared,
    }


def _or_none(record: object) -> Any:
    return None if record is None else plain(record)


def _evidence(directory: RunDirectory) -> Evidence:
    with ExitStack() as stack:
        calls = _calls(directory, stack)
        rows: tuple[SpendRow, ...] = calls.spend() if calls else ()
    return gather(directory.root, rows)


def _calls(directory: RunDirectory, stack: ExitStack) -> Calls | None:
    """The ledger, if the run has one; nothing is written beside it."""
    path = directory.ledger
    return stack.enter_context(open_calls(path)) if path.is_file() else None


# --- one response -------------------------------------------------------------------------


def response_as_json(one: ScoredResponse) -> dict[str, Any]:
    prompt = [plain(message) for message in one.pair.messages] if one.pair else None
    return {
        **plain(one.response),
        "scores": dict(one.scores.scores) if one.scores else None,
        "prompt": prompt,
        "reference": one.pair.response if one.pair else None,
    }


def show_whole_response(
    directory: RunDirectory, where: str, response_id: str, as_json: bool
) -> None:
    """One response: prompt, reference, answer, every judgement and the raw reply behind it."""
    with ExitStack() as stack:
        whole = whole_response(directory.root, where, response_id, _calls(directory, stack))
    if as_json:
        print_json(
            response_as_json(whole.found)
            | {"judgements": [_judged_as_json(one) for one in whole.judgements]}
        )
    else:
        _print_whole(whole, where)


def _judged_as_json(one: JudgedCall) -> dict[str, Any]:
    call = call_as_json(one.call) if one.call else None
    return {**plain(one.judgement), "ledger": call}


def _print_whole(whole: WholeResponse, where: str) -> None:
    found = whole.found
    response, scores = found.response, found.scores
    _heading(f"Response {response.id} of {set_words(where)}")
    _line(
        f"by the {response.author} model, {response.new_tokens} new tokens, ended by"
        f" {response.finish}"
    )
    known = scores.scores.items() if scores else ()
    _line(", ".join(f"{words_of(name)} {decimal(score)}" for name, score in known) or "not scored")
    for message in found.pair.messages if found.pair else ():
        _block(f"Prompt: {message.role}", message.content)
    if found.pair:
        _block(f"Reference ({found.pair.reference_source})", found.pair.response)
    _block("Response", response.text)
    for one in whole.judgements:
        _print_judged(one)


def _print_judged(one: JudgedCall) -> None:
    found = one.judgement
    _heading(f"Judgement {found.index} by {found.judge}")
    if isinstance(found, Judgement):
        for metric, mark in found.marks.items():
            _line(f"{words_of(metric)} {mark.score}: {mark.reason}")
    else:
        _line(f"unscored: {found.reason}")
    if one.call is None:
        _line(f"call {found.call or 'none'}: not in the ledger")
    else:
        _line(_call_words(one.call))
        _block("Raw reply", _pretty(one.call.raw))


# --- calls --------------------------------------------------------------------------------


def show_calls(directory: RunDirectory, wanted: CallsWanted, limit: int, as_json: bool) -> None:
    """The calls that fit; a key that fits one call alone shows its request and raw reply."""
    with open_calls(directory.ledger) as calls:
        if as_json:
            found = islice(find_calls(calls, wanted), limit)
            print_json([call_as_json(one) for one in found])
        elif wanted.key and len({one.key for one in find_calls(calls, wanted)}) == 1:
            for one in find_calls(calls, wanted):
                _print_call(one)
        else:
            _print_calls(find_calls(calls, wanted), wanted, limit)


def _print_calls(found: Iterator[CallRecord], wanted: CallsWanted, limit: int) -> None:
    sums = CallSums()
    watched = iter(sums.watch(found))
    shown = list(islice(watched, limit))
    for _ in watched:
        pass
    if not shown and wanted.key:
        raise UsageError(
            f"No call that fits has a key that begins with {wanted.key!r}.",
            hint="`llamaduo show calls` lists them.",
        )
    print_tables([call_table("Calls to service LLMs", shown, sums.words(len(shown)))])
    if not shown:
        console().print("No call fits.", markup=False)


def _print_call(call: CallRecord) -> None:
    _heading(f"Call {call.key}")
    _line(_call_words(call))
    if call.error:
        _line(call.error)
    for role, content in call.messages():
        _block(f"Request: {role}", content)
    _block("Request, the rest", _pretty(json.dumps(_without_messages(call.request))))
    _block("Raw reply", _pretty(call.raw) if call.reply is not None else "none")


def call_as_json(call: CallRecord) -> dict[str, Any]:
    """A row of the ledger; request and reply as JSON where they are."""
    found = {name: getattr(call, name) for name in CallRecord.__slots__}
    return found | {"request": _value(call.request), "reply": _value(call.raw)}


def _call_words(call: CallRecord) -> str:
    price = "price unknown" if call.usd is None else usd(call.usd)
    return (
        f"call {call.key[:12]}, try {call.attempt}: {call.state}, {call.stage} by {call.model},"
        f" snapshot {call.snapshot or 'unknown'}, {count(call.input_tokens)} tokens in,"
        f" {count(call.output_tokens)} out, {price}, {call.sent_at}"
    )


def _without_messages(request: str) -> Any:
    found = _value(request)
    if not isinstance(found, dict):
        return found
    return {key: value for key, value in found.items() if key != "messages"}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _pretty(text: str) -> str:
    """JSON indented, what is no JSON as it is."""
    found = _value(text)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, indent=2)


# --- text of others -----------------------------------------------------------------------


def _heading(text: str) -> None:
    from rich.text import Text

    console().print(Text(f"\n{visible(text)}", style="bold"), soft_wrap=True)


def _line(text: str) -> None:
    from rich.text import Text

    console().print(Text(visible(text)), soft_wrap=True)


def _block(title: str, text: str) -> None:
    from rich.text import Text

    body = "\n".join(f"  {line}" for line in visible(text).split("\n"))
    console().print(Text.assemble((f"{visible(title)}:\n", "dim"), body), soft_wrap=True)
