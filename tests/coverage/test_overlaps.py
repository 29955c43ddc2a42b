"""The index finds exactly what comparing all with all finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.coverage.overlaps import overlapping

SETS = st.lists(st.frozensets(st.integers(0, 12), max_size=12), max_size=12)


@given(SETS, SETS, st.integers(1, 10))
def test_the_index_equals_brute_force(
    left: list[frozenset[int]], right: list[frozenset[int]], tenths: int
) -> None:
    expected = [
        (i, j)
        for i, a in enumerate(left)
        for j, b in enumerate(right)
        if a & b and 10 * len(a & b) >= tenths * max(len(a), len(b))
    ]
    assert list(overlapping(left, right, tenths / 10)) == expected


def test_sets_wider_than_the_signature() -> None:
    large = frozenset(range(10_000))
    sets = [large, large - frozenset(range(2_500)), large - frozenset(range(3_500))]
    assert list(overlapping(sets, [large], 0.7)) == [(0, 0), (1, 0)]
