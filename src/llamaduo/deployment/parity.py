"""The parity gate: does a form of the model answer like the model that was judged? Pure.

The same prompts go, greedy, through the training-time model (the adapter beside the base, as
it was while it was trained) and through the form. What is meant to be exact (merged, adapter,
F16) passes by the share of identical answers. What is quantized, or runs elsewhere, passes by
its score: it may lose (1 − required) × 100 points of mean score in no metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llamaduo.records import (
    Divergence,
    Metric,
    MetricScores,
    Pair,
    ParityCheck,
)
from llamaduo.tasks.metrics import exact_match

EXACT = ("merged", "adapter", "gguf F16")
"""The forms that are held to their answers. The others are held to their scores."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One form's answers by pair id, and how its chat template compares.

    ``template_note`` is empty where the templates agree.
    """

    form: str
    answers: Mapping[str, str]
    template_note: str = ""


Gains = Mapping[Metric, float | None]
"""By metric: points of mean score that the form gained over all prompts; None: not scored."""


def differing(expected: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """The ids of the prompts whose answers differ, in the order of ``expected``."""
    return tuple(pair_id for pair_id, text in expected.items() if found[pair_id] != text)


def gains(
    before: Mapping[Metric, MetricScores],
    after: Mapping[Metric, MetricScores],
    *,
    differing: int,
    prompts: int,
) -> dict[Metric, float | None]:
    """What a form's mean score gains over all ``prompts``, by metric, in points.

    ``before`` and ``after`` are the scores of the answers that differ, the training-time
    model's and the form's. Equal answers to one prompt score the same, so they add nothing.
    """
    return {
        metric: _gain(before[metric].mean_score, after[metric].mean_score, differing / prompts)
        for metric in before
        if metric in after
    }


def _gain(before: float | None, after: float | None, weight: float) -> float | None:
    return None if before is None or after is None else (after - before) * weight


def compare(
    pairs: Sequence[Pair],
    expected: Mapping[str, str],
    candidate: Candidate,
    *,
    required: float,
    scored: Gains | None = None,
) -> ParityCheck:
    """The check of one form. ``expected`` has the training-time answer to each of ``pairs``.

    Args:
        required: ``deployment.parity``, 0 to 1.
        scored: the gains in score, where judges were asked.
    """
    apart = differing(expected, candidate.answers)
    identical = len(pairs) - len(apart)
    known = {metric: gain for metric, gain in (scored or {}).items() if gain is not None}
    reason = _objection(candidate, identical, len(pairs), required, scored)
    return ParityCheck(
        form=candidate.form,
        prompts=len(pairs),
        identical=identical,
        templates_equal=not candidate.template_note,
        template_note=candidate.template_note,
        exact_match_difference=_matches(pairs, candidate.answers) - _matches(pairs, expected),
        score_difference=known,
        first_divergence=_first(apart, expected, candidate.answers),
        passed=not reason,
        reason=reason or _praise(candidate, identical, len(pairs)),
    )


def _objection(
    candidate: Candidate, identical: int, prompts: int, required: float, scored: Gains | None
) -> str:
    """Why the form is refused; empty if it is not."""
    if candidate.template_note:
        return f"the chat template differs: {candidate.template_note}"
    if identical == prompts:
        return ""
    if candidate.form in EXACT:
        share = identical / prompts
        return (
            f"{identical} of {prompts} answers are identical ({share:.1%}); {required:.1%} must be"
            if share < required
            else ""
        )
    return _loss(scored, (1 - required) * 100)


def _loss(scored: Gains | None, allowed: float) -> str:
    if not scored or any(gain is None for gain in scored.values()):
        return "its answers differ, and too few were scored to say how much it lost"
    metric, worst = min(scored.items(), key=lambda item: item[1] or 0.0)
    if worst is None or worst >= -allowed - 1e-9:
        return ""
    return f"it loses {-worst:.2f} points of {metric}; at most {allowed:.2f} are allowed"


def _praise(candidate: Candidate, identical: int, prompts: int) -> str:
    if identical == prompts:
        return f"all {prompts} answers are identical"
    if candidate.form in EXACT:
        return f"{identical} of {prompts} answers are identical"
    return f"{identical} of {prompts} answers are identical, and the others score as well"


def _matches(pairs: Sequence[Pair], answers: Mapping[str, str]) -> float:
    """Answers that equal their reference, in percent."""
    hits = sum(exact_match(answers[pair.id], pair.response) for pair in pairs)
    return 100 * hits / len(pairs)


def _first(
    apart: Sequence[str], expected: Mapping[str, str], found: Mapping[str, str]
) -> Divergence | None:
    if not apart:
        return None
    one, other = expected[apart[0]], found[apart[0]]
    alike = (a == b for a, b in zip(one, other, strict=False))
    at = next((i for i, same in enumerate(alike) if not same), min(len(one), len(other)))
    return Divergence(pair_id=apart[0], at=at, expected=one, found=other)
