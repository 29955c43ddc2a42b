"""Whether the synthetic pairs are what the service LLM replied, and what curation kept of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from llamaduo.curation.curate import curate
from llamaduo.curation.portrait import portray
from llamaduo.errors import ExtraMissing
from llamaduo.records import (
    CurationFigures,
    Dropped,
    FinalSplit,
    Pair,
    Portrait,
    RawBatch,
    SynthesisFigures,
    TestSplit,
    TrainSplit,
)
from llamaduo.service.replay import replaying
from llamaduo.synthesis.synthesize import synthesize
from llamaduo.verification.checks import Finding
from llamaduo.verification.data import ids
from llamaduo.verification.records import Records


def synthesized(records: Records, finding: Finding, cycle: int) -> None:
    """The raw pairs after ``cycle``, read again from the raw replies; their seeds are train
    pairs."""
    folder = f"cycles/{cycle:03d}"
    raw = records.many(f"{folder}/raw.jsonl", Pair)
    figures = records.one(f"{folder}/synthesis.json", SynthesisFigures)
    train = {pair.id for pair in records.split("train")}
    for pair in raw:
        strangers = sorted(set(pair.provenance.seeds) - train)
        finding.require(
            not strangers, f"pair {pair.id} was modelled on {', '.join(strangers)}, no train pair"
        )
    try:
        batch = asyncio.run(_synthesize_again(records, cycle))
    except ExtraMissing as missing:
        finding.left_out = (
            "Only seeds, and that every pair has an answered call, were checked; no reply was read"
            f" again: {missing.message} {missing.hint}"
        )
        _calls_are_there(records, finding, raw)
        return
    _compare(finding, raw, batch.pairs)
    counts = (len(batch.pairs), batch.requests, batch.salvaged, batch.malformed)
    finding.same("synthesis.json", figures, SynthesisFigures(*counts, batch.set_aside))


async def _synthesize_again(records: Records, cycle: int) -> RawBatch:
    config = records.config
    async with replaying(
        config.service, records.calls, records.observe, records.redactor
    ) as service:
        return await synthesize(
            TrainSplit(records.split("train")),
            service,
            config.synthesis,
            config.task,
            cycle=cycle,
            notify=records.telling(f"cycles/{cycle:03d}/synthesis"),
        )


def _compare(finding: Finding, raw: Sequence[Pair], derived: Sequence[Pair]) -> None:
    finding.checked += len(derived)
    if tuple(raw) == tuple(derived):
        return
    again = {(pair.provenance.call, pair.id): pair for pair in derived}
    for pair in raw:
        found = again.pop((pair.provenance.call, pair.id), None)
        if found is None:
            call = (pair.provenance.call or "")[:12]
            finding.differ(f"raw.jsonl: pair {pair.id} is not in the reply to its call {call}")
        elif found != pair:
            finding.same(f"raw.jsonl, pair {pair.id}", pair, found)
    for pair in again.values():
        call = (pair.provenance.call or "")[:12]
        finding.differ(f"raw.jsonl lacks pair {pair.id} of the reply to call {call}")
    if not finding.differing:
        finding.differ("raw.jsonl has the right pairs in another order, or some of them twice")


def _calls_are_there(records: Records, finding: Finding, raw: Iterable[Pair]) -> None:
    for pair in raw:
        call = pair.provenance.call
        there = call is not None and records.calls.answer(call) is not None
        finding.require(there, f"pair {pair.id}: its call is not in the ledger")


# --- curation -----------------------------------------------------------------------------


_OLDER = (
    "An older llamaduo curated this batch by other rules: that nothing is lost and nothing held out"
    " is among what was kept was checked, but not what curating it again comes to."
)


def _is_of_older_version(records: Records, folder: str) -> bool:
    """Whether the batch was curated before there were portraits: since then, responses that are
    like a held-out one count less."""
    finished = records.manifest.stages.get(f"{folder}/curate")
    return finished is not None and f"{folder}/portrait.json" not in finished.files


def curated(records: Records, finding: Finding, cycle: int) -> None:
    """Kept and dropped make up the raw batch, none of the kept is held out, and curating again
    keeps and drops the same."""
    folder = f"cycles/{cycle:03d}"
    raw = records.many(f"{folder}/raw.jsonl", Pair)
    kept = records.kept(cycle)
    dropped = records.many(f"{folder}/dropped.jsonl", Dropped)
    ids(finding, "synthetic.jsonl", kept)
    together = Counter(pair.id for pair in (*kept, *(drop.pair for drop in dropped)))
    if together != Counter(pair.id for pair in raw):
        finding.differ(
            f"{len(kept)} kept and {len(dropped)} dropped pairs are not the {len(raw)} raw ones"
        )
    held_out = {pair.id for name in ("test", "final") for pair in records.split(name)}
    for pair in kept:
        finding.require(pair.id not in held_out, f"synthetic pair {pair.id} is a held-out one")
    _curate_again(records, finding, cycle, raw)
    _portray_again(records, finding, cycle)


def _portray_again(records: Records, finding: Finding, cycle: int) -> None:
    """What the portrait says. A run of an older version has none."""
    name = f"cycles/{cycle:03d}/portrait.json"
    if not (records.root / name).exists():
        return
    derived = portray(
        records.split("train"),
        records.kept(cycle),
        task=records.config.task,
        settings=records.config.curation,
    )
    finding.same("portrait.json", records.one(name, Portrait), derived)


def _curate_again(records: Records, finding: Finding, cycle: int, raw: Sequence[Pair]) -> None:
    folder = f"cycles/{cycle:03d}"
    config = records.config
    again = curate(
        raw,
        train=TrainSplit(records.split("train")),
        earlier=records.kept_before(cycle),
        test=TestSplit(records.split("test")),
        final=FinalSplit(records.split("final")),
        settings=config.curation,
        task=config.task,
        notify=records.telling(f"{folder}/curation"),
    )
    recorded = records.kept(cycle), records.many(f"{folder}/dropped.jsonl", Dropped)
    as_recorded = (again.kept, again.dropped) == recorded
    if _is_of_older_version(records, folder) and not as_recorded:
        finding.left_out = _OLDER
        return
    kept = {pair.id for pair in again.kept}
    for pair in records.kept(cycle):
        finding.require(pair.id in kept, f"synthetic pair {pair.id} is not kept when curated again")
    finding.checked += len(raw)
    finding.require(
        as_recorded,
        "synthetic.jsonl and dropped.jsonl are not what curating raw.jsonl again comes to",
    )
    steps = Counter(drop.step for drop in again.dropped)
    figures = CurationFigures(len(again.kept), dict(steps), again.discounted)
    finding.same("curation.json", records.one(f"{folder}/curation.json", CurationFigures), figures)
