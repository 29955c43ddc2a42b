"""The density against its definition, summed kernel by kernel."""

from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.reporting.density import (
    NARROWEST,
    POINTS,
    SHARES,
    bandwidth,
    blurred,
    density,
    histogram,
    level,
)

scores = st.floats(0, 100).map(lambda score: round(score, 2))
points = st.lists(st.tuples(scores, scores), min_size=1, max_size=12)


def gaussian(centre: int, width: float) -> list[float]:
    """A kernel around ``centre``, whole on 0–100."""
    heights = [exp(-(((at - centre) / width) ** 2) / 2) for at in range(POINTS)]
    return [height / sum(heights) for height in heights]


def test_the_blurred_grid_is_the_sum_of_its_kernels() -> None:
    found = blurred(histogram([(10, 20), (10, 20), (97, 3)]), 6.0, 3.5)
    across = {centre: gaussian(centre, 6.0) for centre in (10, 97)}
    up = {centre: gaussian(centre, 3.5) for centre in (20, 3)}

    for row in range(0, POINTS, 7):
        for column in range(0, POINTS, 7):
            expected = 2 * up[20][row] * across[10][column] + up[3][row] * across[97][column]
            assert found[row][column] == pytest.approx(expected / 3, abs=1e-7)


@settings(max_examples=20, deadline=None)
@given(points)
def test_a_density_is_whole_and_never_negative(found: list[tuple[float, float]]) -> None:
    one = density(found)

    assert one is not None
    assert one.responses == len(found)
    assert sum(map(sum, one.grid)) == pytest.approx(1.0)
    assert min(map(min, one.grid)) >= 0
    assert list(one.levels) == sorted(one.levels)


@given(points)
def test_a_score_between_two_points_is_shared_by_how_near_it_is(
    found: list[tuple[float, float]],
) -> None:
    grid = histogram(found)
    mean = sum(column * cell for row in grid for column, cell in enumerate(row))

    assert sum(map(sum, grid)) == pytest.approx(1.0)
    assert mean == pytest.approx(sum(one for one, _ in found) / len(found))


def test_precision_goes_up_and_similarity_across() -> None:
    one = density([(80.0, 20.0)] * 3)

    assert one is not None
    peak = max(max(row) for row in one.grid)
    assert one.grid[20][80] == peak
    assert one.means == (80.0, 20.0)


def test_the_bandwidth_is_scotts_and_has_a_floor() -> None:
    assert bandwidth([0.0, 100.0] * 32) == pytest.approx(50 * 64 ** (-1 / 6))
    assert bandwidth([70.0] * 1000) == NARROWEST


def test_an_iso_line_holds_its_share() -> None:
    one = density([(30.0, 40.0), (35.0, 45.0), (80.0, 85.0), (90.0, 60.0)])

    assert one is not None
    for share, height in zip(SHARES, one.levels, strict=True):
        held = sum(cell for row in one.grid for cell in row if cell >= height)
        above = sum(cell for row in one.grid for cell in row if cell > height)
        assert above < share <= held + 1e-12
    assert level([[0.25, 0.25], [0.5, 0.0]], 0.5) == 0.5


def test_no_scores_have_no_density() -> None:
    assert density([]) is None
