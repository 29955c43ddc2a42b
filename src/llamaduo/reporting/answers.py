"""What a run wrote about one set of responses, and about one cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from llamaduo.records import (
    Breakdown,
    CurationFigures,
    Dropped,
    InferenceFigures,
    Pair,
    PanelReport,
    Portrait,
    Recipe,
    Scores,
    SynthesisFigures,
    TokenStatistics,
    TrainingFigures,
    Unscored,
    Verdict,
)
from llamaduo.reporting.panel import Aggregate, JudgementScore, PanelScore, panel_scores
from llamaduo.storage.jsonl import read_record, read_records

Record = TypeVar("Record")

KEPT = "kept"
Tell = Callable[[Sequence[str]], Sequence[str]]
"""Names the language or the script of each text."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One set of responses (base, a cycle, service, final): how it was made and scored.

    ``unscored`` counts the judgements that did not count, by reason, ``uncompared`` likewise the
    comparisons, of which ``compared`` did; ``panel`` has the panel's score of every response that
    has one, by its id; ``pairs`` has the pair that it answers. ``judges`` says what the judges of
    this set are worth.
    """

    scores: Scores | None = None
    inference: InferenceFigures | None = None
    breakdown: Breakdown | None = None
    judges: PanelReport | None = None
    unscored: dict[str, int] = field(default_factory=dict)
    uncompared: dict[str, int] = field(default_factory=dict)
    compared: int = 0
    panel: dict[str, PanelScore] = field(default_factory=dict)
    pairs: dict[str, str] = field(default_factory=dict)


NOTHING = Answers()
"""A set that has not begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleEvidence:
    """What one cycle left behind. ``synthesis``, ``curation`` and ``tokens`` (of the pairs that
    were kept) came after its verdict; ``dropped`` counts what curation dropped, by (step, reason),
    and ``by_language`` the pairs in a language, by the step that dropped them or :data:`KEPT`.
    """

    cycle: int
    answers: Answers
    training: TrainingFigures | None = None
    recipe: Recipe | None = None
    verdict: Verdict | None = None
    synthesis: SynthesisFigures | None = None
    curation: CurationFigures | None = None
    dropped: dict[tuple[str, str], int] = field(default_factory=dict)
    tokens: TokenStatistics | None = None
    portrait: Portrait | None = None
    by_language: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnsweredSet:
    """One set of responses with the name that tables give it, and its cycle if it has one.

    ``ceiling`` says that the service LLM wrote them.
    """

    name: str
    answers: Answers
    cycle: CycleEvidence | None = None
    ceiling: bool = False

    @property
    def words(self) -> str:
        """The name within a sentence."""
        return self.name[:1].lower() + self.name[1:]


# --- reading ------------------------------------------------------------------------------


def read_cycle(path: Path, together: Aggregate, tell: Tell | None) -> CycleEvidence:
    dropped = all_records(path / "dropped.jsonl", Dropped)
    kept = all_records(path / "synthetic.jsonl", Pair) if tell else ()
    return CycleEvidence(
        cycle=int(path.name),
        answers=read_answers(path, together),
        training=one_record(path / "training.json", TrainingFigures),
        recipe=one_record(path / "recipe.json", Recipe),
        verdict=one_record(path / "verdict.json", Verdict),
        synthesis=one_record(path / "synthesis.json", SynthesisFigures),
        curation=one_record(path / "curation.json", CurationFigures),
        dropped=dict(Counter((one.step, kind_of(one.reason)) for one in dropped)),
        tokens=one_record(path / "tokens.json", TokenStatistics),
        portrait=one_record(path / "portrait.json", Portrait),
        by_language=fates_by_language(kept, dropped, tell) if tell else {},
    )


def fates_by_language(
    kept: Sequence[Pair], dropped: Sequence[Dropped], tell: Tell
) -> dict[str, Counter[str]]:
    """The pairs of a batch by the language of their instruction, then by the step that dropped
    them or :data:`KEPT`."""
    instructions = [pair.instruction for pair in (*kept, *(drop.pair for drop in dropped))]
    fates = [*(KEPT for _ in kept), *(drop.step for drop in dropped)]
    found: dict[str, Counter[str]] = {}
    for language, fate in zip(tell(instructions), fates, strict=True):
        found.setdefault(language, Counter())[fate] += 1
    return found


def read_answers(path: Path, together: Aggregate) -> Answers:
    judgements = all_records(path / "judgements.jsonl", JudgementScore)
    return Answers(
        scores=one_record(path / "scores.json", Scores),
        inference=one_record(path / "inference.json", InferenceFigures),
        breakdown=one_record(path / "breakdown.json", Breakdown),
        judges=one_record(path / "judges.json", PanelReport),
        unscored=_by_reason(path / "unscored.jsonl"),
        uncompared=_by_reason(path / "uncompared.jsonl"),
        compared=_lines(path / "comparisons.jsonl"),
        panel=panel_scores(judgements, together),
        pairs={one.response_id: one.pair_id for one in judgements},
    )


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _by_reason(path: Path) -> dict[str, int]:
    return dict(Counter(kind_of(one.reason) for one in all_records(path, Unscored)).most_common())


def kind_of(reason: str) -> str:
    """A reason without its particulars, which rooms put last, in brackets: what can be counted."""
    return reason.partition(" (")[0] if reason.endswith(")") else reason


def one_record(path: Path, kind: type[Record]) -> Record | None:
    return read_record(path, kind) if path.exists() else None


def all_records(path: Path, kind: type[Record]) -> tuple[Record, ...]:
    """Every record of a file that may still be growing, or not be there yet."""
    growing = path.name == "responses.jsonl"  # inference appends to it while it runs
    return read_records(path, kind, torn_tail=growing) if path.exists() else ()
