"""The user's own case: the numbers of the ``cost`` section with what the run itself knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from llamaduo.errors import UsageError
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.savings import Comparison, Local, Rate, Traffic, compare
from llamaduo.reporting.setup import ModelFacts
from llamaduo.service.ledger import SpendRow
from llamaduo.service.pricing import price_of
from llamaduo.service.settings import ServiceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCase:
    """The user's traffic on the service LLM against the local one.

    ``comparison`` is None where the service LLM's price is not known. ``unpriced`` has the
    models whose share of the migration's own spend is not known either, so that it is a lower
    bound; ``rehearsed`` says that the spend is what the same calls would have cost.
    """

    traffic: Traffic
    model: str
    rate: Rate | None
    local: Local
    comparison: Comparison | None
    unpriced: tuple[str, ...] = ()
    rehearsed: bool = False


def own_case(evidence: Evidence) -> OwnCase | None:
    """The user's case; None until both token counts are stated: traffic is never guessed."""
    cost = evidence.setup.cost
    if cost is None or cost.input_tokens_per_month is None or cost.output_tokens_per_month is None:
        return None
    spent, unpriced = migration_usd(evidence)
    local = Local(
        migration_usd=spent,
        tuning_usd=cost.tuning_usd,
        hardware_usd=cost.hardware_usd,
        servers=cost.servers,
        power_usd_per_month=cost.power_usd_per_month,
    )
    traffic = Traffic(cost.input_tokens_per_month, cost.output_tokens_per_month)
    rate = _rate(evidence.setup.real(evidence.setup.service.model))
    return OwnCase(
        traffic=traffic,
        model=evidence.setup.real_service,
        rate=rate,
        local=local,
        comparison=compare(traffic, rate, local) if rate else None,
        unpriced=unpriced,
        rehearsed=evidence.rehearsed,
    )


def migration_usd(evidence: Evidence) -> tuple[float, tuple[str, ...]]:
    """What the run's own calls cost, or would have cost if it was a rehearsal, in US dollars,
    and the models whose price is not known."""
    if not evidence.rehearsed:
        unknown = (row.model for row in evidence.spend if not row.priced)
        return sum(row.usd for row in evidence.spend), tuple(dict.fromkeys(unknown))
    return _would_cost(evidence, evidence.spend)


def _would_cost(evidence: Evidence, rows: Iterable[SpendRow]) -> tuple[float, tuple[str, ...]]:
    total, unknown = 0.0, []
    for row in rows:
        facts = evidence.setup.real(row.model)
        rate = _rate(facts)
        if rate is None:
            unknown.append(facts.model if facts else row.model)
        else:
            total += rate.usd(Traffic(row.input_tokens, row.output_tokens))
    return total, tuple(dict.fromkeys(unknown))


def _rate(facts: ModelFacts | None) -> Rate | None:
    """The price that the user stated, or the listed one; None where neither is known."""
    if facts is None:
        return None
    if facts.price:
        return Rate(facts.price.input, facts.price.output)
    try:
        price = price_of(ServiceSettings(model=facts.model, base_url=facts.base_url))
    except (ValidationError, UsageError):  # a provider that this version does not know
        return None
    return Rate(price.input, price.output) if price else None
