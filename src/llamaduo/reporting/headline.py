"""The verdict, first and in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llamaduo.records import (
    PANEL,
    Interval,
    Metric,
    MetricScores,
    NonInferiority,
    Outcome,
    Scores,
    Standing,
    Verdict,
)
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import count, decimal, dollars, measured_points, plural, usd
from llamaduo.reporting.migration_cost import own_case

REHEARSAL = (
    "REHEARSAL: the service LLM in this run was a program; scores are meaningless except for the"
    " built-in task."
)

_TITLES: dict[Outcome, tuple[str, str]] = {
    "passed": ("✓", "Target met"),
    "undecided": ("?", "Undecided: the evidence is too thin"),
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
    outcome: Outcome = verdict.outcome if verdict else "continue"
    sign, title = _TITLES[outcome]
    if evidence.verdict is None:
        outcome, sign, title = "continue", "…", "Not finished"
    return Headline(
        outcome=outcome,
        sign=sign,
        title=title,
        reason=_reason(evidence, verdict),
        shortfalls=verdict.shortfalls if verdict and outcome != "passed" else (),
        facts=(
            *_score_facts(evidence),
            *_evidence_facts(evidence),
            *_size_facts(evidence),
            *_saving_facts(evidence),
        ),
    )


def _reason(evidence: Evidence, verdict: Verdict | None) -> str:
    if stopped := evidence.stopped_judging:
        return (
            f"Judging stopped ({stopped.words}) because a judge is unfit: nothing can pass by its"
            " scores. This report shows how far the run got."
        )
    if verdict is None:
        return "No cycle has been judged yet; this report shows how far the run got."
    if evidence.verdict is None:
        return f"The last verdict is cycle {verdict.cycle}’s: {verdict.outcome}. {verdict.reason}"
    return verdict.reason


def _score_facts(evidence: Evidence) -> Iterator[Fact]:
    """Where the best cycle stands: for everything that has a target, else for precision."""
    best = evidence.best.answers.scores if evidence.best else None
    if best is None or evidence.best is None:
        return
    name = f"cycle {evidence.best.cycle}"
    target = evidence.setup.target
    asked = [m for m in evidence.metrics if evidence.setup.target_of(m).mean_score is not None]
    if not asked and not target.free and target.win_rate is None:
        asked = ["precision"]
    for metric in asked:
        yield _score_fact(evidence, metric, name)
    for free, least in target.free.items():
        yield _free_fact(evidence, free, least, name)
    if target.win_rate is not None and (rate := best.win_rates.get(PANEL)):
        notes = [_interval(rate.rate.interval, best), f"target {decimal(target.win_rate)}"]
        yield Fact(f"Win rate, {name}", f"{decimal(rate.rate.value)} %", _joined(notes))


def _score_fact(evidence: Evidence, metric: Metric, name: str) -> Fact:
    whole = evidence.best.answers.scores if evidence.best else None
    best = _panel(whole, metric)
    target = evidence.setup.target_of(metric).mean_score
    others = (
        ("base model", evidence.base.scores),
        ("service LLM", evidence.service.scores),
        ("final split", evidence.final.scores),
    )
    notes = [
        _interval(best.interval if best else None, whole),
        f"target {decimal(target)}" if target is not None else "",
        *(f"{who} {decimal(_mean(scores, metric))}" for who, scores in others if scores),
    ]
    words = evidence.words(metric)
    return Fact(f"Mean {words}, {name}", decimal(best.mean_score if best else None), _joined(notes))


def _free_fact(evidence: Evidence, free: str, target: float, name: str) -> Fact:
    sets = evidence.best.answers.scores if evidence.best else None
    best, base = (one.free.get(free) if one else None for one in (sets, evidence.base.scores))
    notes = [
        _interval(best.interval if best else None),
        f"target {decimal(target)}",
        f"base model {decimal(base.value)}" if base else "",
    ]
    title = f"{evidence.title(free).removesuffix(', %')}, {name}"
    return Fact(title, decimal(best.value if best else None), _joined(notes))


def _interval(interval: Interval | None, scores: Scores | None = None) -> str:
    """The interval of a free metric, or, with ``scores``, of what they have from judges."""
    if interval is None:
        return ""
    confidence = scores.effort.confidence if scores and scores.effort else 0.95
    low, high = decimal(interval.low), decimal(interval.high)
    return f"{100 * confidence:.4g} % interval {low} to {high}"


def _joined(notes: list[str]) -> str:
    return ", ".join(note for note in notes if note)


def _panel(scores: Scores | None, metric: Metric) -> MetricScores | None:
    return scores.panel.get(metric) if scores else None


def _mean(scores: Scores, metric: Metric) -> float | None:
    return scores.panel[metric].mean_score if metric in scores.panel else None


# --- how sure it is -----------------------------------------------------------------------


def _evidence_facts(evidence: Evidence) -> Iterator[Fact]:
    """Whether it is as good as the service LLM, what a decision would take, what judging saved."""
    verdict = evidence.latest_verdict
    if verdict and verdict.non_inferiority:
        yield _non_inferiority(evidence, verdict.non_inferiority)
    if verdict and verdict.prompts_needed is not None:
        best = evidence.best.answers.scores if evidence.best else None
        now = f"there are {count(best.prompts)}" if best else ""
        yield Fact("Test prompts that a decision needs", count(verdict.prompts_needed), now)


_STANDINGS: dict[Standing, str] = {"met": "yes", "missed": "no", "undecided": "undecided"}


def _non_inferiority(evidence: Evidence, found: NonInferiority) -> Fact:
    note = (
        f"mean {evidence.words(found.metric)} on the final split, local minus service:"
        f" {measured_points(found.difference)}"
    )
    title = f"At most {decimal(found.margin)} points behind the service LLM"
    return Fact(title, _STANDINGS[found.standing], note)


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
