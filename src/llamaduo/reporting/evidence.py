"""Everything that a report says, read from a run directory into one value.

A run may be unfinished: what it has not written yet is None or empty here, and nothing is put
in its place. This module computes nothing but counts; scores and verdicts are the run's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from llamaduo.records import (
    ImportFigures,
    Judgement,
    Lengths,
    Metric,
    Pair,
    Parity,
    ReferenceSource,
    Response,
    SplitFigures,
    Verdict,
)
from llamaduo.reporting.answers import (
    NOTHING,
    AnsweredSet,
    Answers,
    CycleEvidence,
    Tell,
    all_records,
    one_record,
    read_answers,
    read_cycle,
)
from llamaduo.reporting.metric_names import title_of, words_of
from llamaduo.reporting.panel import Aggregate
from llamaduo.reporting.samples import Samples, choose, samples_of
from llamaduo.reporting.settings import CostSettings
from llamaduo.reporting.setup import Setup, read_setup
from llamaduo.service.egress import EgressRow, read_egress
from llamaduo.service.ledger import SpendRow

SPLITS = ("train", "test", "final")
MOST_TOLD = 2000
"""Texts whose language is told, which takes a millisecond each; of more, the scripts are."""
BASE, FINAL = "Base model", "Final split"
SERVICE, SERVICE_FINAL = "Service LLM", "Service LLM, final split"
"""How tables and figures call the sets of responses that are not a cycle's."""


# --- the whole ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A run, as far as it got.

    ``references`` counts the pairs of each split by who wrote the reference. ``verdict`` is
    the run's own, after the loop; each cycle's is with the cycle. ``service`` has the service
    LLM's own answers to the test prompts, ``service_final`` those to the final split: the ceiling.
    ``languages`` has those of the held-out prompts, by pair id.
    """

    name: str
    setup: Setup
    imported: ImportFigures | None = None
    split: SplitFigures | None = None
    lengths: Lengths | None = None
    references: dict[str, dict[ReferenceSource, int]] = field(default_factory=dict)
    base: Answers = NOTHING
    cycles: tuple[CycleEvidence, ...] = ()
    service: Answers = NOTHING
    final: Answers = NOTHING
    service_final: Answers = NOTHING
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

    @property
    def stopped_judging(self) -> AnsweredSet | None:
        """The set whose judging ended, before there were scores, by a judge that is unfit."""
        begun = (one for one in self.sets() if one.answers.scores is None)
        return next((o for o in begun if o.answers.judges and o.answers.judges.unfit), None)

    def sets(self) -> Iterator[AnsweredSet]:
        """Base, every cycle and the ceiling, then final and its own, as far as they have begun."""
        if self.base != NOTHING:
            yield AnsweredSet(BASE, self.base)
        for cycle in self.cycles:
            yield AnsweredSet(f"Cycle {cycle.cycle}", cycle.answers, cycle)
        if self.service != NOTHING:
            yield AnsweredSet(SERVICE, self.service, ceiling=True)
        if self.final != NOTHING:
            yield AnsweredSet(FINAL, self.final)
        if self.service_final != NOTHING:
            yield AnsweredSet(SERVICE_FINAL, self.service_final, ceiling=True)

    # --- intervals, metrics and references ------------------------------------------------

    @property
    def interval_words(self) -> str:
        """What the intervals of judged figures are."""
        if self.setup.judging.stopping != "adaptive":
            return "95 % interval"
        return "interval (95 %; where judging was adaptive, 95 % for all its looks together)"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The judged metrics: those that run.yaml asks for, then what else was scored."""
        scored = (one.answers.scores.panel for one in self.sets() if one.answers.scores)
        return tuple(dict.fromkeys((*self.setup.metrics, *(m for panel in scored for m in panel))))

    @property
    def own_references(self) -> tuple[int, int]:
        """How many references of held-out pairs are the service LLM's own replies, of how many."""
        held_out = [self.references.get(split, {}) for split in ("test", "final")]
        own = sum(sources.get("service", 0) for sources in held_out)
        return own, sum(sum(sources.values()) for sources in held_out)

    @property
    def agreement(self) -> bool:
        """Whether similarity is agreement with the service LLM, which wrote every reference."""
        own, whole = self.own_references
        return 0 < own == whole

    def title(self, metric: Metric) -> str:
        """What the report calls a metric, at the head of a column."""
        return title_of(metric, agreement=self.agreement)

    def words(self, metric: Metric) -> str:
        """The same within a sentence."""
        return words_of(metric, agreement=self.agreement)


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
    together = setup.judging.aggregate
    coverage = folder / "coverage"
    splits = {name: all_records(coverage / f"{name}.jsonl", Pair) for name in SPLITS}
    evidence = Evidence(
        name=folder.resolve().name,
        setup=replace(setup, cost=cost) if cost else setup,
        imported=one_record(coverage / "import.json", ImportFigures),
        split=one_record(coverage / "split.json", SplitFigures),
        lengths=one_record(coverage / "lengths.json", Lengths),
        references={name: _sources(pairs) for name, pairs in splits.items() if pairs},
        base=read_answers(folder / "base", together),
        cycles=tuple(read_cycle(path, together, tell) for path in _cycle_folders(folder)),
        service=read_answers(folder / "service", together),
        service_final=read_answers(folder / "service-final", together),
        verdict=one_record(folder / "verdict.json", Verdict),
        spend=spend,
        egress=read_egress(folder / "ledger.sqlite"),
        parity=one_record(folder / "parity.json", Parity),
        languages=_languages((*splits["test"], *splits["final"]), tell),
    )
    return _with_best(evidence, folder, splits["test"])


def _with_best(evidence: Evidence, folder: Path, test: tuple[Pair, ...]) -> Evidence:
    """Add what belongs to the best cycle: its samples, and its scores on the final split."""
    if evidence.best is None:
        return evidence
    path = folder / "cycles" / f"{evidence.best.cycle:03d}"
    together = evidence.setup.judging.aggregate
    samples = _samples(evidence.best, path, test, together)
    final = read_answers(folder / "final" / path.name, together)
    return replace(evidence, samples=samples, final=final)


def _samples(
    best: CycleEvidence, path: Path, test: tuple[Pair, ...], together: Aggregate
) -> Samples:
    """The samples of one cycle. Only they need judgements with their reasons."""
    choices = choose(all_records(path / "responses.jsonl", Response), best.answers.panel)
    wanted = {choice.response.id for choice in choices}
    pairs = {pair.id: pair for pair in test}
    judgements = _judgements(path / "judgements.jsonl", wanted)
    return samples_of(best.cycle, choices, judgements, pairs, together)


def _judgements(path: Path, of_responses: set[str]) -> tuple[Judgement, ...]:
    if not of_responses:
        return ()
    return tuple(one for one in all_records(path, Judgement) if one.response_id in of_responses)


def _cycle_folders(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "cycles").glob("*") if path.name.isdecimal())


def _languages(pairs: Sequence[Pair], tell: Tell | None) -> dict[str, str]:
    if tell is None:
        return {}
    told = tell([pair.instruction for pair in pairs])
    return {pair.id: language for pair, language in zip(pairs, told, strict=True)}


def _sources(pairs: tuple[Pair, ...]) -> dict[ReferenceSource, int]:
    return dict(Counter(pair.reference_source for pair in pairs))
