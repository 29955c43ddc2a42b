"""Which of many pairs are like one of the held-out ones, exactly.

The held-out texts that share enough words are found by an index
(:mod:`llamaduo.likeness.held_out`) and compared, in whole numbers; nothing is left out. Of
several that a text is like, the one is named that it shares most with
(:mod:`llamaduo.likeness.rarity`); the earliest among equals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.candidates import Space, prompt_candidates, response_candidates
from llamaduo.likeness.compiled import kernel
from llamaduo.likeness.held_out import Held, Measure, Passages, Side
from llamaduo.likeness.lcs import lcs_length
from llamaduo.likeness.phrases import find_all
from llamaduo.likeness.rarity import lengthening, mark, marks, shared

LIKE, CONTAINS, COPIES, RESPONSE = 1, 2, 3, 4
"""The signs: see :mod:`llamaduo.curation.decontamination`."""


class Search(NamedTuple):
    """All that is compared. ``vouched[k]``: what it says by itself, in 1/256 bit, that two whole
    prompts have an F of k hundredths; 0 where it says nothing."""

    prompts: Side
    responses: Side
    held_prompts: Held
    held_responses: Held
    passages: Passages
    measure: Measure
    vouched: NDArray[np.int32]


def search(
    tools: Search, words: int, share: Callable[[int, Callable[[int, int], None]], None]
) -> NDArray[np.int64]:
    """For each text its sign, the held-out text's number, and two numbers that explain it, the
    second what the first is out of; zeros where it is like none.

    ``share(count, work)`` calls ``work(first, last)`` on slices of ``range(count)``.
    """
    count = len(tools.prompts.starts) - 1
    found = np.zeros((count, 4), np.int64)

    def work(first: int, last: int) -> None:
        _search(first, last, tools, _space(tools, words), found)

    share(count, work)
    return found


def _space(tools: Search, words: int) -> Space:
    held = len(tools.held_prompts.side.starts) - 1
    sides = (tools.prompts, tools.responses, tools.held_prompts.side, tools.held_responses.side)
    longest = max(1, *(int(np.diff(side.starts).max(initial=0)) for side in sides))
    return Space(
        counts=np.zeros(words, np.int32),
        used=np.zeros(words, np.int32),
        hits=np.zeros(held, np.int32),
        touched=np.empty(held, np.int32),
        listed=np.full(held, -1, np.int64),
        found=np.empty(held, np.int32),
        runs=np.empty(longest, np.int32),
        met_runs=np.full(max(1, tools.passages.runs.kinds), -1, np.int64),
        outside=np.empty(longest, np.int32),
        beside=np.empty(longest, np.int32),
        masks=np.zeros(words, np.uint64),
        carries=np.zeros(longest, np.uint8),
        prompt_marks=marks(tools.held_prompts.rarity, longest),
        response_marks=marks(tools.held_responses.rarity, longest),
    )


@kernel
def _search(first: int, last: int, tools: Search, space: Space, found: NDArray[np.int64]) -> None:
    for row in range(first, last):
        _by_prompt(row, tools, space, found[row])
        if found[row, 0] == 0:
            _by_response(row, tools, space, found[row])


@kernel
def _by_prompt(row: int, tools: Search, space: Space, found: NDArray[np.int64]) -> None:
    """The held-out prompt that the prompt of ``row`` shares most with, of those it is like."""
    ours, held, measure = _text(tools.prompts, row), tools.held_prompts, tools.measure
    outside = space.outside[: _outside(tools.prompts, row, space.outside)]
    count = prompt_candidates(ours, len(outside), held, measure, space)
    count = _with_passages(row, ours, tools.passages, space, count)
    discount, best = -1, -1
    for k in range(count):
        other = space.found[k]
        sign, amount, of, exact = _prompt_sign(row, other, (ours, outside), tools, space)
        if sign == 0:
            continue
        if discount < 0:
            mark(row, ours, held.rarity, space.prompt_marks)
            discount = lengthening(len(ours), held.rarity)
        start, end = held.side.starts[other], held.side.starts[other + 1]
        bits = shared(row, start, end, discount, (held.rarity, space.prompt_marks))
        vouched = tools.vouched[100 * amount // of] if sign == LIKE else 0
        if not exact and bits + vouched < measure.needed:
            continue
        if bits > best or (bits == best and other < found[1]):
            best = bits
            _note(found, sign, other, amount, of)


@kernel
def _note(found: NDArray[np.int64], sign: int, other: int, amount: int, of: int) -> None:
    found[0] = sign
    found[1] = other
    found[2] = amount
    found[3] = of


@kernel
def _with_passages(
    row: int, ours: NDArray[np.int32], passages: Passages, space: Space, count: int
) -> int:
    """Add the held-out prompts that have a run of words which ours has too."""
    for k in range(count):
        space.listed[space.found[k]] = row
    for place in range(find_all(passages.runs, ours, space.runs)):
        run = space.runs[place]
        if run < 0 or space.met_runs[run] == row:
            continue
        space.met_runs[run] = row
        for k in range(passages.starts[run], passages.starts[run + 1]):
            other = passages.texts[k]
            if space.listed[other] != row:
                space.listed[other] = row
                space.found[count] = other
                count += 1
    return count


@kernel
def _prompt_sign(
    row: int,
    other: int,
    ours: tuple[NDArray[np.int32], NDArray[np.int32]],
    tools: Search,
    space: Space,
) -> tuple[int, int, int, bool]:
    """The sign, two numbers that explain it, and whether ours has the held-out prompt word for
    word. ``ours`` is the whole of our prompt, and what of it no frame covers."""
    whole, outside = ours
    index, measure = tools.held_prompts.by_word, tools.measure
    held = _text(tools.held_prompts.side, other)
    if index.bare[other]:
        same = len(held) == len(whole) and _stands_in(held, whole)
        return (LIKE if same else 0), 2 * len(held), 2 * len(held), same
    own = index.own[index.own_starts[other] : index.own_starts[other + 1]]
    there = lcs_length(own, whole, space.masks, space.carries)
    most = there * measure.of >= measure.part * len(own)
    either = most or _reaches(own, outside, 1, measure, space)
    if either or 2 * there >= len(own):
        common = lcs_length(held, whole, space.masks, space.carries)
        exact = there == len(own) and _stands_in(held, whole)
        both = len(held) + len(whole)
        alike = 2 * common * measure.of >= measure.part * both
        if (either and alike) or tools.vouched[200 * common // both] > 0:
            return LIKE, 2 * common, both, exact
        recalled = common * measure.of >= measure.part * len(held)
        if exact or (most and recalled and there >= measure.run):
            return CONTAINS, common, len(held), exact
    copied = _copied(row, other, tools, space)
    if copied > 0 and (2 * copied >= len(held) or copied >= measure.much):
        return COPIES, copied, len(held), False
    return 0, 0, 0, False


@kernel
def _copied(row: int, other: int, tools: Search, space: Space) -> int:
    """How many words of the held-out prompt stand in runs that ours has too."""
    starts, runs = tools.held_prompts.side.starts, tools.passages.runs
    count, end = 0, starts[other]
    for place in range(starts[other], starts[other + 1]):
        run = runs.numbers[place]
        if run >= 0 and space.met_runs[run] == row:
            count += place + runs.size - max(place, end)
            end = place + runs.size
    return count


@kernel
def _by_response(row: int, tools: Search, space: Space, found: NDArray[np.int64]) -> None:
    """As :func:`_by_prompt`, for a long response; the prompts must be half as like."""
    held, measure = tools.held_responses, tools.measure
    outside = space.outside[: _outside(tools.responses, row, space.outside)]
    if len(outside) < measure.long:
        return
    ours = _text(tools.responses, row)
    count = response_candidates(outside, held.by_word, measure, space)
    discount, best = -1, -1
    for k in range(count):
        other = space.found[k]
        own = held.by_word.own[held.by_word.own_starts[other] : held.by_word.own_starts[other + 1]]
        theirs = _text(held.side, other)
        if not _reaches(own, outside, 1, measure, space):
            continue
        if not _reaches(theirs, ours, 1, measure, space) or not _prompts(row, other, tools, space):
            continue
        if discount < 0:
            mark(row, ours, held.rarity, space.response_marks)
            discount = lengthening(len(ours), held.rarity)
        start, end = held.side.starts[other], held.side.starts[other + 1]
        bits = shared(row, start, end, discount, (held.rarity, space.response_marks))
        if bits >= measure.needed and (bits > best or (bits == best and other < found[1])):
            best = bits
            common = lcs_length(theirs, ours, space.masks, space.carries)
            _note(found, RESPONSE, other, 2 * common, len(theirs) + len(ours))


@kernel
def _prompts(row: int, other: int, tools: Search, space: Space) -> bool:
    """Whether the prompts are half as like as the limit asks, in both views."""
    ours, held = _text(tools.prompts, row), _text(tools.held_prompts.side, other)
    if not _reaches(held, ours, 2, tools.measure, space):
        return False
    index = tools.held_prompts.by_word
    outside = space.beside[: _outside(tools.prompts, row, space.beside)]
    if index.bare[other] or len(outside) == 0:
        return len(held) == len(ours) and _stands_in(held, ours)
    own = index.own[index.own_starts[other] : index.own_starts[other + 1]]
    return _reaches(own, outside, 2, tools.measure, space)


@kernel
def _reaches(
    a: NDArray[np.int32], b: NDArray[np.int32], share: int, measure: Measure, space: Space
) -> bool:
    """Whether ROUGE-L F of two texts is at least the limit divided by ``share``."""
    needed = measure.part * (len(a) + len(b))
    if len(a) == 0 or len(b) == 0 or 2 * min(len(a), len(b)) * share * measure.of < needed:
        return False
    return 2 * lcs_length(a, b, space.masks, space.carries) * share * measure.of >= needed


@kernel
def _outside(side: Side, row: int, room: NDArray[np.int32]) -> int:
    """Put the words that no frame covers into ``room``; how many there are."""
    count = 0
    for place in range(side.starts[row], side.starts[row + 1]):
        if not side.framed[place]:
            room[count] = side.words[place]
            count += 1
    return count


@kernel
def _text(side: Side, i: int) -> NDArray[np.int32]:
    return side.words[side.starts[i] : side.starts[i + 1]]


@kernel
def _stands_in(part: NDArray[np.int32], text: NDArray[np.int32]) -> bool:
    """Whether ``text`` has all of ``part``, word for word."""
    for start in range(len(text) - len(part) + 1):
        k = 0
        while k < len(part) and text[start + k] == part[k]:
            k += 1
        if k == len(part):
            return True
    return False
