"""A rehearsal: the user's own configuration with a program in the place of every service LLM."""

from __future__ import annotations

from collections.abc import Iterable

from llamaduo.config import Config
from llamaduo.service.ledger import SpendRow
from llamaduo.service.pricing import price_of, usd_of_calls
from llamaduo.service.settings import RateSettings, ServiceSettings

BANNER = """\
REHEARSAL: the service LLM is a program on this machine. Nothing is sent, nothing is paid.
Outside the built-in task the scores mean nothing.
"""
_NO_KEY_VARIABLE = "LLAMADUO_REHEARSAL_KEY"
"""Nobody sets it: not even a program on this machine is sent the real key."""


def stand_in(config: Config, base_url: str) -> Config:
    """``config`` with every service LLM replaced by the rehearsal service at ``base_url``."""
    judges = tuple(_replaced(judge, base_url) for judge in config.judging.judges)
    return config.model_copy(
        update={
            "service": _replaced(config.service, base_url),
            "judging": config.judging.model_copy(update={"judges": judges}),
        }
    )


def originals(real: Config) -> dict[str, ServiceSettings]:
    """The service LLMs of ``real`` by the names of their stand-ins."""
    return {_name(settings): settings for settings in (real.service, *real.judging.judges)}


def real_cost(rows: Iterable[SpendRow], real: Config) -> tuple[float, tuple[str, ...]]:
    """Dollars that the rehearsed calls would have cost with the configured models, and the
    models whose price is not known. Tokens are the rehearsal service's approximation."""
    replaced = originals(real)
    total, unknown = 0.0, set()
    for row in rows:
        settings = replaced.get(row.model)
        if settings is None or price_of(settings) is None:
            unknown.add(settings.model if settings else row.model)
        else:
            total += usd_of_calls(settings, row.answered, row.input_tokens, row.output_tokens)
    return total, tuple(sorted(unknown))


def _replaced(settings: ServiceSettings, base_url: str) -> ServiceSettings:
    """What belongs to the provider is left out: the stand-in has none of its options, limits,
    batches or prices, and gets no key."""
    return settings.model_copy(
        update={
            "model": _name(settings),
            "base_url": base_url,
            "price": None,
            "api_key_env": _NO_KEY_VARIABLE,
            "api_key_file": None,
            "options": {},
            "rates": RateSettings(),
            "mode": "calls",
        }
    )


def _name(settings: ServiceSettings) -> str:
    """The stand-in says whom it stands in for, so that two judges stay two. It is asked by chat
    completions, whoever is meant: they have a seed, without which all judgements of one response
    by a program would be the same."""
    return f"openai-chat:rehearsal-of-{settings.model.replace(':', '-')}"
