"""The service LLM, connected: one way out, on which every reply is in the ledger before it is read.

What becomes of a question is in :mod:`llamaduo.service.asking`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llamaduo.errors import UsageError
from llamaduo.redaction.redactor import Redactor
from llamaduo.service import address, credentials, pricing
from llamaduo.service.asking import Asking
from llamaduo.service.egress import Door, check_allowed
from llamaduo.service.ledger import Ledger
from llamaduo.service.pacing.pacers import Pacers
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.transport import RecordingTransport
from llamaduo.service.wires import Wires

if TYPE_CHECKING:
    import httpx2

_CONNECT_SECONDS = 10.0


def check_key(settings: ServiceSettings) -> None:
    """Find out whether the key or the cloud's credentials of ``settings`` are there.

    Raises:
        KeyMissing: they are not.
        UsageError: the provider is unknown, or lacks service.project or service.location.
    """
    credentials.check(settings)


def check_usable(settings: ServiceSettings, budget_usd: float | None) -> None:
    """Find out before anything runs whether ``settings`` can be used at all. Imports the SDK only
    where there are options to hold against it.

    Raises:
        KeyMissing: the API key's environment variable is not set.
        ExtraMissing: the provider's SDK is not installed.
        UsageError: the provider is unknown or does not take an option, its host is not among
            service.egress_hosts, or there is a budget and no price is known.
    """
    check_allowed(settings)
    check_key(settings)
    address.check_sdk(settings)
    if settings.options:
        from llamaduo.service.providers import options_of

        options_of(settings)
    if budget_usd is not None and pricing.price_of(settings) is None:
        raise UsageError(
            f"The price of {settings.model} is not known, so a budget cannot be kept.",
            hint="Set service.price (dollars per million tokens), or leave out limits.budget_usd.",
        )


@asynccontextmanager
async def connect(
    settings: ServiceSettings,
    ledger: Ledger,
    *,
    budget_usd: float | None = None,
    backoff: Backoff | None = None,
    redactor: Redactor | None = None,
    pacers: Pacers | None = None,
) -> AsyncIterator[ServiceLLM]:
    """The service LLM of ``settings``, every call of which goes through ``ledger``.

    ``budget_usd`` caps what the whole ledger may spend, whoever asks. ``redactor`` takes personal
    data out of every question before its key is made; replies keep the stand-ins. Connections that
    share ``pacers`` share the limits of a provider, project and model.

    Raises:
        KeyMissing, ExtraMissing, UsageError: it cannot be used, and nothing was sent.
    """
    import httpx2

    check_usable(settings, budget_usd)
    from llamaduo.service.batch.batcher import batching
    from llamaduo.service.providers import build_model

    key = credentials.key_of(settings)
    seconds = settings.timeout_seconds
    timeout = httpx2.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds / 2))
    recording = RecordingTransport(
        ledger,
        Wires(_clients(settings, timeout), address.in_flight(settings)),
        seconds=seconds,
        secret=key,
        credentials=credentials.credentials_of(settings),
        door=Door(settings, redactor),
    )
    async with httpx2.AsyncClient(transport=recording, timeout=timeout) as http:
        model = build_model(settings, key.reveal(), http)
        seeded = address.provider(settings).seeded
        pacer = (pacers or Pacers(backoff)).of(settings, key.reveal())
        async with batching(settings, ledger, model, seeded=seeded) as batcher:
            yield Asking(
                settings, ledger, model, budget_usd, backoff or Backoff(), batcher, redactor, pacer
            )


def _clients(
    settings: ServiceSettings, timeout: httpx2.Timeout
) -> Callable[[httpx2.Limits], httpx2.AsyncClient]:
    """What makes a client. All of them share the certificates, which take long to load."""
    import httpx2

    # Loopback never goes through a proxy, whatever the environment says.
    trusting = not address.is_loopback(settings)
    certificates = httpx2.create_ssl_context(trust_env=trusting)
    return lambda limits: httpx2.AsyncClient(
        timeout=timeout, limits=limits, trust_env=trusting, verify=certificates
    )
