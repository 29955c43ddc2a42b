"""The held-out texts that a text can be like, as far as their shared words tell.

The index (:mod:`llamaduo.likeness.held_out`) proposes; how many of the words that it holds are
hit says how many the texts can share at most, and few are left to be counted.

Arrays are passed rather than records of arrays where a kernel is called once a candidate: taking
a record apart costs more than the work itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import kernel
from llamaduo.likeness.held_out import Held, Index, Measure
from llamaduo.likeness.rarity import Marks


class Space(NamedTuple):
    """What one thread needs. ``counts``, ``used`` and ``hits`` are zeros between texts."""

    counts: NDArray[np.int32]
    used: NDArray[np.int32]
    hits: NDArray[np.int32]
    touched: NDArray[np.int32]
    listed: NDArray[np.int64]
    found: NDArray[np.int32]
    runs: NDArray[np.int32]
    met_runs: NDArray[np.int64]
    outside: NDArray[np.int32]
    beside: NDArray[np.int32]
    masks: NDArray[np.uint64]
    carries: NDArray[np.uint8]
    prompt_marks: Marks
    response_marks: Marks


@kernel
def prompt_candidates(
    ours: NDArray[np.int32], outside: int, held: Held, measure: Measure, space: Space
) -> int:
    """Put the held-out prompts into ``space.found`` that ours can be like; how many.

    ``outside`` is how many of our words no frame covers.
    """
    index, whole = held.by_word, held.side.starts
    starts, least, bare, hits = index.own_starts, index.least, index.bare, space.hits
    count = 0
    for k in range(_touch(ours, index, space)):
        other = space.touched[k]
        size = starts[other + 1] - starts[other]
        needed = size
        if not bare[other]:
            needed = -((-measure.part * size) // measure.of)
            alike = _least(size + outside, measure.part, measure.of)
            needed = min(needed, alike) if alike <= outside else needed
            both = whole[other + 1] - whole[other] + len(ours)
            near = _least(both, measure.of + measure.part, 2 * measure.of)
            if near <= min(len(ours), both - len(ours)):  # half will do if they are so close
                needed = min(needed, (size + 1) // 2)
        possible = hits[other] + least[other] - 1  # all those that it is not indexed by
        hits[other] = 0
        if min(possible, len(ours)) < needed:
            continue
        own = index.own[starts[other] : starts[other + 1]]
        if _common(own, space.counts, space.used) >= needed:
            space.found[count] = other
            count += 1
    _let_go(ours, space.counts)
    return count


@kernel
def response_candidates(
    ours: NDArray[np.int32], index: Index, measure: Measure, space: Space
) -> int:
    """As :func:`prompt_candidates`. ``ours`` are the words of our response that no frame covers."""
    starts, least, hits = index.own_starts, index.least, space.hits
    count = 0
    for k in range(_touch(ours, index, space)):
        other = space.touched[k]
        size = starts[other + 1] - starts[other]
        needed = _least(size + len(ours), measure.part, measure.of)
        possible = hits[other] + least[other] - 1
        hits[other] = 0
        if min(possible, len(ours), size) < needed:
            continue
        own = index.own[starts[other] : starts[other + 1]]
        if _common(own, space.counts, space.used) >= needed:
            space.found[count] = other
            count += 1
    _let_go(ours, space.counts)
    return count


@kernel
def _least(words: int, part: int, of: int) -> int:
    """The least LCS at the limit of two texts that have so many words together."""
    return -((-part * words) // (2 * of))


@kernel
def _touch(ours: NDArray[np.int32], index: Index, space: Space) -> int:
    """Put the held-out texts that are indexed by any of our words into ``space.touched``, and
    by how many into ``space.hits``; how many texts. ``space.counts`` is what a word occurs in
    ours, as a negative number."""
    for word in ours:
        space.counts[word] += 1
    count = 0
    for word in ours:
        if space.counts[word] < 0:
            continue
        for entry in range(index.starts[word], index.starts[word + 1]):
            if space.counts[word] > index.times[entry]:
                other = index.texts[entry]
                if space.hits[other] == 0:
                    space.touched[count] = other
                    count += 1
                space.hits[other] += 1
        space.counts[word] = -space.counts[word]
    return count


@kernel
def _let_go(ours: NDArray[np.int32], counts: NDArray[np.int32]) -> None:
    for word in ours:
        counts[word] = 0


@kernel
def _common(own: NDArray[np.int32], counts: NDArray[np.int32], used: NDArray[np.int32]) -> int:
    """How many words the held-out text has in common with ours, whose ``counts`` are negative."""
    common = 0
    for word in own:
        used[word] += 1
        common += used[word] <= -counts[word]
    for word in own:
        used[word] = 0
    return common
