"""Whether to go on: scores against the target, cycle after cycle (Section 3.5, Eq. 9).

Pure: the same history always gives the same verdict, so a resumed run reaches the one that
the uninterrupted run would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from llamaduo.evaluation.intervals import prompts_needed
from llamaduo.evaluation.settings import LimitSettings, TargetSettings
from llamaduo.evaluation.standing import aims, closeness, shown_below
from llamaduo.records import (
    Measure,
    NonInferiority,
    Outcome,
    ReferenceSource,
    Scores,
    Standing,
    Verdict,
)

_ROUNDING = 1e-9
"""Points. A gain of min_gain that lost its last bits to binary fractions is still that gain."""

MAX_SET_ASIDE_PERCENT = 2
"""How many of all test prompts may be set aside as too long in a run that passes. They are in no
score, so a target that was met without many of them was met on an easier test."""

FINAL_NOT_JUDGED = "The budget ended before the final split was judged (limits.budget_usd)."
"""What the reason of a verdict ends with where that is so."""


def shortfalls(scores: Scores, target: TargetSettings) -> tuple[str, ...]:
    """What stands between these scores and a pass, in words with numbers. Empty: nothing does.

    What is unknown is not met: nothing was scored, or ζ was not measured; nor, with
    ``evidence: interval``, what may be below ε. No target is met when more than
    :data:`MAX_SET_ASIDE_PERCENT` of the prompts were set aside as too long.
    """
    missed = tuple(aim.words for aim in aims(scores, target) if aim.standing(target) != "met")
    return (*missed, _too_many_set_aside(scores)) if _lacks_prompts(scores) else missed


def best_cycle(history: Sequence[Scores], target: TargetSettings) -> int:
    """The first cycle that meets the target; if none does, the one that stands nearest to it.

    Ties go to the earlier cycle: it was trained for less.
    """
    ranks = [(not shortfalls(scores, target), closeness(scores, target)) for scores in history]
    return ranks.index(max(ranks))


def reach_verdict(
    history: Sequence[Scores],
    target: TargetSettings,
    limits: LimitSettings,
    *,
    reference_sources: Iterable[ReferenceSource],
    spent_usd: float = 0.0,
    budget_exhausted: bool = False,
) -> Verdict:
    """The verdict after the last cycle of ``history``, the scores of cycles 0 to t (one or more).

    A target that is met wins over every limit. Otherwise the loop stops when the budget or
    the cycles are used up, on a plateau, or when nothing but prompts that do not fit is in the
    way; every cause that holds is named, because lifting one alone would not let the loop go on.
    A loop that ends where no target is missed for certain is undecided: it says how many prompts
    a decision would take.
    """
    best = best_cycle(history, target)
    missing = shortfalls(history[best], target)
    causes = tuple(_causes(history, target, limits, spent_usd, budget_exhausted))
    thin = _is_thin(history[best], target)
    needed = _prompts_needed(history[best], target) if missing and causes and thin else None
    outcome: Outcome = "continue"
    reason = f"Cycle {len(history) - 1} misses the target; more pairs are synthesized."
    if not missing:
        outcome, reason = "passed", f"Cycle {best} meets every target."
    elif causes and thin:
        outcome = "undecided"
        reason = (
            "The evidence is too thin to say whether the target is met, and the loop ends:"
            f" {'; '.join(causes)}. The best is cycle {best}. {_needed(needed, history[best])}"
        )
    elif causes:
        outcome = "stopped"
        reason = (
            f"The target is missed, and the loop ends: {'; '.join(causes)}."
            f" The best is cycle {best}."
        )
    elif _is_thin(history[-1], target):
        reason = (
            f"Cycle {len(history) - 1} may or may not meet the target, and there is nothing more"
            " to judge; more pairs are synthesized."
        )
    return Verdict(
        outcome=outcome,
        reason=reason + _note(history[best]),
        cycle=len(history) - 1,
        best_cycle=best,
        reference_sources=tuple(sorted(set(reference_sources))),
        shortfalls=missing,
        prompts_needed=needed,
    )


# --- why the loop ends ------------------------------------------------------------------------


def _causes(
    history: Sequence[Scores],
    target: TargetSettings,
    limits: LimitSettings,
    spent_usd: float,
    budget_exhausted: bool,
) -> Iterator[str]:
    """Everything that ends the loop now, in words."""
    if budget_exhausted:
        budget = "" if limits.budget_usd is None else f" of ${limits.budget_usd:,.2f}"
        yield f"the budget is used up, ${spent_usd:,.2f}{budget} spent (limits.budget_usd)"
    if len(history) >= limits.cycles:
        yield f"all {limits.cycles} cycles have run (limits.cycles)"
    gain = _recent_gain([closeness(scores, target) for scores in history], limits.patience)
    if gain is not None and gain < limits.min_gain - _ROUNDING:
        yield (
            f"the best score gained {shown_below(gain, limits.min_gain)} points in the last"
            f" {limits.patience} cycles, less than {limits.min_gain:g} (limits.min_gain)"
        )
    if any(
        _lacks_prompts(scores)
        and all(aim.standing(target) == "met" for aim in aims(scores, target))
        for scores in history
    ):
        yield "every target is met but for prompts that do not fit, which no cycle changes"


def _recent_gain(standings: Sequence[float], patience: int) -> float | None:
    """By how much the last ``patience`` cycles raised the best standing. None: too early."""
    if len(standings) <= patience:
        return None
    return max(standings) - max(standings[:-patience])


# --- prompts that are missing -----------------------------------------------------------------


def _lacks_prompts(scores: Scores) -> bool:
    prompts = scores.prompts + scores.set_aside
    return 100 * scores.set_aside > MAX_SET_ASIDE_PERCENT * prompts


def _too_many_set_aside(scores: Scores, kind: str = "test") -> str:
    return (
        f"{scores.set_aside} of {scores.prompts + scores.set_aside} {kind} prompts do not fit the"
        f" window (at most {MAX_SET_ASIDE_PERCENT} % may)"
    )


def _note(scores: Scores) -> str:
    if not scores.set_aside:
        return ""
    return (
        f" {scores.set_aside} of {scores.prompts + scores.set_aside} prompts were set aside as too"
        " long and are not in the scores."
    )


# --- evidence that is too thin ----------------------------------------------------------------


def _is_thin(scores: Scores, target: TargetSettings) -> bool:
    """Whether no target is missed for certain, and one at least is not met for certain."""
    standings = {aim.standing(target) for aim in aims(scores, target)}
    return "undecided" in standings and "missed" not in standings and not _lacks_prompts(scores)


def _prompts_needed(scores: Scores, target: TargetSettings) -> int | None:
    """The most that one of the undecided targets takes; None where no number would decide."""
    needed = [
        aim.prompts_needed for aim in aims(scores, target) if aim.standing(target) == "undecided"
    ]
    return None if None in needed else max((n for n in needed if n is not None), default=None)


def _needed(prompts: int | None, scores: Scores) -> str:
    if prompts is None:
        return (
            f"The score is so near to the target that no number of test prompts decides it (there"
            f" are {scores.prompts})."
        )
    return f"A decision would take about {prompts} test prompts; there are {scores.prompts}."


# --- against the service LLM ------------------------------------------------------------------

NOT_INFERIOR_BY = "precision"
"""The metric that decides whether the local LLM is worse than the service LLM. Similarity would
favour a service LLM whose own replies are the references."""


def confirm(verdict: Verdict, final: Scores, target: TargetSettings) -> Verdict:
    """``verdict`` with what the final split says about the service LLM (non-inferiority).

    The local LLM is not worse where the whole interval of its difference from the service LLM lies
    above minus ``target.not_worse_than_service_by``. A pass stands only if that is so, and as few
    prompts were set aside there as may be in the test split.
    """
    margin = target.not_worse_than_service_by
    if margin is None:
        return verdict
    found = _not_inferior(final, margin)
    confirmed = replace(verdict, non_inferiority=found)
    if verdict.outcome != "passed":
        return confirmed
    if found.standing != "met":
        why = _verdict_on(found)
    elif _lacks_prompts(final):
        why = f"{_too_many_set_aside(final, 'final')}."
    else:
        return confirmed
    return replace(
        confirmed,
        outcome="undecided" if found.standing == "undecided" else "stopped",
        reason=f"{verdict.reason} But {why}",
        shortfalls=(*verdict.shortfalls, why.rstrip(".")),
        prompts_needed=_needed_to_tell(found) if found.standing == "undecided" else None,
    )


def unconfirmed(verdict: Verdict, target: TargetSettings) -> Verdict:
    """``verdict`` of a run whose budget ended before its final split was judged. A pass that had
    to stand there against the service LLM is undecided."""
    told = replace(verdict, reason=f"{verdict.reason} {FINAL_NOT_JUDGED}")
    if target.not_worse_than_service_by is None or verdict.outcome != "passed":
        return told
    return replace(told, outcome="undecided", shortfalls=(FINAL_NOT_JUDGED.rstrip("."),))


def _not_inferior(final: Scores, margin: float) -> NonInferiority:
    nothing = Measure(None, None, 0, 0)
    difference = final.versus_service.get(NOT_INFERIOR_BY, nothing)
    standing: Standing = "undecided"
    if difference.interval is not None and difference.interval.low >= -margin:
        standing = "met"
    elif difference.interval is not None and difference.interval.high < -margin:
        standing = "missed"
    return NonInferiority(
        metric=NOT_INFERIOR_BY, margin=margin, difference=difference, standing=standing
    )


def _needed_to_tell(found: NonInferiority) -> int | None:
    value, interval = found.difference.value, found.difference.interval
    if value is None or interval is None:
        return None
    return prompts_needed(interval, value, -found.margin, found.difference.prompts)


def _verdict_on(found: NonInferiority) -> str:
    value, interval = found.difference.value, found.difference.interval
    if value is None or interval is None:
        return "on the final split nothing could be compared with the service LLM."
    figures = (
        f"mean {found.metric} is {value:+.1f} points from the service LLM's, its interval"
        f" {interval.low:+.1f} to {interval.high:+.1f}"
    )
    if found.standing == "missed":
        return f"on the final split {figures}: worse than it by more than {found.margin:g}."
    needed = _needed_to_tell(found)
    more = (
        f" About {needed} prompts would tell; there are {found.difference.prompts}."
        if needed
        else ""
    )
    return f"on the final split {figures}, so it may be worse by more than {found.margin:g}.{more}"
