"""Numbers as a report writes them."""

import pytest

from llamaduo.records import Interval, Measure
from llamaduo.reporting.formatting import (
    decimal,
    dollars,
    measured,
    measured_points,
    of,
    part,
    plural,
    points,
    price,
    ranged,
    seconds,
    usd,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "$0"), (0.03125, "$0.0312"), (0.99999, "$1.0000"), (1, "$1.00"), (1204.5, "$1,204.50")],
)
def test_dollars_below_one_have_four_decimals(value: float, written: str) -> None:
    assert usd(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "$0"),
        (30.0, "$30"),
        (12.5, "$12.50"),
        (0.0312, "$0.0312"),
        (99.996, "$100"),
        (3399.4, "$3,399"),
        (-1520, "−$1,520"),
    ],
)
def test_round_dollars_have_no_cents_that_say_nothing(value: float, written: str) -> None:
    assert dollars(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(5, "5"), (2.5, "2.50"), (0.075, "0.075"), (0.15, "0.15"), (0, "0")]
)
def test_prices_keep_the_decimals_they_need(value: float, written: str) -> None:
    assert price(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(None, "—"), (0.0, "0.0"), (-0.04, "0.0"), (0.3, "+0.3"), (-2, "−2.0")]
)
def test_differences_have_a_sign(value: float | None, written: str) -> None:
    assert points(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "—"),
        (0.417, "0.42 s"),
        (58.31, "58.3 s"),
        (99.96, "1 min 40 s"),
        (200, "3 min 20 s"),
        (7504, "2 h 05 min"),
    ],
)
def test_durations_in_the_unit_that_reads_best(value: float | None, written: str) -> None:
    assert seconds(value) == written


def test_shares_show_their_denominator() -> None:
    assert part(96, 1280) == "96 of 1,280 (7.5 %)"
    assert part(0, 0) == "0 of 0"
    assert part(96, None) == "96"
    assert of(1200, 1280) == "1,200 of 1,280"
    assert of(None, 3) == "—"


def test_unknown_is_a_dash_and_zero_is_a_zero() -> None:
    assert (decimal(None), decimal(0.0), decimal(1203.44)) == ("—", "0.0", "1,203.4")


def test_one_pair_two_pairs() -> None:
    assert (plural(1, "pair"), plural(1200, "pair")) == ("1 pair", "1,200 pairs")


def test_a_figure_stands_with_its_interval_or_alone() -> None:
    assert ranged(84.2, Interval(81.04, 87.06)) == "84.2 [81.0, 87.1]"
    assert ranged(84.2, None) == "84.2"
    assert ranged(None, None) == "—"
    assert measured(Measure(50.0, Interval(0.0, 100.0), 1, 4)) == "50.0 [0.0, 100.0]"
    assert measured(None) == measured(Measure(None, None, 0, 0)) == "—"


def test_a_difference_has_its_signs() -> None:
    assert measured_points(Measure(-1.2, Interval(-3.4, 1.0), 16, 64)) == "−1.2 [−3.4, +1.0]"
    assert measured_points(Measure(0.0, None, 16, 64)) == "0.0"
    assert measured_points(None) == measured_points(Measure(None, None, 0, 0)) == "—"
