"""A limit is what was written, and small enough to be multiplied by words."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.likeness.limits import FINEST, limit_of


@given(st.integers(1, FINEST))
def test_what_has_six_decimals_is_taken_as_it_is_written(millionths: int) -> None:
    assert limit_of(millionths / FINEST) == Fraction(millionths, FINEST)


@given(st.floats(0, 1, exclude_min=True))
def test_a_limit_is_above_zero_near_what_was_given_and_not_finer(share: float) -> None:
    limit = limit_of(share)
    assert limit.denominator <= FINEST
    assert 0 < limit <= 1
    assert abs(limit - Fraction(share)) <= Fraction(1, FINEST)


def test_a_third_in_floating_point_is_a_third() -> None:
    assert [limit_of(n / 3) for n in (1, 2, 3)] == [Fraction(n, 3) for n in (1, 2, 3)]
