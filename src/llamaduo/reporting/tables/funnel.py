"""From synthesized to kept: what each step of ψ left of a batch, and what was trained on next."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from llamaduo.reporting.answers import KEPT, CycleEvidence
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import UNKNOWN, count, part
from llamaduo.reporting.tables.table import Column, Table

STEPS = ("exact duplicates", "quality rules", "near-duplicates", "novelty", "decontamination")
"""ψ's steps in their order (Eq. 7). A step of another version comes before the last."""
BALANCE = "balance"
"""The step after those, shown where some batch had pairs beyond a cap."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A place in the funnel: ``pairs`` is None where the run did not get that far."""

    name: str
    pairs: int | None


@dataclass(frozen=True, slots=True)
class Funnel:
    """The batch made after one cycle, from the pairs asked for to those kept.

    ``trained`` counts the pairs of the next cycle's fine-tuning; None while there is none.
    """

    cycle: int
    stages: tuple[Stage, ...]
    trained: int | None = None

    @property
    def whole(self) -> int:
        """What the shares are of: the pairs asked for, or the widest stage if that is wider."""
        return max((stage.pairs or 0 for stage in self.stages), default=0)


def funnels(evidence: Evidence) -> tuple[Funnel, ...]:
    """Every batch that was synthesized."""
    steps = _steps(evidence)
    following = {cycle.cycle: cycle for cycle in evidence.cycles}
    return tuple(
        _funnel(evidence, cycle, steps, following.get(cycle.cycle + 1))
        for cycle in evidence.cycles
        if cycle.synthesis
    )


def _steps(evidence: Evidence) -> tuple[str, ...]:
    """The steps that every batch is shown with: ours, and those only the run knows."""
    return steps_of({step for c in evidence.cycles if c.curation for step in c.curation.dropped})


def steps_of(seen: Set[str]) -> tuple[str, ...]:
    """ψ's steps, and those only seen in a run, in their order."""
    caps = [BALANCE] if BALANCE in seen else []
    return (*STEPS[:-1], *sorted(seen - {*STEPS, BALANCE, KEPT}), STEPS[-1], *caps)


def _funnel(
    evidence: Evidence,
    cycle: CycleEvidence,
    steps: tuple[str, ...],
    following: CycleEvidence | None,
) -> Funnel:
    raw = cycle.synthesis.pairs if cycle.synthesis else None
    stages = [
        Stage("Asked for", evidence.setup.synthesis.asked(cycle.cycle)),
        Stage("Readable", raw),
        *_sieved(cycle, steps),
        Stage("Kept", cycle.curation.kept if cycle.curation else None),
    ]
    training = following.training if following else None
    return Funnel(cycle.cycle, tuple(stages), training.pairs if training else None)


def _sieved(cycle: CycleEvidence, steps: tuple[str, ...]) -> Iterator[Stage]:
    """What was left after each step but the last, after which a pair is kept."""
    figures = cycle.curation
    left = figures.pairs if figures else 0
    for step in steps[:-1]:
        left -= figures.dropped.get(step, 0) if figures else 0
        yield Stage(f"after {step}", left if figures else None)


def funnel_table(evidence: Evidence) -> Table | None:
    """One column for each batch; None before the first one."""
    found = funnels(evidence)
    if not found:
        return None
    columns = tuple(Column(f"cycle {one.cycle}", group="Batch made after") for one in found)
    names = [stage.name for stage in found[0].stages]
    rows = [(name, *(_cell(one, place) for one in found)) for place, name in enumerate(names)]
    rows.append(("Next fine-tuning, pairs", *(count(one.trained) for one in found)))
    kept = frozenset({len(names) - 1})
    note = _NOTE.format(last=_steps(evidence)[-1])
    return Table(
        "Pairs of each batch", (Column("", numeric=False), *columns), tuple(rows), note, kept
    )


def _cell(funnel: Funnel, place: int) -> str:
    pairs, asked = funnel.stages[place].pairs, funnel.stages[0].pairs
    if pairs is None:
        return UNKNOWN
    return part(pairs, asked) if place and asked else count(pairs)


_NOTE = (
    "Shares are of the pairs asked for. After {last}, the last step, a pair is kept. The"
    " next fine-tuning has the train split and what was kept of this and every earlier batch, less"
    " the pairs that do not fit the window."
)
