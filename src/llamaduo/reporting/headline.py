"""The verdict, first and in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llamaduo.records import METRICS, Metric, Scores, Verdict
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import count, decimal, dollars, plural, usd
from llamaduo.reporting.migration_cost import own_case

REHEARSAL = (
    "REHEARSAL: the service LLM in this run was a program; scores are meaningless except for the"
    " built-in task."
)

_TITLES = {
    "passed": ("✓", "Target met"),
    "undecided": ("?", "Undecided"),
    "stopped": ("■", "Stopped: target missed"),
    "continue": ("→", "Not finished: the target is not met yet"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure beside the verdict: its name, its value, and what it compares with."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Headline:
    """What a reader must know if they read nothing else. ``outcome`` chooses the colour."""

    outcome: str
    sign: str
    title: str
    reason: str
    shortfalls: tuple[str, ...]
    facts: tuple[Fact, ...]


def headline(evidence: Evidence) -> Headline:
    """The run's verdict; before there is one, how far the run got."""
    verdict = evidence.latest_verdict
    outcome = verdict.outcome if verdict else "continue"
    sign, title = _TITLES[outcome]
    if evidence.verdict is None:
        outcome, sign, title = "continue", "…", "Not finished"
    return Headline(
        outcome=outcome,
        sign=sign,
        title=title,
        reason=_reason(evidence, verdict),
        shortfalls=verdict.shortfalls if verdict and outcome != "passed" else (),
        facts=(*_score_facts(evidence), *_size_facts(evidence), *_saving_facts(evidence)),
    )


def _reason(evidence: Evidence, verdict: Verdict | None) -> str:
    if verdict is None:
        return "No cycle has been judged yet; this report shows how far the run got."
    if evidence.verdict is None:
        return f"The last verdict is cycle {verdict.cycle}’s: {verdict.outcome}. {verdict.reason}"
    return verdict.reason


def _score_facts(evidence: Evidence) -> list[Fact]:
    """Where the best cycle stands: for each metric with a target, else for precision."""
    best = evidence.best.answers.scores if evidence.best else None
    if best is None or evidence.best is None:
        return []
    asked = [m for m in METRICS if evidence.setup.target_of(m).mean_score is not None]
    name = f"cycle {evidence.best.cycle}"
    return [_score_fact(evidence, metric, best, name) for metric in asked or ["precision"]]


def _score_fact(evidence: Evidence, metric: Metric, best: Scores, name: str) -> Fact:
    target = evidence.setup.target_of(metric).mean_score
    base = evidence.base.scores
    notes = [f"target {decimal(target)}"] if target is not None else []
    notes += [f"base model {decimal(_mean(base, metric))}"] if base else []
    final = evidence.final.scores
    notes += [f"final split {decimal(_mean(final, metric))}"] if final else []
    return Fact(f"Mean {metric}, {name}", decimal(_mean(best, metric)), ", ".join(notes))


def _mean(scores: Scores, metric: Metric) -> float | None:
    return scores.panel[metric].mean_score if metric in scores.panel else None


def _size_facts(evidence: Evidence) -> Iterator[Fact]:
    kept = [cycle.curation.kept for cycle in evidence.cycles if cycle.curation]
    if kept:
        train = f"beside {count(evidence.split.train)} of the train split" if evidence.split else ""
        yield Fact("Synthetic pairs kept", count(sum(kept)), train)
    if evidence.spend:
        calls = sum(row.answered for row in evidence.spend)
        total = usd(sum(row.usd for row in evidence.spend))
        known = evidence.rehearsed or all(row.priced for row in evidence.spend)
        note = "the service LLM was a program" if evidence.rehearsed else ""
        yield Fact(f"Cost of {plural(calls, 'call')}", total if known else f"≥ {total}", note)


def _saving_facts(evidence: Evidence) -> Iterator[Fact]:
    """When it pays, where the user has said how much traffic there is."""
    own = own_case(evidence)
    if own and own.comparison:
        reached = own.comparison.break_even
        when = "never" if reached is None else f"{decimal(reached)} months"
        saved = f"{dollars(own.comparison.saved_monthly)} a month"
        condition = "" if _passed(evidence) else ", if it is used though it missed the target"
        note = f"saves {saved} with all traffic on it{condition}"
        yield Fact("Break-even", when, note if reached is not None else "")


def _passed(evidence: Evidence) -> bool:
    return evidence.verdict is not None and evidence.verdict.outcome == "passed"
