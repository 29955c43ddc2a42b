"""One check: what was looked at, how much of it, and what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from llamaduo.storage.jsonl import dump_record

MOST_KEPT = 100
"""Differences of one check that are kept in words; all are counted."""
_SHOWN = 5
_LONGEST = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one check came to. ``ok`` is None when it was left out; ``detail`` says why, or what
    differs, or what else is worth knowing. ``checked`` is how many there were of ``unit``, each
    of which was held ``against`` something else."""

    name: str
    ok: bool | None
    checked: int
    unit: str
    against: str
    detail: str


@dataclass(slots=True)
class Finding:
    """A check under way. Nothing stops at the first difference: each is named."""

    checked: int = 0
    differing: int = 0
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: str = ""

    def expect(self, holds: bool, otherwise: str) -> None:
        """Count one of the check's unit, and a difference in words unless it ``holds``."""
        self.checked += 1
        self.require(holds, otherwise)

    def require(self, holds: bool, otherwise: str) -> None:
        """A difference in words unless what concerns all of them ``holds``."""
        if not holds:
            self.differ(otherwise)

    def differ(self, words: str) -> None:
        self.differing += 1
        if len(self.differences) < MOST_KEPT:
            self.differences.append(words)

    def same(self, what: str, recorded: Any, derived: Any) -> None:
        """Compare two records field by field; ``what`` is the file of the recorded one."""
        for words in different_fields(recorded, derived):
            self.differ(f"{what}: {words}")

    def close(self, name: str, unit: str, against: str) -> Check:
        ok = None if self.left_out and not self.differing else not self.differing
        shown = self.differences[:_SHOWN]
        more = self.differing - len(shown)
        words = [*shown, *([f"and {more:,} more"] if more else [])]
        rest = [self.left_out] if self.left_out else []
        return Check(
            name=name,
            ok=ok,
            checked=self.checked,
            unit=unit,
            against=against,
            detail="\n".join([*words, *rest, *self.notes]),
        )


def plain(record: Any) -> Any:
    """A record as the JSON that it has in a file."""
    return json.loads(dump_record(record))


def figures_in(record: Any) -> int:
    """How many values a record has."""
    return sum(1 for _ in _leaves(plain(record)))


def different_fields(recorded: Any, derived: Any) -> Iterator[str]:
    """Each field in which two records differ, in words with both values."""
    left, right = (dict(_leaves(plain(record))) for record in (recorded, derived))
    for place in sorted(left.keys() | right.keys()):
        if left.get(place) != right.get(place):
            found, wanted = (_short(side.get(place)) for side in (left, right))
            yield f"{place or 'it'} is {found}, derived again it is {wanted}"


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}".strip("."))
    else:
        yield place, value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
