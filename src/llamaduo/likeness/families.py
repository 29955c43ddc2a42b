"""Texts that are variations of one: each with the first text that it is like."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from llamaduo.likeness.compiled import Workers
from llamaduo.likeness.minhash import no_runs
from llamaduo.likeness.rouge import prepared
from llamaduo.likeness.sieve import Candidates, sieve
from llamaduo.likeness.texts import Texts


def leaders(texts: Texts, limit: Fraction, vocabulary_size: int) -> NDArray[np.int64]:
    """For each text the number of the earliest leader with ROUGE-L F of at least ``limit``.

    A text that is like no leader before it is one itself, and has its own number.
    """
    count = len(texts)
    with Workers() as workers:
        sieved = sieve(
            Candidates(
                known=0,
                same=np.arange(count),
                fates=np.zeros(count, np.int8),
                runs=no_runs(count),
                rouge=prepared(texts, texts, limit, vocabulary_size, workers),
                words=vocabulary_size,
            ),
            workers,
        )
    return np.where(sieved.lost_to < 0, np.arange(count), sieved.lost_to)
