"""The pairs of a run as a card counts them and as a dataset on the Hub has them.

What a pair carries for llamaduo's own use stays behind: metadata (often a customer's or a
conversation's id), the file and line it came from, the ledger key of its reply.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from llamaduo.records import Pair, SplitFigures
from llamaduo.redaction.find import KINDS, Kind, find
from llamaduo.storage.jsonl import read_record, read_records
from llamaduo.storage.manifest import check_unchanged, read_manifest

COVERAGE_SPLITS = ("train", "test", "final")
SYNTHETIC = "synthetic"
TRAINED_ON = ("train", SYNTHETIC)
"""What a model may repeat."""
TIMES = ("captured_at", "timestamp", "created_at")
"""Metadata that says when a pair was captured; the first that a pair has counts."""


@dataclass(frozen=True, slots=True)
class Personal:
    """Personal data found in some pairs: findings by kind, and by kind the pairs that have it."""

    kinds: Mapping[Kind, int] = field(default_factory=dict)
    pairs: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)

    @property
    def affected(self) -> tuple[str, ...]:
        """The ids of the pairs that have any, in order."""
        return tuple(dict.fromkeys(id_ for ids in self.pairs.values() for id_ in ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What a card says about the pairs.

    ``window`` is the first and last day a pair was captured, or None where no pair says it;
    ``timed`` counts those that do. ``scripts`` has the share of letters by script (0 to 1),
    largest first. ``personal`` is by split.
    """

    counts: Mapping[str, int]
    reference_sources: Mapping[str, int]
    window: tuple[str, str] | None = None
    timed: int = 0
    scripts: tuple[tuple[str, float], ...] = ()
    personal: Mapping[str, Personal] = field(default_factory=dict)
    split_sha256: str = ""

    @property
    def pairs(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class RunPairs:
    """Every pair of a run that counts: by split, ``synthetic`` being what curation kept."""

    splits: Mapping[str, tuple[Pair, ...]]
    split_sha256: str = ""

    def of(self, *splits: str) -> tuple[Pair, ...]:
        return tuple(pair for split in splits for pair in self.splits.get(split, ()))


def read_pairs(run: Path, *, before: int | None = None) -> RunPairs:
    """The pairs of the run directory ``run``.

    Args:
        before: leave out synthetic pairs made after this cycle or a later one: what the
            checkpoint of that cycle was not trained on. None keeps all.

    Raises:
        RunError: a file is missing, is not what it should be, or was changed since its stage
            wrote it.
    """
    _check_unchanged(run)
    splits = {
        name: read_records(run / "coverage" / f"{name}.jsonl", Pair) for name in COVERAGE_SPLITS
    }
    kept = (
        pair
        for path in sorted((run / "cycles").glob("*/synthetic.jsonl"))
        if path.parent.name.isdecimal() and (before is None or int(path.parent.name) < before)
        for pair in read_records(path, Pair)
    )
    figures = read_record(run / "coverage" / "split.json", SplitFigures)
    return RunPairs(MappingProxyType(splits | {SYNTHETIC: tuple(kept)}), figures.sha256)


def _check_unchanged(run: Path) -> None:
    """Pairs that were changed are not those that a model was made from."""
    if not (run / "manifest.json").is_file():
        return
    for stage, finished in read_manifest(run / "manifest.json").stages.items():
        if stage in ("import", "split") or stage.endswith("/curate"):
            check_unchanged(finished, run, stage)


def data_facts(pairs: RunPairs) -> DataFacts:
    """Count, date and search ``pairs``; personal data is found, never shown."""
    everything = pairs.of(*pairs.splits)
    days = sorted(day for pair in everything if (day := _day(pair)))
    return DataFacts(
        counts={split: len(found) for split, found in pairs.splits.items()},
        reference_sources=dict(Counter(pair.reference_source for pair in everything)),
        window=(days[0], days[-1]) if days else None,
        timed=len(days),
        scripts=_scripts(text for pair in everything for text in _texts(pair)),
        personal={split: find_personal(found) for split, found in pairs.splits.items()},
        split_sha256=pairs.split_sha256,
    )


def find_personal(pairs: Iterable[Pair]) -> Personal:
    """Personal data in prompts, responses and schemas."""
    kinds: Counter[Kind] = Counter()
    holders: dict[Kind, dict[str, None]] = {}
    for pair in pairs:
        for text in _texts(pair):
            for finding in find(text):
                kinds[finding.kind] += 1
                holders.setdefault(finding.kind, {})[pair.id] = None
    return Personal(
        {kind: kinds[kind] for kind in KINDS if kinds[kind]},
        {kind: tuple(holders[kind]) for kind in KINDS if kind in holders},
    )


def together(parts: Iterable[Personal]) -> Personal:
    """The findings of several splits as one."""
    kinds: Counter[Kind] = Counter()
    pairs: dict[Kind, tuple[str, ...]] = {}
    for part in parts:
        kinds.update(part.kinds)
        for kind, ids in part.pairs.items():
            pairs[kind] = tuple(dict.fromkeys((*pairs.get(kind, ()), *ids)))
    return Personal({kind: kinds[kind] for kind in KINDS if kinds[kind]}, pairs)


def from_the_service(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs whose response a service LLM wrote."""
    return tuple(pair for pair in pairs if pair.reference_source == "service")


def rows(pairs: Iterable[Pair], *, schemas: bool) -> str:
    """Pairs as JSON Lines; ``schemas`` adds a column for the JSON Schema of a response."""
    return "".join(json.dumps(_row(pair, schemas), ensure_ascii=False) + "\n" for pair in pairs)


def _row(pair: Pair, schemas: bool) -> dict[str, Any]:
    """A pair as the published dataset has it: one conversation, the response its last message."""
    messages = [{"role": m.role, "content": m.content} for m in pair.messages]
    made = pair.provenance
    values: dict[str, Any] = {
        "id": pair.id,
        "messages": [*messages, {"role": "assistant", "content": pair.response}],
        "reference_source": pair.reference_source,
        "origin": made.origin,
    }
    if made.origin == "synthetic":
        values |= {"cycle": made.cycle, "seeds": list(made.seeds)}
    if schemas:
        schema = pair.json_schema
        values["json_schema"] = json.dumps(schema, ensure_ascii=False) if schema else None
    return values


def _texts(pair: Pair) -> Iterator[str]:
    yield from (message.content for message in pair.messages)
    yield pair.response
    if pair.json_schema:
        yield json.dumps(pair.json_schema, ensure_ascii=False)


def _day(pair: Pair) -> str | None:
    """The day (UTC) that the pair says it was captured on: ISO 8601, or seconds since 1970."""
    found = next((pair.metadata[name] for name in TIMES if pair.metadata.get(name)), None)
    if found is None:
        return None
    try:
        moment = _moment(found.strip())
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _moment(text: str) -> datetime:
    """Nine digits and more are seconds, twelve and more milliseconds; the rest is ISO 8601."""
    whole = text.partition(".")[0]
    if not (whole.isdecimal() and len(whole) >= 9):
        return datetime.fromisoformat(text)
    return datetime.fromtimestamp(float(text) / (1000 if len(whole) >= 12 else 1), UTC)


def _scripts(texts: Iterable[str]) -> tuple[tuple[str, float], ...]:
    """Scripts by their share of all letters, those below one in a hundred left out."""
    letters: Counter[str] = Counter()
    for text in texts:
        letters.update(text)
    scripts: Counter[str] = Counter()
    for letter, number in letters.items():
        if letter.isalpha():
            scripts[_script(letter)] += number
    total = scripts.total()
    return tuple((name, n / total) for name, n in scripts.most_common() if n / total >= 0.01)


_JOINED = {"CJK": "Han", "HIRAGANA": "Japanese kana", "KATAKANA": "Japanese kana"}


@cache
def _script(letter: str) -> str:
    """The script of a letter: the first word of its name in Unicode."""
    first = unicodedata.name(letter, "OTHER").split()[0].split("-")[0]
    return _JOINED.get(first, first.capitalize())
