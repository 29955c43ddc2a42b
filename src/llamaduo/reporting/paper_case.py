"""The paper's own case (Section 4.5, Table 2, Figure 4), computed anew from what it states.

Gemma 7B on L4 GPUs against GPT-4o at its price of August 2024, months of 30 days. The paper
counts nothing for synthesis and judging, and neither does this.
"""

from __future__ import annotations

from dataclasses import dataclass

from llamaduo.reporting.savings import Comparison, Local, Rate, Traffic, compare

RATE = Rate(input=5.0, output=15.0)
DAYS = 30
TUNING_USD = 800.0
L4_USD = 2_539.0
POWER_USD = 30.0
"""A month, one server."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What the paper prints for a workload, in US dollars. It says that each breaks even within
    the first two months."""

    service_monthly: float
    local_two_months: float
    local_twelve_months: float


@dataclass(frozen=True, slots=True)
class Case:
    """One of the paper's workloads, mended. ``note`` says where the paper's arithmetic fails,
    ``printed`` what it came to, where this case is the one that was printed."""

    name: str
    comparison: Comparison
    note: str
    printed: Printed | None = None


def _case(
    name: str, daily: tuple[int, int], servers: int, note: str, printed: Printed | None = None
) -> Case:
    traffic = Traffic(daily[0] * DAYS, daily[1] * DAYS)
    local = Local(
        tuning_usd=TUNING_USD,
        hardware_usd=servers * L4_USD,
        servers=servers,
        power_usd_per_month=POWER_USD,
    )
    return Case(name, compare(traffic, RATE, local), note, printed)


LIGHT = _case(
    "Light: 10 M in, 1 M out a day",
    (10_000_000, 1_000_000),
    1,
    "Light: two months of the local LLM are printed as $3,369; $800 + $2,539 + 2 × $30 is $3,399.",
    Printed(1_950.0, 3_369.0, 3_699.0),
)
HEAVY = _case(
    "Heavy, by the text: 50 M in, 10 M out",
    (50_000_000, 10_000_000),
    8,
    "Heavy: the text gives 50 M in and 10 M out a day and $325 for it; at $5 and $15 per million"
    " that is $400 a day, $12,000 a month.",
)
HEAVY_TABLE = _case(
    "Heavy, by Table 2: 50 M in, 5 M out",
    (50_000_000, 5_000_000),
    8,
    "Heavy: $325 is the price of 5 M out a day, and 150 M a month is what Table 2 counts. Then two"
    " months of GPT-4o cost $19,500, less than the $21,592 of the local LLM: it breaks even after"
    " 2.2 months, and not within the first two as the text says.",
    Printed(9_750.0, 21_592.0, 23_992.0),
)
CASES = (LIGHT, HEAVY, HEAVY_TABLE)
