"""Everything that a report says, read from a run directory into one value.

A run may be unfinished: what it has not written yet is None or empty here, and nothing is put
in its place. This module computes nothing but counts; scores and verdicts are the run's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from llamaduo.records import (
    CurationFigures,
    Dropped,
    ImportFigures,
    InferenceFigures,
    Judgement,
    Lengths,
    Pair,
    Parity,
    Portrait,
    ReferenceSource,
    Response,
    Scores,
    SplitFigures,
    SynthesisFigures,
    TokenStatistics,
    TrainingFigures,
    Unscored,
    Verdict,
)
from llamaduo.reporting.panel import JudgementScore, PanelScore, panel_scores
from llamaduo.reporting.samples import Samples, choose, samples_of
from llamaduo.reporting.settings import CostSettings
from llamaduo.reporting.setup import Setup, read_setup
from llamaduo.service.egress import EgressRow, read_egress
from llamaduo.service.ledger import SpendRow
from llamaduo.storage.jsonl import read_record, read_records

Record = TypeVar("Record")

SPLITS = ("train", "test", "final")
KEPT = "kept"
Tell = Callable[[Sequence[str]], Sequence[str]]
"""Names the language or the script of each text."""
MOST_TOLD = 2000
"""Texts whose language is told, which takes a millisecond each; of more, the scripts are."""
BASE, FINAL = "Base model", "Final split"
"""How tables and figures call the sets of responses that are not a cycle's."""


# --- what a cycle wrote ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answers:
    """One set of responses (base, a cycle, final): how it was made and scored.

    ``unscored`` counts the judgements that did not count, by reason; ``panel`` has the panel's
    score of every response that has one, by its id; ``pairs`` has the pair that it answers.
    """

    scores: Scores | None = None
    inference: InferenceFigures | None = None
    unscored: dict[str, int] = field(default_factory=dict)
    panel: dict[str, PanelScore] = field(default_factory=dict)
    pairs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleEvidence:
    """What one cycle left behind. ``synthesis``, ``curation`` and ``tokens`` (of the pairs that
    were kept) came after its verdict; ``dropped`` counts what curation dropped, by (step, reason),
    and ``by_language`` the pairs in a language, by the step that dropped them or :data:`KEPT`.
    """

    cycle: int
    answers: Answers
    training: TrainingFigures | None = None
    verdict: Verdict | None = None
    synthesis: SynthesisFigures | None = None
    curation: CurationFigures | None = None
    dropped: dict[tuple[str, str], int] = field(default_factory=dict)
    tokens: TokenStatistics | None = None
    portrait: Portrait | None = None
    by_language: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnsweredSet:
    """One set of responses with the name that tables give it, and its cycle if it has one."""

    name: str
    answers: Answers
    cycle: CycleEvidence | None = None


# --- the whole ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A run, as far as it got.

    ``references`` counts the pairs of each split by who wrote the reference. ``verdict`` is
    the run's own, after the loop; each cycle's is with the cycle. ``languages`` has those of the
    held-out prompts, by pair id.
    """

    name: str
    setup: Setup
    imported: ImportFigures | None = None
    split: SplitFigures | None = None
    lengths: Lengths | None = None
    references: dict[str, dict[ReferenceSource, int]] = field(default_factory=dict)
    base: Answers = Answers()
    cycles: tuple[CycleEvidence, ...] = ()
    final: Answers = Answers()
    verdict: Verdict | None = None
    spend: tuple[SpendRow, ...] = ()
    egress: tuple[EgressRow, ...] = ()
    samples: Samples | None = None
    parity: Parity | None = None
    languages: Mapping[str, str] = field(default_factory=dict)

    @property
    def rehearsed(self) -> bool:
        """True when the service LLM was a program."""
        return self.setup.llamaduo.rehearsed

    @property
    def latest_verdict(self) -> Verdict | None:
        """The run's verdict, or the last that a cycle reached."""
        of_cycles = [cycle.verdict for cycle in self.cycles if cycle.verdict]
        return self.verdict or (of_cycles[-1] if of_cycles else None)

    @property
    def best(self) -> CycleEvidence | None:
        """The best cycle so far, by the latest verdict."""
        verdict = self.latest_verdict
        if verdict is None:
            return None
        return next((c for c in self.cycles if c.cycle == verdict.best_cycle), None)

    def sets(self) -> Iterator[AnsweredSet]:
        """Base, every cycle and final, in the order they are made, as far as they have begun."""
        if self.base != Answers():
            yield AnsweredSet(BASE, self.base)
        for cycle in self.cycles:
            yield AnsweredSet(f"Cycle {cycle.cycle}", cycle.answers, cycle)
        if self.final != Answers():
            yield AnsweredSet(FINAL, self.final)


def gather(
    folder: Path,
    spend: tuple[SpendRow, ...] = (),
    *,
    cost: CostSettings | None = None,
    tell: Tell | None = None,
) -> Evidence:
    """Read the run directory ``folder``; ``spend`` is the ledger's sum, which needs its owner.

    ``cost`` replaces the section of that name in ``run.yaml``: what the user says now. Without
    ``tell`` nothing is counted by language.

    Raises:
        RunError: ``folder`` is not a run, or one of its files is damaged.
    """
    setup = read_setup(folder / "run.yaml")
    coverage = folder / "coverage"
    splits = {name: _all(coverage / f"{name}.jsonl", Pair) for name in SPLITS}
    evidence = Evidence(
        name=folder.resolve().name,
        setup=replace(setup, cost=cost) if cost else setup,
        imported=_one(coverage / "import.json", ImportFigures),
        split=_one(coverage / "split.json", SplitFigures),
        lengths=_one(coverage / "lengths.json", Lengths),
        references={name: _sources(pairs) for name, pairs in splits.items() if pairs},
        base=_answers(folder / "base"),
        cycles=tuple(_cycle(path, tell) for path in _cycle_folders(folder)),
        verdict=_one(folder / "verdict.json", Verdict),
        spend=spend,
        egress=read_egress(folder / "ledger.sqlite"),
        parity=_one(folder / "parity.json", Parity),
        languages=_languages((*splits["test"], *splits["final"]), tell),
    )
    return _with_best(evidence, folder, splits["test"])


def _with_best(evidence: Evidence, folder: Path, test: tuple[Pair, ...]) -> Evidence:
    """Add what belongs to the best cycle: its samples, and its scores on the final split."""
    if evidence.best is None:
        return evidence
    path = folder / "cycles" / f"{evidence.best.cycle:03d}"
    samples = _samples(evidence.best, path, test)
    return replace(evidence, samples=samples, final=_answers(folder / "final" / path.name))


def _samples(best: CycleEvidence, path: Path, test: tuple[Pair, ...]) -> Samples:
    """The samples of one cycle. Only they need judgements with their reasons."""
    choices = choose(_all(path / "responses.jsonl", Response), best.answers.panel)
    wanted = {choice.response.id for choice in choices}
    pairs = {pair.id: pair for pair in test}
    return samples_of(best.cycle, choices, _judgements(path / "judgements.jsonl", wanted), pairs)


def _judgements(path: Path, of_responses: set[str]) -> tuple[Judgement, ...]:
    if not of_responses:
        return ()
    return tuple(one for one in _all(path, Judgement) if one.response_id in of_responses)


def _cycle_folders(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "cycles").glob("*") if path.name.isdecimal())


def _cycle(path: Path, tell: Tell | None) -> CycleEvidence:
    dropped = _all(path / "dropped.jsonl", Dropped)
    kept = _all(path / "synthetic.jsonl", Pair) if tell else ()
    return CycleEvidence(
        cycle=int(path.name),
        answers=_answers(path),
        training=_one(path / "training.json", TrainingFigures),
        verdict=_one(path / "verdict.json", Verdict),
        synthesis=_one(path / "synthesis.json", SynthesisFigures),
        curation=_one(path / "curation.json", CurationFigures),
        dropped=dict(Counter((one.step, kind_of(one.reason)) for one in dropped)),
        tokens=_one(path / "tokens.json", TokenStatistics),
        portrait=_one(path / "portrait.json", Portrait),
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


def _languages(pairs: Sequence[Pair], tell: Tell | None) -> dict[str, str]:
    if tell is None:
        return {}
    told = tell([pair.instruction for pair in pairs])
    return {pair.id: language for pair, language in zip(pairs, told, strict=True)}


def _answers(path: Path) -> Answers:
    unscored = _all(path / "unscored.jsonl", Unscored)
    judgements = _all(path / "judgements.jsonl", JudgementScore)
    return Answers(
        scores=_one(path / "scores.json", Scores),
        inference=_one(path / "inference.json", InferenceFigures),
        unscored=dict(Counter(kind_of(one.reason) for one in unscored).most_common()),
        panel=panel_scores(judgements),
        pairs={one.response_id: one.pair_id for one in judgements},
    )


def kind_of(reason: str) -> str:
    """A reason without its particulars, which rooms put last, in brackets: what can be counted."""
    return reason.partition(" (")[0] if reason.endswith(")") else reason


def _sources(pairs: tuple[Pair, ...]) -> dict[ReferenceSource, int]:
    return dict(Counter(pair.reference_source for pair in pairs))


def _one(path: Path, kind: type[Record]) -> Record | None:
    return read_record(path, kind) if path.exists() else None


def _all(path: Path, kind: type[Record]) -> tuple[Record, ...]:
    """Every record of a file that may still be growing, or not be there yet."""
    growing = path.name == "responses.jsonl"  # inference appends to it while it runs
    return read_records(path, kind, torn_tail=growing) if path.exists() else ()
