"""Where scores stand to the target: each aim met, missed, or undecided (Eq. 9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import fsum

from llamaduo.evaluation.intervals import prompts_needed
from llamaduo.evaluation.settings import JudgingSettings, TargetSettings
from llamaduo.records import METRICS, PANEL, Interval, Scores, Standing


@dataclass(frozen=True, slots=True)
class Aim:
    """One configured target: what is measured, what came out (None: unknown), and ε."""

    name: str
    value: float | None
    interval: Interval | None
    prompts: int
    bound: float
    unknown: str = ""
    """Why ``value`` is None, where it is."""
    judged: bool = False
    """Whether it rests on judgements, so that more of them make it clearer."""

    @property
    def by_point(self) -> Standing:
        """As the paper has it: the figure against ε."""
        return "met" if self.value is not None and self.value >= self.bound else "missed"

    @property
    def by_interval(self) -> Standing:
        """The whole interval against ε."""
        if self.value is None or self.interval is None:
            return "missed"
        if self.interval.low >= self.bound:
            return "met"
        return "missed" if self.interval.high < self.bound else "undecided"

    @property
    def prompts_needed(self) -> int | None:
        """How many prompts would decide, were they like these; None where none would."""
        if self.value is None or self.interval is None:
            return None
        return prompts_needed(self.interval, self.value, self.bound, self.prompts)

    @property
    def words(self) -> str:
        """What is wrong with it, with its numbers."""
        if self.value is None:
            return f"{self.name} is unknown: {self.unknown}; {self.bound:g} is asked for"
        if self.by_point == "missed":
            return f"{self.name} {shown_below(self.value, self.bound)} is below {self.bound:g}"
        if self.interval is None:
            return f"{self.name} {self.value:.1f} has no interval, and {self.bound:g} is asked for"
        return (
            f"{self.name} {self.value:.1f} may be below {self.bound:g}: its interval is"
            f" {shown_below(self.interval.low, self.bound)} to {self.interval.high:.1f}"
        )

    def standing(self, target: TargetSettings) -> Standing:
        """By the point or by the interval, as ``target.evidence`` says."""
        return self.by_interval if target.evidence == "interval" else self.by_point


def aims(scores: Scores, target: TargetSettings) -> tuple[Aim, ...]:
    """Every configured target on the test split, with what came out."""
    return (*_judged(scores, target), *_free(scores, target), *_won(scores, target))


def in_words(target: TargetSettings, judging: JudgingSettings) -> tuple[str, ...]:
    """Every configured target: what is measured, and how much of it is asked for."""
    said = [
        f"{metric} {what} {bound:g}"
        for metric in (*METRICS, *target.metrics)
        for what, bound in (
            ("mean score", target.of(metric).mean_score),
            *(
                (f"coverage percentage (ζ = {threshold})", share)
                for threshold, share in sorted(target.of(metric).coverage_percentage.items())
            ),
        )
        if bound is not None
    ]
    said += [f"{name} {bound:g}" for name, bound in sorted(target.free.items())]
    if target.win_rate is not None:
        said.append(f"win rate against the service LLM {target.win_rate:g}")
    if target.not_worse_than_service_by is not None:
        said.append(
            f"on the final split not worse than the service LLM by"
            f" {target.not_worse_than_service_by:g}"
        )
    if target.evidence == "interval":
        looks = " for all looks together" if judging.stopping == "adaptive" else ""
        said.append(f"each by its whole interval (95 %{looks})")
    return tuple(said)


def closeness(scores: Scores, target: TargetSettings) -> float:
    """How near to the target, in points: the mean of min(value, ε) over the configured targets.

    What goes beyond one ε makes up for nothing that is missing at another, so a cycle that
    meets every target is nearer than any that does not. A value that is unknown is 0.
    """
    parts = [min(aim.value or 0.0, aim.bound) for aim in aims(scores, target)]
    return fsum(parts) / len(parts)


def _judged(scores: Scores, target: TargetSettings) -> Iterator[Aim]:
    for metric in (*METRICS, *target.metrics):
        wanted, found = target.of(metric), scores.panel.get(metric)
        value = found.mean_score if found else None
        if wanted.mean_score is not None:
            interval = found.interval if found else None
            yield Aim(
                f"{metric} mean score",
                value,
                interval,
                scores.judged_prompts,
                wanted.mean_score,
                "nothing was scored",
                judged=True,
            )
        for threshold, bound in sorted(wanted.coverage_percentage.items()):
            yield Aim(
                f"{metric} coverage percentage (ζ = {threshold})",
                found.coverage_percentage.get(threshold) if found else None,
                found.intervals.get(threshold) if found else None,
                scores.judged_prompts,
                bound,
                "nothing was scored"
                if value is None
                else f"{threshold} is not among judging.score_thresholds",
                judged=True,
            )


def _free(scores: Scores, target: TargetSettings) -> Iterator[Aim]:
    for name, bound in sorted(target.free.items()):
        found = scores.free.get(name)
        value, interval = (found.value, found.interval) if found else (None, None)
        prompts = found.prompts if found else 0
        yield Aim(name, value, interval, prompts, bound, "no response has this metric")


def _won(scores: Scores, target: TargetSettings) -> Iterator[Aim]:
    if target.win_rate is None:
        return
    found = scores.win_rates.get(PANEL)
    if found is None or not found.wins + found.losses:
        # Who always says "tie", or always "first", gives exactly 50 % and has told nothing.
        why = "nothing was compared" if found is None else "every comparison is a tie"
        yield Aim("win rate", None, None, 0, target.win_rate, why)
    else:
        rate = found.rate
        yield Aim("win rate", rate.value, rate.interval, rate.prompts, target.win_rate)


def shown_below(value: float, bound: float) -> str:
    """``value`` with one decimal, or as many as it takes to look smaller than ``bound``."""
    texts = (f"{value:.{digits}f}" for digits in range(1, 16))
    return next((text for text in texts if float(text) < bound), repr(value))
