"""What the local LLM saves: Table 2 and Figure 4, as arithmetic (Section 4.5).

    service a month   = input tokens · price in + output tokens · price out
    local, at once    = migration + fine-tuning + hardware
    local a month     = servers · power
    after m months    : service m · (service a month), local (at once) + m · (local a month)
    break-even        = (local, at once) / (service a month − local a month)

All in US dollars at today's prices; no interest, no discount, no wages.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Tokens a month that the application sends to the service LLM, and gets back."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars per million tokens."""

    input: float
    output: float

    def usd(self, traffic: Traffic) -> float:
        """What that traffic costs."""
        cost = traffic.input_tokens * self.input + traffic.output_tokens * self.output
        return cost / _MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What the local LLM costs. ``hardware_usd`` is for all servers, power for each one.

    ``migration_usd`` is what synthesis and judging cost: the run's own spend.
    """

    migration_usd: float = 0.0
    tuning_usd: float = 0.0
    hardware_usd: float = 0.0
    servers: int = 1
    power_usd_per_month: float = 0.0

    @property
    def at_once(self) -> float:
        """Paid before the first request."""
        return self.migration_usd + self.tuning_usd + self.hardware_usd

    @property
    def monthly(self) -> float:
        """Paid every month from then on."""
        return self.servers * self.power_usd_per_month


@dataclass(frozen=True, slots=True)
class Comparison:
    """One workload on the service LLM and on the local one, in US dollars."""

    service_monthly: float
    local: Local

    def service_after(self, months: float) -> float:
        """What the service LLM has cost after ``months``."""
        return months * self.service_monthly

    def local_after(self, months: float) -> float:
        """What the local LLM has cost after ``months``."""
        return self.local.at_once + months * self.local.monthly

    def saved_after(self, months: float) -> float:
        """What the local LLM has saved after ``months``; negative before the break-even."""
        return self.service_after(months) - self.local_after(months)

    @property
    def saved_monthly(self) -> float:
        """What every month saves, once the first costs are paid."""
        return self.service_monthly - self.local.monthly

    @property
    def break_even(self) -> float | None:
        """Months after which the local LLM has cost no more; None when it never gets there."""
        if not self.local.at_once:
            return 0.0 if self.saved_monthly >= 0 else None
        return self.local.at_once / self.saved_monthly if self.saved_monthly > 0 else None

    @property
    def first_month(self) -> int | None:
        """The month, from 1, by whose end the local LLM has cost no more."""
        return None if self.break_even is None else max(1, ceil(self.break_even))


def compare(traffic: Traffic, rate: Rate, local: Local) -> Comparison:
    """One month's traffic priced at the service LLM's rate, against ``local``."""
    return Comparison(rate.usd(traffic), local)
