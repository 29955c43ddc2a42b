"""What a real run may cost, said before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamaduo.config import Config

if TYPE_CHECKING:
    from llamaduo.cli.session import Session
    from llamaduo.records import Split
    from llamaduo.reporting.cost import Call


def expected(config: Config, session: Session) -> tuple[Call, ...]:
    """The calls of a run that needs every cycle, from its own split, or from the data where it
    has none yet.

    Raises:
        DataError: the data cannot be read or split.
    """
    from llamaduo.reporting.cost import Dials, estimate
    from llamaduo.synthesis.seeds import wanted

    cycles = config.limits.cycles
    dials = Dials(
        judgements=config.inference.responses_per_prompt * config.judging.judgements_per_response,
        cycles=cycles,
        batches=tuple(wanted(config.synthesis, cycle) for cycle in range(cycles - 1)),
        pairs_per_request=config.synthesis.pairs_per_request,
    )
    return estimate(_split_of(config, session), config.task, config.service, config.judges, dials)


def _split_of(config: Config, session: Session) -> Split:
    from llamaduo.coverage.importing import import_pairs
    from llamaduo.coverage.splitting import split
    from llamaduo.stages import read_split
    from llamaduo.storage.manifest import read_manifest

    manifest = session.directory.manifest
    if manifest.is_file() and "split" in read_manifest(manifest).stages:
        return read_split(session.directory.coverage)
    dataset = import_pairs(config.coverage, config.task, session.root).dataset
    return split(dataset, config.coverage)


def describe(calls: tuple[Call, ...], config: Config) -> str:
    """The estimate as lines of text."""
    lines = ["This run calls paid services. If it needs every cycle, it makes at most about"]
    lines += [
        f"  {c.calls:>8,} × {c.stage:<10} {c.model}  "
        f"{c.input_tokens:,} + {c.output_tokens:,} tokens each  "
        + ("price unknown" if c.usd is None else f"${c.usd:,.2f}")
        for c in calls
    ]
    known = sum(c.usd or 0.0 for c in calls)
    open_end = " and what the models without a price charge" if _unpriced(calls) else ""
    lines.append(f"  together ${known:,.2f}{open_end}; identical answers are judged once.")
    budget = config.limits.budget_usd
    if budget is None:
        lines.append("  No limits.budget_usd is set: nothing else bounds the spending.")
    else:
        lines.append(f"  limits.budget_usd stops the run before it has spent ${budget:,.2f}.")
    return "\n".join(lines)


def _unpriced(calls: tuple[Call, ...]) -> bool:
    return any(c.usd is None for c in calls)
