"""Which train pairs a request is modelled on: a deck that is dealt out, then shuffled again.

The requests of a run are numbered on, through all cycles. Request n gets the n-th *hand*: the
pairs, shuffled, dealt in hands of ``seeds_per_request`` until every pair was used once; then
a fresh shuffle is dealt, and so on. So a cycle starts where the one before ended, and which
seeds it gets follows from the settings and the train split alone.

The seeds of one hand share a context (system prompt, earlier turns, JSON schema), because the
new pairs inherit it: each context is dealt by itself and its last hand may be smaller.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from random import Random

from llamaduo.errors import DataError
from llamaduo.records import Pair
from llamaduo.synthesis.settings import SynthesisSettings

Hand = tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """One request: its number in the whole run, its seeds, and how many pairs it asks for."""

    number: int
    seeds: Hand
    count: int


def wanted(settings: SynthesisSettings, cycle: int) -> int:
    """How many pairs are asked for after ``cycle``: with growth 2, the paper's 2ⁿ."""
    return round(settings.pairs * settings.growth**cycle)


def requests(settings: SynthesisSettings, cycle: int) -> int:
    """How many requests the batch after ``cycle`` takes."""
    return ceil(wanted(settings, cycle) / settings.pairs_per_request)


def draw(train: Sequence[Pair], settings: SynthesisSettings, cycle: int) -> tuple[Draw, ...]:
    """The requests of the batch after ``cycle``; their counts add up to :func:`wanted`.

    Raises:
        DataError: there is no pair to draw.
    """
    if not train:
        raise DataError(
            "The train split is empty: there is no seed to synthesize from.",
            hint="Import more coverage data, or raise coverage.train_fraction.",
        )
    return tuple(_draws(train, settings, cycle))


def _draws(train: Sequence[Pair], settings: SynthesisSettings, cycle: int) -> Iterator[Draw]:
    deal = cache(lambda turn: _deal(train, settings, turn))
    hands = len(deal(0))  # the same for every turn: it follows from the sizes of the contexts
    number = sum(requests(settings, earlier) for earlier in range(cycle))
    left = wanted(settings, cycle)
    while left > 0:
        turn, place = divmod(number, hands)
        count = min(settings.pairs_per_request, left)
        yield Draw(number, deal(turn)[place], count)
        number, left = number + 1, left - count


def _deal(train: Sequence[Pair], settings: SynthesisSettings, turn: int) -> list[Hand]:
    """Every pair once, in hands, in the order of the ``turn``-th shuffle."""
    random = Random(f"{settings.seed}:{turn}")
    deck = sorted(train, key=lambda pair: pair.id)  # the order of the file does not matter
    random.shuffle(deck)
    contexts: dict[object, list[Pair]] = defaultdict(list)
    for pair in deck:
        contexts[pair.messages[:-1], json.dumps(pair.json_schema, sort_keys=True)].append(pair)
    size = settings.seeds_per_request
    hands = [
        tuple(pairs[i : i + size])
        for pairs in contexts.values()
        for i in range(0, len(pairs), size)
    ]
    random.shuffle(hands)
    return hands
