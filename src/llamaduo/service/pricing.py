"""What a call costs, in US dollars, from the settings or from the table of `genai-prices`.

The table ships with the package: nothing is fetched. List prices only: discounts for cached
input and surcharges for very long contexts are not counted.
"""

from __future__ import annotations

from functools import cache

from llamaduo.service.address import is_loopback, model_name, provider
from llamaduo.service.settings import Price, ServiceSettings

_MILLION = 1_000_000
_SAMPLE = 1_000  # tokens: below every long-context tier


def price_of(settings: ServiceSettings) -> Price | None:
    """Dollars per million tokens; None when nobody knows.

    A server on loopback with no price of its own costs nothing.
    """
    if settings.price is not None:
        return settings.price
    if is_loopback(settings):
        return Price(input=0.0, output=0.0)
    return _listed(provider(settings).extra, model_name(settings))


def usd(settings: ServiceSettings, input_tokens: int, output_tokens: int) -> float:
    """What these tokens cost; 0 when the price is unknown (:func:`price_of` is None)."""
    price = price_of(settings)
    if price is None:
        return 0.0
    return (input_tokens * price.input + output_tokens * price.output) / _MILLION


@cache
def _listed(prices: str, model: str) -> Price | None:
    import genai_prices

    usage = genai_prices.Usage(input_tokens=_SAMPLE, output_tokens=_SAMPLE)
    try:
        cost = genai_prices.calc_price(usage, model, provider_id=prices)
    except LookupError:
        return None
    scale = _MILLION // _SAMPLE
    return Price(input=float(cost.input_price * scale), output=float(cost.output_price * scale))
