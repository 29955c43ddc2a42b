"""Which model a configured name stands for: looked up once a run, recorded, warned about.

Before the first question that is bought, and not before: what was answered is read again though
its model is gone and nothing can be reached.

A name without a date may stand for another model tomorrow, and a model that is retired is not
served at all, or by another one. Asked of the provider's own list of models, which costs
nothing; the clouds and compatible servers have none that tells, so there the first reply names
the model (table ``models`` of the ledger).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches
from types import ModuleType
from typing import TYPE_CHECKING

import httpx2

from llamaduo.errors import LlamaduoError, ServiceRefused
from llamaduo.service.address import host, is_loopback, model_name, provider_name
from llamaduo.service.ledger import Ledger
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.transport import control_call

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from llamaduo.service.providers.listing import Listing

_LISTED = frozenset({"openai", "openai-chat", "anthropic", "google"})
"""Providers whose own list of models says something of one name."""
_SECONDS = 10.0
_DATED = re.compile(r"(-\d{4}-\d{2}-\d{2}|[-@]\d{8}|-\d{4}|-\d{3}|-v\d+(:\d+)?)$")
"""How names end that stand for one model for good."""
_ENDS = {
    # https://ai.google.dev/gemini-api/docs/deprecations (November 2026): from that day requests
    # are answered, and billed, by another model. Google's list of models does not say so.
    "gemini-2.5-pro": date(2026, 12, 1),
    "gemini-2.5-flash": date(2026, 12, 1),
}
"""Announced retirements that no endpoint tells. OpenAI's and Anthropic's lists have a field."""


class LookUp:
    """The look-up of one service LLM, shared by all its calls."""

    def __init__(self, settings: ServiceSettings, model: Model, ledger: Ledger) -> None:
        self._asked_of = settings, model, ledger
        self._lock = asyncio.Lock()
        self._over = False
        self._refusal: LlamaduoError | None = None

    async def done(self) -> None:
        """Wait until it is over; the first who waits does it. Raises as :func:`resolve` does,
        for everyone."""
        if self._over:
            return
        async with self._lock:
            if self._refusal is not None:
                raise self._refusal
            try:
                await resolve(*self._asked_of)
            except LlamaduoError as error:
                self._refusal = error
                raise
            self._over = True


async def resolve(settings: ServiceSettings, model: Model, ledger: Ledger) -> None:
    """Look up ``settings.model`` if this run has not, record what it stands for, and warn.

    Only on the provider's own address. A list that cannot be had is no obstacle.

    Raises:
        ServiceRefused: the provider says that it has no such model, or not any more.
        LlamaduoError: what keeps every request of ours from being sent.
    """
    if not ledger.first_time(f"look up {settings.model}"):
        return
    name = model_name(settings)
    listing = None
    if settings.base_url is None:
        _warn_of_end(settings, _known_end(settings), ledger)
        listing = await _look_up(settings, model, ledger)
    fixed = listing is not None and (listing.fixed or listing.resolved != name)
    if is_floating(name) and not fixed and not is_loopback(settings):
        ledger.warn(
            f"{settings.model} is a name that moves: what it stands for may change. The ledger"
            " keeps what the replies say; a dated name keeps the model."
        )


def is_floating(name: str) -> bool:
    """Whether ``name`` may stand for another model later: it has no date or version."""
    return _DATED.search(name) is None


async def _look_up(settings: ServiceSettings, model: Model, ledger: Ledger) -> Listing | None:
    from llamaduo.service.providers import vendor_of

    if provider_name(settings) not in _LISTED:
        return None
    vendor, name = vendor_of(settings), model_name(settings)
    with control_call("models") as control:
        try:
            async with asyncio.timeout(_SECONDS):
                listing: Listing = await vendor.look_up(model, name)
        except (*vendor.ERRORS, *_NO_LIST) as error:
            if control.failure is not None:
                raise control.failure from error
            if 404 in control.statuses:
                raise await _unknown(settings, vendor, model) from error
            return None
    if listing.retired:
        raise await _unknown(settings, vendor, model)
    await _record(settings, listing, ledger)
    return listing


_NO_LIST = (httpx2.HTTPError, TimeoutError, ValueError, TypeError, AttributeError)
"""What comes of a list that is late, or is no list."""


async def _record(settings: ServiceSettings, listing: Listing, ledger: Ledger) -> None:
    name = model_name(settings)
    before = ledger.resolved(settings.model)
    await ledger.listed(settings.model, listing.resolved)
    if not listing.fixed and listing.resolved != name:
        ledger.warn(
            f"{settings.model} stands for {listing.resolved} now, and may for another model"
            f" later. To keep it, set {provider_name(settings)}:{listing.resolved}."
        )
    elif before and listing.resolved not in before and is_floating(name):
        ledger.warn(f"{settings.model} was {before[-1]} before in this run; it may have changed.")
    _warn_of_end(settings, listing.retires, ledger)


def _known_end(settings: ServiceSettings) -> date | None:
    return _ENDS.get(model_name(settings)) if provider_name(settings) == "google" else None


def _warn_of_end(settings: ServiceSettings, end: date | None, ledger: Ledger) -> None:
    if end is None:
        return
    past = end <= datetime.now(UTC).date()
    verb = "was to be retired" if past else "will be retired"
    ledger.warn(f"{settings.model} {verb} by {host(settings)} on {end:%d %B %Y}.")


async def _unknown(settings: ServiceSettings, vendor: ModuleType, model: Model) -> ServiceRefused:
    near = _near(model_name(settings), await _offered(vendor, model))
    names = ", ".join(f"{provider_name(settings)}:{name}" for name in near)
    return ServiceRefused(
        f"{settings.model}: {host(settings)} has no such model for this key. It may have been"
        " retired.",
        hint=f"It offers: {names}." if names else "Choose another model in llamaduo.yaml.",
    )


async def _offered(vendor: ModuleType, model: Model) -> Sequence[str]:
    with control_call("models"):
        try:
            async with asyncio.timeout(_SECONDS):
                names: Sequence[str] = await vendor.offered(model)
                return names
        except (*vendor.ERRORS, *_NO_LIST):
            return ()


def _near(name: str, offered: Sequence[str]) -> list[str]:
    family = [one for one in offered if one.startswith(name)]
    return list(dict.fromkeys([*sorted(family), *get_close_matches(name, offered, n=4)]))[:4]
