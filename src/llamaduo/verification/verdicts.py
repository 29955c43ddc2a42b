"""Whether the verdicts follow from the scores, the target and the limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from llamaduo.evaluation.standing import in_words
from llamaduo.evaluation.verdict import confirm, reach_verdict, unconfirmed
from llamaduo.records import InferenceFigures, Verdict
from llamaduo.verification.checks import Finding
from llamaduo.verification.records import Records


def verdicts(records: Records, finding: Finding) -> None:
    """The verdict of every cycle, and the run's, reached again (Eq. 9)."""
    judged = [c for c in records.cycles() if records.is_finished(f"cycles/{c:03d}/judge")]
    run = records.verdict
    for cycle in judged:
        name = f"cycles/{cycle:03d}/verdict.json"
        if not (records.root / name).exists():
            finding.notes.append(f"Cycle {cycle} has no verdict yet.")
        elif run is not None and cycle > run.cycle:
            finding.notes.append(
                f"Cycle {cycle} was run for a target that has been changed since; the run's"
                f" verdict is of cycles 0 to {run.cycle}, and its own was not compared."
            )
        else:
            recorded = records.one(name, Verdict)
            _compare(finding, name, recorded, list(_possible(records, cycle)))
    if run is None:
        finding.notes.append("The run has no verdict yet.")
    elif run.cycle not in judged:
        finding.differ(f"verdict.json is of cycle {run.cycle}, which was not judged")
    else:
        possible = list(_possible(records, run.cycle))
        _compare(finding, "verdict.json", run, _on_final(records, possible))
        # It may be changed when a run is carried on, so a verdict is worth what its target is.
        target = ", ".join(in_words(records.config.target, records.config.judging))
        finding.notes.append(f"The target in run.yaml: {target}.")
    if records.rehearsed:
        finding.notes.append("A rehearsal, says run.yaml: its service LLM was a program.")


def _possible(records: Records, cycle: int) -> Iterator[Verdict]:
    """The verdict after ``cycle``: that of the loop, or that of a loop whose budget ended, which
    no record but the verdict itself tells apart."""
    history = [records.scores(f"cycles/{one:03d}") for one in range(cycle + 1)]
    sources = {pair.reference_source for pair in records.split("test")}
    limits = records.config.limits
    spent = records.found_calls.loop_usd() if records.found_calls else 0.0
    for exhausted in (False, True) if limits.budget_usd is not None else (False,):
        verdict = reach_verdict(
            history,
            records.config.target,
            limits,
            reference_sources=sources,
            spent_usd=spent,
            budget_exhausted=exhausted,
        )
        figures = f"cycles/{verdict.best_cycle:03d}/inference.json"
        yield replace(verdict, inference=records.one(figures, InferenceFigures))


def _on_final(records: Records, possible: list[Verdict]) -> list[Verdict]:
    """The same, with what the final split says, or that the budget ended before it was judged.

    A loop that its own budget ended has not looked at the final split, so its verdict may stand as
    it is. A pass may not: it is what the final split has to confirm.
    """
    cut_short = [one for one in possible if one.outcome != "passed"]
    return [_with_final(records, one) for one in possible] + cut_short


def _with_final(records: Records, verdict: Verdict) -> Verdict:
    where, target = f"final/{verdict.best_cycle:03d}", records.config.target
    if not records.split("final"):
        return verdict
    if records.is_finished(f"{where}/judge"):
        return confirm(verdict, records.scores(where), target)
    has_to_stand_there = target.not_worse_than_service_by is not None
    if records.config.limits.budget_usd is not None or has_to_stand_there:
        return unconfirmed(verdict, target)
    return verdict


def _compare(finding: Finding, name: str, recorded: Verdict, possible: list[Verdict]) -> None:
    finding.checked += 1
    if recorded.inference is None:  # of a run from before it was part of it
        possible = [replace(one, inference=None) for one in possible]
    if recorded not in possible:
        finding.same(name, recorded, possible[0])
