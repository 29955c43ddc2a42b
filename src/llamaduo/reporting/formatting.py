"""How a number is written in a report: the one place that decides it.

One decimal for scores and percentages, commas between thousands, four decimals for dollars
below one, and a dash for what the run does not know. A share always shows its denominator.
"""

from __future__ import annotations

from llamaduo.records import Interval, Measure

UNKNOWN = "—"


def decimal(value: float | None) -> str:
    """A score, a percentage or a rate: ``1,203.4``."""
    return UNKNOWN if value is None else f"{value:,.1f}"


def ranged(value: float | None, interval: Interval | None) -> str:
    """A figure with its 95 % interval, if it has one: ``84.2 [81.0, 87.1]``."""
    if value is None or interval is None:
        return decimal(value)
    return f"{decimal(value)} [{decimal(interval.low)}, {decimal(interval.high)}]"


def measured(measure: Measure | None) -> str:
    """A measure with its interval: ``84.2 [81.0, 87.1]``."""
    return ranged(measure.value, measure.interval) if measure else UNKNOWN


def measured_points(measure: Measure | None) -> str:
    """A difference with its interval, signs and all: ``−1.2 [−3.4, +1.0]``."""
    if measure is None or measure.value is None or measure.interval is None:
        return points(measure.value if measure else None)
    low, high = points(measure.interval.low), points(measure.interval.high)
    return f"{points(measure.value)} [{low}, {high}]"


def count(value: int | None) -> str:
    """A number of things: ``12,345``."""
    return UNKNOWN if value is None else f"{value:,}"


def of(some: int | None, whole: int | None) -> str:
    """Some of a whole, where there is little room: ``96 of 128``."""
    return count(some) if some is None or whole is None else f"{some:,} of {whole:,}"


def part(some: int | None, whole: int | None) -> str:
    """Some of a whole, with the share: ``96 of 128 (75.0 %)``."""
    return of(some, whole) + (
        f" ({100 * some / whole:.1f} %)" if some is not None and whole else ""
    )


def usd(value: float) -> str:
    """Dollars: ``$0``, ``$0.0312``, ``$1,204.50``."""
    if value == 0:
        return "$0"
    return f"${value:,.4f}" if abs(value) < 1 else f"${value:,.2f}"


def price(value: float) -> str:
    """A price per million tokens, without its sign: ``5``, ``2.50``, ``0.075``."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if round(value, 2) == value else f"{value:,.4f}".rstrip("0")


def dollars(value: float) -> str:
    """Dollars in round figures, without cents from 100 on: ``$3,399``, ``$30``, ``−$12.50``."""
    sign, size = "−" if value < 0 else "", abs(value)
    return sign + (f"${size:,.0f}" if size >= 99.995 or size == int(size) else usd(size))


def points(value: float | None) -> str:
    """A difference of scores, with its sign: ``+0.3``, ``−1.2``, ``0.0``."""
    if value is None:
        return UNKNOWN
    sign = "" if not round(value, 1) else "+" if value > 0 else "−"
    return f"{sign}{abs(value):,.1f}"


def seconds(value: float | None) -> str:
    """A duration: ``0.42 s``, ``58.3 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if value is None:
        return UNKNOWN
    if value < 10:
        return f"{value:.2f} s"
    if value < 99.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def gigabytes(value: int | None) -> str:
    """Memory or a file: ``1.2 GB``."""
    return UNKNOWN if value is None else f"{value / 1e9:,.1f} GB"


def plural(number: int, noun: str) -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
