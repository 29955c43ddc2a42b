"""Whether to go on: scores against the target, cycle after cycle (Section 3.5, Eq. 9).

Pure: the same history always gives the same verdict, so a resumed run reaches the one that
the uninterrupted run would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum

from llamaduo.evaluation.settings import LimitSettings, TargetSettings
from llamaduo.records import METRICS, Outcome, ReferenceSource, Scores, Verdict

_ROUNDING = 1e-9
"""Points. A gain of min_gain that lost its last bits to binary fractions is still that gain."""

MAX_SET_ASIDE_PERCENT = 2
"""How many of all test prompts may be set aside as too long in a run that passes. They are in no
score, so a target that was met without many of them was met on an easier test."""

FINAL_NOT_JUDGED = "The budget ended before the final split was judged (limits.budget_usd)."
"""What the reason of a verdict ends with where that is so."""


@dataclass(frozen=True, slots=True)
class _Aim:
    """One configured target: what is measured, what came out (None: unknown), and ε."""

    name: str
    value: float | None
    bound: float
    unknown: str
    """Why ``value`` is None, where it is."""

    @property
    def met(self) -> bool:
        return self.value is not None and self.value >= self.bound


def in_words(target: TargetSettings) -> tuple[str, ...]:
    """Every configured target: what is measured, and how much of it is asked for."""
    return tuple(
        f"{metric} {what} {bound:g}"
        for metric in METRICS
        for what, bound in (
            ("mean score", target.of(metric).mean_score),
            *(
                (f"coverage percentage (ζ = {threshold})", share)
                for threshold, share in sorted(target.of(metric).coverage_percentage.items())
            ),
        )
        if bound is not None
    )


def standing(scores: Scores, target: TargetSettings) -> float:
    """How near to the target, in points: the mean of min(value, ε) over the configured targets.

    What goes beyond one ε makes up for nothing that is missing at another, so a cycle that
    meets every target stands higher than any that does not. A value that is unknown is 0.
    """
    parts = [min(aim.value or 0.0, aim.bound) for aim in _aims(scores, target)]
    return fsum(parts) / len(parts)


def shortfalls(scores: Scores, target: TargetSettings) -> tuple[str, ...]:
    """What stands between these scores and a pass, in words with numbers. Empty: nothing does.

    What is unknown is not met: nothing was scored, or ζ was not measured. Nor is any target
    when more than :data:`MAX_SET_ASIDE_PERCENT` of the prompts were set aside as too long.
    """
    missed = tuple(_words(aim) for aim in _aims(scores, target) if not aim.met)
    return (*missed, _too_many_set_aside(scores)) if _lacks_prompts(scores) else missed


def best_cycle(history: Sequence[Scores], target: TargetSettings) -> int:
    """The first cycle that meets the target; if none does, the one that stands highest.

    Ties go to the earlier cycle: it was trained for less.
    """
    ranks = [(not shortfalls(scores, target), standing(scores, target)) for scores in history]
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
    """
    best = best_cycle(history, target)
    missing = shortfalls(history[best], target)
    causes = tuple(_causes(history, target, limits, spent_usd, budget_exhausted))
    outcome: Outcome = "passed" if not missing else "stopped" if causes else "continue"
    reason = {
        "passed": f"Cycle {best} meets every target.",
        "stopped": f"The target is missed, and the loop ends: {'; '.join(causes)}."
        f" The best is cycle {best}.",
        "continue": f"Cycle {len(history) - 1} misses the target; more pairs are synthesized.",
    }[outcome]
    return Verdict(
        outcome=outcome,
        reason=reason + _note(history[best]),
        cycle=len(history) - 1,
        best_cycle=best,
        reference_sources=tuple(sorted(set(reference_sources))),
        shortfalls=missing,
    )


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
    gain = _recent_gain([standing(scores, target) for scores in history], limits.patience)
    if gain is not None and gain < limits.min_gain - _ROUNDING:
        yield (
            f"the best score gained {_digits(gain, limits.min_gain)} points in the last"
            f" {limits.patience} cycles, less than {limits.min_gain:g} (limits.min_gain)"
        )
    if any(
        _lacks_prompts(scores) and all(aim.met for aim in _aims(scores, target))
        for scores in history
    ):
        yield "every target is met but for prompts that do not fit, which no cycle changes"


def _lacks_prompts(scores: Scores) -> bool:
    prompts = scores.prompts + scores.set_aside
    return 100 * scores.set_aside > MAX_SET_ASIDE_PERCENT * prompts


def _too_many_set_aside(scores: Scores) -> str:
    return (
        f"{scores.set_aside} of {scores.prompts + scores.set_aside} test prompts do not fit the"
        f" window (at most {MAX_SET_ASIDE_PERCENT} % may)"
    )


def _note(scores: Scores) -> str:
    if not scores.set_aside:
        return ""
    return (
        f" {scores.set_aside} of {scores.prompts + scores.set_aside} prompts were set aside as too"
        " long and are not in the scores."
    )


def _recent_gain(standings: Sequence[float], patience: int) -> float | None:
    """By how much the last ``patience`` cycles raised the best standing. None: too early."""
    if len(standings) <= patience:
        return None
    return max(standings) - max(standings[:-patience])


def _aims(scores: Scores, target: TargetSettings) -> Iterator[_Aim]:
    for metric in METRICS:
        wanted, found = target.of(metric), scores.panel[metric]
        if wanted.mean_score is not None:
            yield _Aim(
                f"{metric} mean score", found.mean_score, wanted.mean_score, "nothing was scored"
            )
        for threshold, bound in sorted(wanted.coverage_percentage.items()):
            yield _Aim(
                f"{metric} coverage percentage (ζ = {threshold})",
                found.coverage_percentage.get(threshold),
                bound,
                "nothing was scored"
                if found.mean_score is None
                else f"{threshold} is not among judging.score_thresholds",
            )


def _words(aim: _Aim) -> str:
    if aim.value is None:
        return f"{aim.name} is unknown: {aim.unknown}; {aim.bound:g} is asked for"
    return f"{aim.name} {_digits(aim.value, aim.bound)} is below {aim.bound:g}"


def _digits(value: float, bound: float) -> str:
    """``value`` with one decimal, or as many as it takes to look smaller than ``bound``."""
    texts = (f"{value:.{digits}f}" for digits in range(1, 16))
    return next((text for text in texts if float(text) < bound), repr(value))
