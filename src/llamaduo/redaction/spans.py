"""Stretches of a text, and how those of a redacted text lie in what it was made of."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MIXED = "text"
"""The kind of what two findings cover together: its stand-in has its shape."""
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """``text[start:end]`` is of this kind: one of the finder's, or the name of a pattern."""

    start: int
    end: int
    kind: str


def is_within(one: Place, places: Sequence[Place]) -> bool:
    """Whether ``one`` lies in one of ``places``, which are in order and apart."""
    before = bisect_right(places, one[0], key=_start) - 1
    return before >= 0 and one[1] <= places[before][1]


def united(spans: Iterable[Span]) -> list[Span]:
    """In order; those that overlap are one, of the kind that covers it all, if one does."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
        elif span.end > kept[-1].end:
            kept[-1] = Span(kept[-1].start, span.end, MIXED)
    return kept


def widened(spans: Sequence[Span], places: Sequence[Place], again: Iterable[Span]) -> list[Span]:
    """The spans of the text that also cover what was found ``again`` in what became of it."""
    wider = dict(zip(places, spans, strict=True))
    for found in again:
        first = bisect_right(places, found.start, key=_end)
        touched = places[first : bisect_left(places, found.end, key=_start)]
        start = _origin(found.start, spans, places).start
        end = _origin(found.end - 1, spans, places).end
        whole = [wider.pop(place) for place in touched if place in wider]
        looks_like = not touched or list(touched) == [(found.start, found.end)]
        changed = looks_like and found.kind not in (one.kind for one in whole)
        wider[found.start, found.end] = Span(start, end, found.kind if changed else MIXED)
    return united(wider.values())


def _origin(position: int, spans: Sequence[Span], places: Sequence[Place]) -> Span:
    """Where a character of the redacted text comes from: the whole span that it stands in for,
    or its own place."""
    before = bisect_right(places, position, key=_start) - 1
    if before >= 0 and position < places[before][1]:
        return spans[before]
    shift = spans[before].end - places[before][1] if before >= 0 else 0
    return Span(position + shift, position + shift + 1, MIXED)


def _start(place: Place) -> int:
    return place[0]


def _end(place: Place) -> int:
    return place[1]
