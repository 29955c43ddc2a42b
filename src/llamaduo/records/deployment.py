"""How a packed model compares with the one that was trained, and the terms it is under."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from llamaduo.records.evaluation import Metric

Form = Literal["merged", "adapter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Two answers to one prompt that differ: ``at`` counts the characters they begin alike with."""

    pair_id: str
    at: int
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityCheck:
    """One form of the model against the training-time model, on the same prompts, greedy.

    ``form`` is "merged", "adapter", "gguf F16", "gguf Q8_0" or "server URL". Differences are in
    points of 0–100, this form's minus the training-time model's. ``score_difference`` is empty
    where no judge was asked. ``templates_equal`` compares the chat template as text, and
    ``template_note`` says what differs.
    """

    form: str
    prompts: int
    identical: int
    templates_equal: bool
    template_note: str = ""
    exact_match_difference: float
    score_difference: dict[Metric, float] = field(default_factory=dict)
    first_divergence: Divergence | None = None
    passed: bool
    reason: str

    @property
    def share(self) -> float:
        """The share of prompts that were answered with the same text, 0 to 1."""
        return self.identical / self.prompts if self.prompts else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """``parity.json``: every form that was checked. ``required`` is ``deployment.parity``."""

    cycle: int | None
    prompts: int
    required: float
    checks: tuple[ParityCheck, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of the service LLM's provider, as the user accepted them. We never judge them.

    ``text`` is empty in ``terms.json`` where the question was left open.
    """

    service: str
    text: str
    allow_publishing: bool = False
    """Whether the user says that they allow data and models made with the replies to be public."""
