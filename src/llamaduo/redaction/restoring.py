"""Stand-ins turned back into the values that they stand for.

A stand-in is turned back where it stands exactly as it was written; one that a service LLM has
reformatted stays. At each place the longest counts. The time is linear in the text, whatever the
number of stand-ins.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

SHORTEST = 6
"""Characters of a stand-in at least: a shorter one would stand in any text by chance."""


class StandIns:
    """Every stand-in with its value."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._lengths: dict[str, dict[int, int]] = {}
        """By the first :data:`SHORTEST` characters: how many of each length begin so."""
        self._sorted: list[str] = []
        self._longest = 0

    def __contains__(self, stand_in: str) -> bool:
        return stand_in in self._values

    def __len__(self) -> int:
        return len(self._values)

    def add(self, stand_in: str, value: str) -> None:
        """Remember one, of :data:`SHORTEST` characters or more, that is not there yet."""
        self._values[stand_in] = value
        lengths = self._lengths.setdefault(stand_in[:SHORTEST], {})
        lengths[len(stand_in)] = lengths.get(len(stand_in), 0) + 1
        insort(self._sorted, stand_in)
        self._longest = max(self._longest, len(stand_in))

    def remove(self, stand_in: str) -> None:
        del self._values[stand_in]
        lengths = self._lengths[stand_in[:SHORTEST]]
        lengths[len(stand_in)] -= 1
        if not lengths[len(stand_in)]:
            del lengths[len(stand_in)]
        del self._sorted[bisect_left(self._sorted, stand_in)]

    def restore(self, text: str) -> str:
        """``text`` with every stand-in turned back."""
        return self.scan(text, whole=True)[0]

    def scan(self, text: str, *, whole: bool) -> tuple[str, str]:
        """What can be handed on of ``text``, turned back, and what must wait for more of it:
        nothing if it is ``whole``, else an end that may be the beginning of a stand-in."""
        edge = len(text) if whole else max(0, len(text) - self._longest + 1)
        done: list[str] = []
        last = 0
        while True:
            start, stand_in = self._next(text, last, edge)
            done.append(text[last:start])
            if not stand_in:
                return "".join(done), text[start:]
            done.append(self._values[stand_in])
            last = start + len(stand_in)

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Where stand-ins are in ``text``: start and end of each."""
        start, stand_in = self._next(text, 0, len(text))
        while stand_in:
            end = start + len(stand_in)
            yield start, end
            start, stand_in = self._next(text, end, len(text))

    def _next(self, text: str, place: int, edge: int) -> tuple[int, str]:
        """The first stand-in from ``place`` on, and where it is. Without one: an empty one, where
        from ``edge`` on the beginning of one may be, or else at the end."""
        heads = self._lengths
        if not heads:
            return len(text), ""
        for start in range(place, len(text)):
            if start >= edge and self._may_grow(text[start:]):
                return start, ""
            lengths = heads.get(text[start : start + SHORTEST])
            if lengths and (stand_in := self._at(text, start, lengths)):
                return start, stand_in
        return len(text), ""

    def _at(self, text: str, place: int, lengths: Iterable[int]) -> str:
        """The longest stand-in at ``place``; empty if there is none."""
        for length in sorted(lengths, reverse=True):
            if (found := text[place : place + length]) in self._values:
                return found
        return ""

    def _may_grow(self, end: str) -> bool:
        """Whether ``end`` is the beginning of a stand-in, and not the whole of the longest."""
        if len(end) >= SHORTEST and not self._lengths.get(end[:SHORTEST]):
            return False
        following = bisect_left(self._sorted, end)
        if following < len(self._sorted) and self._sorted[following] == end:
            following += 1
        return following < len(self._sorted) and self._sorted[following].startswith(end)


class Restoring:
    """A text that arrives in pieces. What may be the beginning of a stand-in is held back until
    the next piece tells, and nothing else."""

    def __init__(self, stand_ins: StandIns) -> None:
        self._stand_ins = stand_ins
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown now."""
        shown, self._held = self._stand_ins.scan(self._held + piece, whole=False)
        return shown

    def end(self) -> str:
        """The rest: the text has ended."""
        shown, self._held = self._stand_ins.scan(self._held, whole=True)
        return shown
