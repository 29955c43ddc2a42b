"""What a call costs, in US dollars, from the settings or from the table of `genai-prices`.

The table ships with the package: nothing is fetched. It knows the prices of cached input, of
long contexts (which then hold for the whole call) and of batches, and when they change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from llamaduo.service.address import is_loopback, model_name, provider_name
from llamaduo.service.settings import Price, ServiceSettings

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices

_MILLION = 1_000_000
_SAMPLE = 1_000
"""Tokens: below the start of every long-context price."""
_BATCH = {"processing": "batch"}
_BATCH_FACTOR = 0.5
"""Where no batch price is listed: all three providers with a batch API ask for half."""
_TABLES = {"openai-chat": "openai", "google-cloud": "google", "anthropic-vertex": "google"} | {
    "anthropic-bedrock": "aws"
}
"""What the table calls a provider, where it is not the name before the colon."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a call used, or calls on average. ``input`` includes what was read from the cache
    (``cached``) and what was written to it (``written``, of which ``kept_an_hour`` costs more).
    """

    input: float
    output: float
    cached: float = 0
    written: float = 0
    kept_an_hour: float = 0

    def plausible(self) -> Tokens:
        """The same without what no call can have used: a reply may say anything."""
        given = max(0, self.input)
        cached = min(max(0, self.cached), given)
        written = min(max(0, self.written), given - cached)
        return Tokens(
            given, max(0, self.output), cached, written, min(max(0, self.kept_an_hour), written)
        )


def price_of(settings: ServiceSettings) -> Price | None:
    """Dollars per million tokens of an ordinary call; None when nobody knows.

    A server on loopback with no price of its own costs nothing.
    """
    if settings.price is not None:
        return settings.price
    if is_loopback(settings):
        return Price(input=0.0, output=0.0)
    given = _listed(settings, Tokens(_SAMPLE, _SAMPLE))
    if given is None:
        return None
    cached = _listed(settings, Tokens(_SAMPLE, 0, cached=_SAMPLE))
    scale = _MILLION // _SAMPLE
    return Price(
        input=float(given.input_price * scale),
        output=float(given.output_price * scale),
        cached_input=float(cached.input_price * scale) if cached else None,
    )


def usd(
    settings: ServiceSettings,
    input_tokens: float,
    output_tokens: float,
    cached: float = 0,
    batch: bool = False,
) -> float:
    """What one call with these tokens costs; 0 when the price is unknown (:func:`price_of` is
    None). ``cached`` of the input tokens were read from the provider's cache."""
    return usd_of(settings, Tokens(input_tokens, output_tokens, cached), batch=batch)


def usd_of(settings: ServiceSettings, tokens: Tokens, *, batch: bool = False) -> float:
    """:func:`usd` of all that a reply may say about its tokens."""
    tokens = tokens.plausible()
    if settings.price is not None:
        return _stated(settings.price, tokens) * (_BATCH_FACTOR if batch else 1.0)
    if is_loopback(settings):
        return 0.0
    found = _listed(settings, tokens)
    if found is None:
        return 0.0
    if not batch:
        return float(found.total_price)
    batched = _listed(settings, tokens, batch=True)
    if batched is None or batched.model_price == found.model_price:
        return float(found.total_price) * _BATCH_FACTOR
    return float(batched.total_price)


def usd_of_calls(
    settings: ServiceSettings,
    calls: int,
    input_tokens: float,
    output_tokens: float,
    cached: float = 0,
) -> float:
    """What ``calls`` cost that used these tokens together: the price of a long context is for a
    call that is long, not for many short ones."""
    if not calls:
        return 0.0
    each = Tokens(input_tokens / calls, output_tokens / calls, cached / calls)
    return calls * usd_of(settings, each)


def most_usd(
    settings: ServiceSettings, input_tokens: float, output_tokens: float, *, batch: bool = False
) -> float:
    """The most that one call of up to these tokens can cost: at the dearest price per token
    that the model has, however long the context, whatever the time of day, and whatever is
    written to a cache. A batch has its discount only where one is listed or stated."""
    if settings.price is None:
        if is_loopback(settings):
            return 0.0
        asked = (_table(settings), settings.base_url, model_name(settings))
        given, taken = _dearest(*asked, batch=batch, today=datetime.now(UTC).date())
        return (input_tokens * given + output_tokens * taken) / _MILLION
    dearest = max(settings.price.input, settings.price.cached_input or 0.0)
    total = (input_tokens * dearest + output_tokens * settings.price.output) / _MILLION
    return total * (_BATCH_FACTOR if batch else 1.0)


# --- the settings' own price ----------------------------------------------------------------


def _stated(price: Price, tokens: Tokens) -> float:
    """A price in the settings has no price for what is written to a cache: that is input."""
    cached = price.input if price.cached_input is None else price.cached_input
    given = (tokens.input - tokens.cached) * price.input + tokens.cached * cached
    return (given + tokens.output * price.output) / _MILLION


# --- the table ------------------------------------------------------------------------------


def _table(settings: ServiceSettings) -> str:
    name = provider_name(settings)
    return _TABLES.get(name, name)


def _listed(
    settings: ServiceSettings, tokens: Tokens, *, batch: bool = False
) -> PriceCalculation | None:
    """The price of ``tokens`` in the table; None where it lacks the model."""
    import genai_prices

    usage = genai_prices.Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cached,
        cache_write_tokens=tokens.written,
        cache_write_1h_tokens=tokens.kept_an_hour,
    )
    where = _place(_table(settings), settings.base_url, model_name(settings))
    if where is None:
        return None
    context = _BATCH if batch else None
    return genai_prices.calc_price(usage, model_name(settings), price_context=context, **where)


@cache
def _place(table: str, base_url: str | None, model: str) -> dict[str, Any] | None:
    """Where the table has ``model``: under the service at ``base_url`` if it knows that one,
    else under the provider, because a gateway passes the provider's price on."""
    import genai_prices

    nothing = genai_prices.Usage(input_tokens=0, output_tokens=0)
    places = [{"provider_api_url": base_url}] if base_url else []
    for place in [*places, {"provider_id": table}]:
        try:
            genai_prices.calc_price(nothing, model, **place)  # type: ignore[call-overload]
        except LookupError:
            continue
        return place
    return None


@cache
def _dearest(
    table: str, base_url: str | None, model: str, *, batch: bool, today: date
) -> tuple[float, float]:
    """The highest prices of input and of output that ``model`` has from yesterday to the day
    after tomorrow, in dollars per million tokens: some are cheaper at night, and some change."""
    import genai_prices

    where = _place(table, base_url, model)
    if where is None:
        return 0.0, 0.0
    nothing = genai_prices.Usage(input_tokens=0, output_tokens=0)
    first = datetime.combine(today, time(), UTC) - timedelta(days=1)
    found = [
        genai_prices.calc_price(
            nothing,
            model,
            genai_request_timestamp=first + timedelta(minutes=30 * step),
            price_context=_BATCH if batch else None,
            **where,
        ).model_price
        for step in range(4 * 48)
    ]
    inputs = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")
    return _highest(found, inputs), _highest(found, ("output_mtok",))


def _highest(prices: list[ModelPrice], names: tuple[str, ...]) -> float:
    values = (getattr(price, name) for price in prices for name in names)
    return max((_top(value) for value in values if value is not None), default=0.0)


def _top(price: Decimal | TieredPrices) -> float:
    """The dearest tier, of a price that has tiers."""
    if isinstance(price, Decimal):
        return float(price)
    return float(max(price.base, *(tier.price for tier in price.tiers)))
