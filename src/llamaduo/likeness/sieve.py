"""Which texts of a sequence are kept, where each must differ from all that are kept before it.

The order is the input's, and the outcome is that of going through it one by one: a text is kept
unless one that is kept already is the same, nearly the same or too alike. Texts are taken in
blocks. All of a block are looked up at once, by several threads, among what was kept before it;
then they are compared with each other and settled in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness import minhash, rouge
from llamaduo.likeness.compiled import Workers, kernel
from llamaduo.likeness.elements import differ, differ_at_once
from llamaduo.likeness.minhash import Runs, RunScratch
from llamaduo.likeness.rouge import Postings, Rouge, Scratch

BLOCK = 512
WINDOW = 32_768
"""Texts after which what was kept of them is put in an order that is searched faster."""

_NOTHING = -1


class Fate(IntEnum):
    """What becomes of a text. Those after ``KEPT`` name what stands against it, the first that
    does in this order."""

    KEPT = 0
    SAME = 1
    BARRED = 2
    NEARLY_SAME = 3
    ALIKE = 4
    EXCLUDED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """``known`` texts that are there to stay, then those to be decided.

    ``same``: a number for each text, equal where texts are the same. ``fates``: of each text,
    ``BARRED`` if it cannot be kept and need not be looked up, ``EXCLUDED`` if it cannot be kept,
    which is said only if nothing else stands against it; else ``KEPT``. ``runs`` and ``rouge``
    are the texts as they are compared.
    """

    known: int
    same: NDArray[np.int64]
    fates: NDArray[np.int8]
    runs: Runs
    rouge: Rouge
    words: int


@dataclass(frozen=True, slots=True, eq=False)
class Sieved:
    """For each text after the known ones its :class:`Fate`, and the number of the kept text
    that it lost to; -1 if to none."""

    fates: NDArray[np.int8]
    lost_to: NDArray[np.int64]


def sieve(
    candidates: Candidates,
    workers: Workers,
    told: Callable[[int], None] | None = None,
    *,
    block: int = BLOCK,
    window: int = WINDOW,
) -> Sieved:
    """Decide the texts of ``candidates`` in order. ``told`` hears how many are done."""
    state = _begin(candidates, workers, window)
    count = len(candidates.same)
    for first in range(candidates.known, count, window):
        end = min(first + window, count)
        state.open_window(np.arange(first, end, dtype=np.int32))
        for low in range(first, end, block):
            high = min(low + block, end)
            state.look_up(low, high)
            state.compare(low, high)
            state.settle(low, high)
            if told:
                told(high - candidates.known)
        state.close_window(first, end)
    return Sieved(state.notes.fates[candidates.known :], state.notes.lost_to[candidates.known :])


class _Notes(NamedTuple):
    """What is known of each text: its fate, what it lost to, and for each kind of sameness the
    text that holds it (-1 for none)."""

    fates: NDArray[np.int8]
    lost_to: NDArray[np.int64]
    holders: NDArray[np.int64]
    same: NDArray[np.int64]


class _Clashes(NamedTuple):
    """Bit j of row i: texts ``low + j`` and ``low + i`` of a block are nearly the same, alike."""

    nearly: NDArray[np.uint64]
    alike: NDArray[np.uint64]


def _begin(candidates: Candidates, workers: Workers, window: int) -> _State:
    known = candidates.known
    holders = np.full(int(candidates.same.max(initial=-1)) + 1, _NOTHING, np.int64)
    holders[candidates.same[:known][::-1]] = np.arange(known)[::-1]  # the first of each stays
    notes = _Notes(
        candidates.fates.astype(np.int8),
        np.full(len(candidates.same), _NOTHING, np.int64),
        holders,
        candidates.same,
    )
    spaces: SimpleQueue[tuple[Scratch, RunScratch]] = SimpleQueue()
    for _ in range(workers.threads):
        spaces.put(
            (
                rouge.scratch(candidates.rouge, candidates.words),
                minhash.run_scratch(candidates.runs),
            )
        )
    groups = minhash.empty_groups(candidates.runs)
    minhash.add_to_groups(np.arange(known, dtype=np.int32), candidates.runs, groups)
    state = _State(candidates, workers, notes, spaces, groups)
    for first in range(0, known, window):
        state.add_settled(np.arange(first, min(first + window, known), dtype=np.int32))
    return state


class _State:
    """What was kept so far, and what finds it."""

    def __init__(
        self,
        candidates: Candidates,
        workers: Workers,
        notes: _Notes,
        spaces: SimpleQueue[tuple[Scratch, RunScratch]],
        groups: minhash.Groups,
    ) -> None:
        self.notes = notes
        self._runs = candidates.runs
        self._rouge = candidates.rouge
        self._workers = workers
        self._spaces = spaces
        self._groups = groups
        self._settled: list[tuple[NDArray[np.int32], Postings]] = []
        self._open: Postings | None = None
        self._clashes = _Clashes(np.zeros((0, 0), np.uint64), np.zeros((0, 0), np.uint64))

    def add_settled(self, texts: NDArray[np.int32]) -> None:
        """Add an index of ``texts``. It takes in those before it that are not twice as large, so
        that there are few, and no text is indexed anew more than a few times."""
        while self._settled and len(self._settled[-1][0]) < 2 * len(texts):
            texts = np.concatenate((self._settled.pop()[0], texts))
        self._settled.append((texts, rouge.settled(texts, self._rouge)))

    def open_window(self, texts: NDArray[np.int32]) -> None:
        """Begin an index that has room for ``texts``."""
        self._open = rouge.room_for(texts, self._rouge)

    def close_window(self, first: int, end: int) -> None:
        """Put what was kept of the window into an order that is searched faster."""
        kept = first + np.flatnonzero(self.notes.fates[first:end] == Fate.KEPT)
        self.add_settled(kept.astype(np.int32))
        self._open = None

    def look_up(self, low: int, high: int) -> None:
        """Note which texts of a block what was kept before it stands against."""
        _note_same(low, high, self.notes)
        indexes = [*(index for _, index in self._settled), *([self._open] if self._open else [])]

        def work(first: int, last: int) -> None:
            space, run_space = self._spaces.get()
            try:
                rows = (low + first, low + last)
                _note_nearly_same(*rows, self.notes, self._runs, self._groups, run_space)
                for index in indexes:
                    _note_alike(*rows, self.notes, self._rouge, index, space)
            finally:
                self._spaces.put((space, run_space))

        self._workers.share(high - low, work)

    def compare(self, low: int, high: int) -> None:
        """Compare the texts of a block with each other."""
        size = high - low
        self._clashes = _Clashes(*np.zeros((2, size, (size + 63) // 64), np.uint64))

        def work(first: int, last: int) -> None:
            space, run_space = self._spaces.get()
            try:
                _find_clashes(
                    low,
                    low + first,
                    low + last,
                    self.notes,
                    self._runs,
                    self._rouge,
                    space,
                    run_space,
                    self._clashes,
                )
            finally:
                self._spaces.put((space, run_space))

        self._workers.share(size, work)

    def settle(self, low: int, high: int) -> None:
        """Decide the texts of a block in order, and let later ones find those that are kept."""
        _settle(low, high, self.notes, self._clashes)
        kept = low + np.flatnonzero(self.notes.fates[low:high] == Fate.KEPT)
        texts = kept.astype(np.int32)
        minhash.add_to_groups(texts, self._runs, self._groups)
        if self._open:
            rouge.add(texts, self._rouge, self._open)


_KEPT, _SAME, _BARRED = int(Fate.KEPT), int(Fate.SAME), int(Fate.BARRED)
_NEARLY_SAME, _ALIKE, _EXCLUDED = int(Fate.NEARLY_SAME), int(Fate.ALIKE), int(Fate.EXCLUDED)


@kernel
def _note_same(low: int, high: int, notes: _Notes) -> None:
    for i in range(low, high):
        holder = notes.holders[notes.same[i]]
        if holder >= 0:
            notes.fates[i] = _SAME
            notes.lost_to[i] = holder


@kernel
def _note_nearly_same(
    low: int, high: int, notes: _Notes, runs: Runs, groups: minhash.Groups, space: RunScratch
) -> None:
    for i in range(low, high):
        if notes.fates[i] in (_KEPT, _EXCLUDED):
            other = minhash.first_nearly_same(i, runs, groups, space)
            if other >= 0:
                notes.fates[i] = _NEARLY_SAME
                notes.lost_to[i] = other


@kernel
def _note_alike(
    low: int, high: int, notes: _Notes, texts: Rouge, index: Postings, space: Scratch
) -> None:
    for i in range(low, high):
        if notes.fates[i] in (_KEPT, _EXCLUDED):
            other = rouge.first_like(i, texts, index, space)
            if other >= 0:
                notes.fates[i] = _ALIKE
                notes.lost_to[i] = other


@kernel
def _find_clashes(
    low: int,
    first: int,
    last: int,
    notes: _Notes,
    runs: Runs,
    texts: Rouge,
    space: Scratch,
    run_space: RunScratch,
    clashes: _Clashes,
) -> None:
    """Compare each text with those before it in the block that may still be kept."""
    fates, run_bits, word_bits, sketches = notes.fates, runs.bitmaps, texts.bitmaps, texts.sketches
    run_sizes, starts, part, of = runs.sizes, texts.starts, texts.part, texts.of
    for i in range(first, last):
        fate = fates[i]
        if fate in (_SAME, _BARRED, _NEARLY_SAME):
            continue
        size = starts[i + 1] - starts[i]
        for j in range(low, i):
            if fates[j] != _KEPT:
                continue
            place, bit = (j - low) >> 6, np.uint64(1) << np.uint64((j - low) & 63)
            most = minhash.may_differ(run_sizes[i] + run_sizes[j], runs.part, runs.of)
            if (
                run_sizes[i] > 0
                and not differ(run_bits, i, j, most)
                and minhash.is_found(i, j, runs, run_space)
            ):
                clashes.nearly[i - low, place] |= bit
            elif fate != _ALIKE:
                words = size + starts[j + 1] - starts[j]
                most = rouge.may_differ(words, part, of)
                if differ_at_once(sketches, i, j, most) or differ(word_bits, i, j, most):
                    continue
                if rouge.alike(i, j, texts, space):
                    clashes.alike[i - low, place] |= bit


@kernel
def _settle(low: int, high: int, notes: _Notes, clashes: _Clashes) -> None:
    for i in range(low, high):
        fate = notes.fates[i]
        holder = notes.holders[notes.same[i]]
        if fate == _SAME:
            continue
        if holder >= 0:
            notes.fates[i] = _SAME
            notes.lost_to[i] = holder
        elif fate in (_KEPT, _ALIKE, _EXCLUDED):
            other = _first_kept(low, notes, clashes.nearly[i - low])
            if other >= 0:
                notes.fates[i] = _NEARLY_SAME
                notes.lost_to[i] = other
            elif fate != _ALIKE:
                other = _first_kept(low, notes, clashes.alike[i - low])
                if other >= 0:
                    notes.fates[i] = _ALIKE
                    notes.lost_to[i] = other
        if notes.fates[i] == _KEPT:
            notes.holders[notes.same[i]] = i


@kernel
def _first_kept(low: int, notes: _Notes, bits: NDArray[np.uint64]) -> int:
    """The earliest text of the block whose bit is set and that is kept, or -1."""
    for place in range(len(bits)):
        if bits[place] == 0:
            continue
        for bit in range(64):
            if (bits[place] >> np.uint64(bit)) & np.uint64(1):
                j = low + place * 64 + bit
                if notes.fates[j] == _KEPT:
                    return j
    return _NOTHING
