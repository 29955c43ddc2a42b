"""Whether the pairs are who they say, and stand where the split put them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from llamaduo.coverage.splitting import split
from llamaduo.finetuning.mixture import mix
from llamaduo.inference.figures import measure
from llamaduo.records import (
    CoverageDataset,
    ImportFigures,
    InferenceFigures,
    Pair,
    Response,
    SplitFigures,
    TrainingFigures,
    TrainSplit,
    pair_id,
)
from llamaduo.verification.checks import Finding
from llamaduo.verification.records import Records

SPLITS = ("train", "test", "final")


def imported(records: Records, finding: Finding) -> None:
    """Each pair's id is the hash of its prompt and response, and the import's counts add up."""
    pairs = records.many("coverage/accepted.jsonl", Pair)
    ids(finding, "accepted.jsonl", pairs)
    finding.checked += len(pairs)
    _redacted(records, finding, pairs)
    figures = records.one("coverage/import.json", ImportFigures)
    counted = len(pairs) + figures.duplicates + len(figures.refused)
    finding.require(
        counted == figures.read,
        f"import.json: {figures.read} rows were read, but pairs, duplicates and refused rows"
        f" are {counted}",
    )


def _redacted(records: Records, finding: Finding, pairs: Iterable[Pair]) -> None:
    """Nothing that should have got a stand-in is in the pairs."""
    redactor = records.redactor
    for pair in pairs:
        texts = (*(message.content for message in pair.messages), pair.response)
        if found := Counter(kind for text in texts for kind in redactor.found_in(text)):
            kinds = ", ".join(found)
            finding.differ(f"accepted.jsonl: pair {pair.id} has personal data in it ({kinds})")


def ids(finding: Finding, name: str, pairs: Iterable[Pair]) -> None:
    for pair in pairs:
        derived = pair_id(pair.messages, pair.response)
        finding.require(
            derived == pair.id,
            f"{name}: pair {pair.id} has another prompt or response than its id says ({derived})",
        )
    counts = Counter(pair.id for pair in pairs)
    for twice in (one for one, count in counts.items() if count > 1):
        finding.differ(f"{name}: pair {twice} is there {counts[twice]} times")


def divided(records: Records, finding: Finding) -> None:
    """The split, made again from the accepted pairs, is the one that was used."""
    found = {name: records.split(name) for name in SPLITS}
    for name, pairs in found.items():
        ids(finding, f"{name}.jsonl", pairs)
        finding.checked += len(pairs)
    _disjoint(finding, found)
    figures = records.one("coverage/split.json", SplitFigures)
    for name, pairs in found.items():
        counted = getattr(figures, name)
        finding.require(
            counted == len(pairs), f"split.json: {counted} {name} pairs, the file has {len(pairs)}"
        )
    accepted = records.many("coverage/accepted.jsonl", Pair)
    again = split(CoverageDataset(accepted), records.config.coverage)
    derived = SplitFigures(
        train=len(again.train.pairs),
        test=len(again.test.pairs),
        final=len(again.final.pairs),
        sha256=again.sha256,
        clusters=again.clusters,
        leaks=again.leaks,
    )
    finding.same("split.json", figures, derived)
    for name, pairs in found.items():
        finding.require(
            pairs == getattr(again, name).pairs,
            f"{name}.jsonl is not the {name} split of accepted.jsonl",
        )


def _disjoint(finding: Finding, found: dict[str, tuple[Pair, ...]]) -> None:
    where: dict[str, str] = {}
    for name, pairs in found.items():
        for pair in pairs:
            before = where.setdefault(pair.id, name)
            if before != name:
                finding.differ(f"pair {pair.id} is in both the {before} and the {name} split")


# --- what the local LLM did ---------------------------------------------------------------


def trained(records: Records, finding: Finding, cycle: int) -> None:
    """A cycle was trained on the train split and every pair kept before it, and on no other."""
    figures = records.one(f"cycles/{cycle:03d}/training.json", TrainingFigures)
    mixture = mix(TrainSplit(records.split("train")), records.kept_before(cycle)).pairs
    counted = figures.pairs + figures.set_aside
    finding.require(
        counted == len(mixture),
        f"training.json counts {counted} pairs; the train split and what was kept are"
        f" {len(mixture)}",
    )
    held_out = {pair.id for name in ("test", "final") for pair in records.split(name)}
    for pair in mixture:
        finding.expect(pair.id not in held_out, f"pair {pair.id} was trained on and is held out")


def answered(records: Records, finding: Finding, where: str) -> None:
    """K responses to every prompt that fits, each to a prompt of its split."""
    responses = records.many(f"{where}/responses.jsonl", Response)
    known = {pair.id for pair in records.prompts_of(where)}
    repeats = records.config.inference.responses_per_prompt
    for one in responses:
        finding.expect(
            one.id == f"{one.pair_id}-{one.index}" and one.pair_id in known,
            f"response {one.id} answers no prompt of its split",
        )
    by_prompt: dict[str, list[int]] = {}
    for one in responses:
        by_prompt.setdefault(one.pair_id, []).append(one.index)
    for prompt, numbers in by_prompt.items():
        if sorted(numbers) != list(range(repeats)):
            finding.differ(f"prompt {prompt} has {len(numbers)} responses, not {repeats}")
    figures = records.one(f"{where}/inference.json", InferenceFigures)
    too_long, greedy = len(known - by_prompt.keys()), records.config.inference.temperature == 0
    again = measure([responses], too_long=too_long, greedy=greedy)
    # The wall time of all batches is not in the responses: which were one batch is not told. Nor
    # is the engine; and what an older run did not count cannot differ.
    counts = ("truncated", "empty", "constrained")
    uncounted = (name for name in counts if getattr(figures, name) is None)
    told = {name: getattr(figures, name) for name in ("seconds", "engine", *uncounted)}
    finding.same("inference.json", figures, replace(again, **told))
