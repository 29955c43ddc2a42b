"""Pairs with the lengths of the paper's Table 4: 95 tokens on average, deviation 53."""

from __future__ import annotations

import math
import random

from llamaduo.tasks.chat import EncodedPair

MEAN, DEVIATION, SHORTEST, LONGEST = 95, 53, 10, 1024
RESPONSE_SHARE = 1 / 3
"""The table counts pairs as a whole. A third of a pair is taken for its response."""


def table_4(count: int, *, seed: int = 0) -> list[int]:
    """Lengths of ``count`` pairs: log-normal, as counts of tokens with so long a tail are."""
    variance = math.log(1 + (DEVIATION / MEAN) ** 2)
    middle = math.log(MEAN) - variance / 2
    drawn = random.Random(seed)
    lengths = (round(drawn.lognormvariate(middle, math.sqrt(variance))) for _ in range(count))
    return [min(LONGEST, max(SHORTEST, length)) for length in lengths]


def random_pairs(count: int, vocabulary: int, *, seed: int = 0) -> list[EncodedPair]:
    """Pairs of random tokens: no multiplication is quicker for what they say."""
    drawn = random.Random(seed)
    return [
        _pair(length, vocabulary, drawn) for length in table_4(count, seed=drawn.randrange(2**32))
    ]


def _pair(length: int, vocabulary: int, drawn: random.Random) -> EncodedPair:
    tokens = [drawn.randrange(vocabulary) for _ in range(length)]
    response = max(1, round(length * RESPONSE_SHARE))
    return EncodedPair(tuple(tokens[:-response]), tuple(tokens[-response:]))
