"""From where on texts are alike, as kernels compare it: in whole numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

FINEST: Final = 1_000_000
"""The largest denominator. Both numbers of a limit are multiplied by words, in 64 bits."""


def limit_of(share: float) -> Fraction:
    """``share``, above 0 and up to 1, as the nearest fraction of at most :data:`FINEST` parts.

    What has up to six decimals is taken as it is written, so 0.7 is 7/10, which no floating-point
    number is. 2/3 is two thirds again.
    """
    return max(Fraction(1, FINEST), Fraction(str(share)).limit_denominator(FINEST))
