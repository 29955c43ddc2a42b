"""How long the local LLM is going to work: the arithmetic, from a measured speed.

Fine-tuning is counted by the tokens that it sees, inference by the tokens that it writes. What
else a run does on this machine (curation, scores, the report) is small beside these two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llamaduo.reporting.cost import Span

Source = Literal["probe", "run", "rehearsal"]


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second of this machine. ``source``: measured by a probe, by this run's finished
    stages, or by those of its rehearsal."""

    training: float
    writing: float
    source: Source


@dataclass(frozen=True, slots=True)
class LocalStage:
    """``seconds`` is None where no speed is known; ``tokens`` are seen or written."""

    stage: str
    tokens: Span
    seconds: Span | None


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean tokens of the local LLM: of a train pair, of an answer, and the most of an answer."""

    pair: float
    answer: float
    longest_answer: int


@dataclass(frozen=True, slots=True)
class CyclePlan:
    """One fine-tune that is left: the pairs it sees, and whether the run is expected to need
    it. ``epochs`` are those that are chosen where the configuration names none."""

    pairs: Span
    expected: bool
    epochs: float = 1.0


def finetuning(
    cycles: tuple[CyclePlan, ...], lengths: Lengths, epochs: float | None, speed: Speed | None
) -> LocalStage:
    """Every fine-tune that is left. Expected: those that the run is expected to need. ``epochs``
    as configured; None: those of each cycle."""

    def seen(plan: CyclePlan) -> float:
        return lengths.pair * (plan.epochs if epochs is None else epochs)

    tokens = Span(
        sum(plan.pairs.expected * seen(plan) for plan in cycles if plan.expected),
        sum(plan.pairs.at_most * seen(plan) for plan in cycles),
    )
    return _timed("finetune", tokens, speed.training if speed else None)


def inference(answers: Span, lengths: Lengths, speed: Speed | None) -> LocalStage:
    """Every answer that is left. Expected: as long as the references are on average."""
    tokens = Span(answers.expected * lengths.answer, answers.at_most * lengths.longest_answer)
    return _timed("infer", tokens, speed.writing if speed else None)


def _timed(stage: str, tokens: Span, per_second: float | None) -> LocalStage:
    seconds = tokens * (1 / per_second) if per_second else None
    return LocalStage(stage, tokens, seconds)
