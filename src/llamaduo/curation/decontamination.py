"""Step 5 of ψ: nothing that resembles the test or the final split is kept.

Four signs that a pair is a copy of a held-out one, any of which is enough:

- *like*: ROUGE-L F of the instructions. Outside the frames either F reaches the limit as well,
  or the share of the held-out words that ours has, in order: an edit inside a frame leaves the
  rest of that frame standing, which is not to hide a copy;
- *contains*: the held-out instruction stands inside a longer one, word for word or most of its
  words in order, those outside the frames too;
- *copies*: long runs of words in common, which make up half of the held-out instruction or are
  beyond chance;
- *response*: ROUGE-L F of the responses where both are long, and of the instructions at half the
  limit: a response never decides alone.

Unless it has all of the held-out instruction word for word, a pair must also share more with it
than texts of this task share by chance. How much that is the train split tells
(:mod:`llamaduo.likeness.rarity`): what several of its prompts say is no evidence of having seen
another one. Short prompts made from few phrases resemble each other in whole sentences.

An edit may take the very words that say most. So instructions half-way from the limit to equal
need less, and half of the held-out words outside the frames will do: how much less depends on how
few train prompts are as close to each other. Where many are, nothing changes.

The signs and the margin were chosen on real pairs and tickets with planted copies (verbatim, a
tenth and a fifth of the words edited, embedded in longer text), and clean ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.objection import Objection
from llamaduo.curation.reading import LONG_RESPONSE, Reading
from llamaduo.curation.settings import CurationSettings
from llamaduo.likeness.compiled import Workers
from llamaduo.likeness.copies import CONTAINS, COPIES, LIKE, Search, search
from llamaduo.likeness.frames import Field
from llamaduo.likeness.held_out import Held, Measure, held_of, passages_of, side_of
from llamaduo.likeness.limits import limit_of
from llamaduo.likeness.rarity import UNIT, alike

BEYOND_CHANCE = 3
"""Shared runs that add up to this many times ``contamination_ngram`` words are a copy even
where they are less than half of a long instruction. One run may be a sentence in common."""
MARGIN = 11
"""Bits: that a clean pair shares so much with any held-out one should be as unlikely as 1 in
2¹¹, were it one certain phrase. As any of its phrases will do, 1 in 300 tickets shares that
much."""


def contaminated(
    reading: Reading, held_out_ids: Sequence[str], settings: CurationSettings, workers: Workers
) -> list[Objection | None]:
    """What speaks against each raw pair; None where it resembles no held-out pair.

    A pair is judged by itself: the result depends neither on the other raw pairs nor on
    ``workers``. Of several held-out pairs that one which ours shares most with is named, the
    earliest among equals; one whose response alone it resembles, only if there is no other.
    """
    if not held_out_ids or not reading.raw:
        return [None] * reading.raw
    tools = _search_of(reading, settings, len(held_out_ids))
    found = search(tools, len(reading.vocabulary), workers.share)
    objections: list[Objection | None] = [None] * reading.raw
    for row in np.flatnonzero(found[:, 0]).tolist():
        sign, other, amount, of = found[row].tolist()
        reason = _reason(sign, amount, of, settings)
        objections[row] = Objection(reason, held_out_ids[other])
    return objections


def _search_of(reading: Reading, settings: CurationSettings, held_out: int) -> Search:
    limit = limit_of(settings.contamination)
    run = settings.contamination_ngram
    first, last = reading.known, reading.known + reading.raw
    prompts, responses = reading.instruction, reading.response
    return Search(
        prompts=side_of(prompts, first, last),
        responses=side_of(responses, first, last),
        held_prompts=_held(prompts, reading, limit),
        held_responses=_held(responses, reading, limit, LONG_RESPONSE),
        passages=passages_of(side_of(prompts, last, last + held_out), run),
        measure=Measure(
            *limit.as_integer_ratio(),
            run=run,
            much=BEYOND_CHANCE * run,
            long=LONG_RESPONSE,
            needed=math.ceil(UNIT * (MARGIN + math.log2(held_out))),
        ),
        vouched=_vouched(reading, limit, held_out),
    )


def _vouched(reading: Reading, limit: Fraction, held_out: int) -> NDArray[np.int32]:
    """For each hundredth of ROUGE-L F, what it says by itself, in 1/256 bit, that two whole
    prompts are so close: the more, the fewer train prompts are, and at most half the margin."""
    near = (1 + limit) / 2
    train = reading.instruction.whole.part(0, reading.train)
    as_alike, pairs = alike(train, *near.as_integer_ratio(), len(reading.vocabulary))
    vouched = np.zeros(101, np.int32)
    for k in range(math.ceil(100 * near), 101):
        chance = max(1, int(as_alike[k])) * held_out
        if pairs > chance:
            bits = min(MARGIN / 2, math.log2(pairs / chance))
            vouched[k] = math.floor(UNIT * bits)
    return vouched


def _held(field: Field, reading: Reading, limit: Fraction, long: int = 0) -> Held:
    last = reading.known + reading.raw
    counts = np.bincount(field.whole.words, minlength=len(reading.vocabulary))
    train = field.whole.part(0, reading.train)
    return held_of(side_of(field, last, len(field.whole)), train, counts, limit, long)


def _reason(sign: int, amount: int, of: int, settings: CurationSettings) -> str:
    if sign == CONTAINS:
        return f"instruction contains a held-out one ({amount / of:.0%} of its words in order)"
    if sign == COPIES:
        words = f"{amount} words, in runs of {settings.contamination_ngram} or more"
        return f"instruction copies a held-out one ({words})"
    field = "instruction" if sign == LIKE else "response"
    detail = f"ROUGE-L {amount / of:.2f}, limit {settings.contamination:g}"
    return f"{field} resembles a held-out one ({detail})"
