"""The HTTP transport that stands between the provider's SDK and the network.

It writes every raw reply to the ledger before the SDK sees it, and hands a stored reply to the
SDK as if it had just arrived. Which row a request belongs to travels past the SDK in a context
variable; a request without one is refused, so nothing is ever sent outside the ledger.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass

import httpx2

from llamaduo.errors import RunError
from llamaduo.service.ledger import Attempt, Ledger, RawReply

CALL: ContextVar[Call] = ContextVar("CALL")

_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
"""Faults that come before the request: the provider cannot have charged for it."""


@dataclass(slots=True)
class Call:
    """One pass through the SDK, and what the transport saw of it.

    With ``raw`` given from the start it is a replay: that reply is handed over, nothing is sent.
    """

    attempt: Attempt
    raw: RawReply | None = None
    read_before: bool = False
    fault: str = ""
    retry_after: str | None = None
    begun: bool = False
    delivered: bool = False
    """Whether ``raw`` was handed to the SDK, so that an error after it is about the reply."""
    failure: RunError | None = None
    """The ledger itself could not be written. SDKs wrap what a transport raises, so the caller
    finds it here."""


class RecordingTransport(httpx2.AsyncBaseTransport):
    """Sends over ``wire``, at most once per call, within ``seconds``.

    ``secret`` is the API key: a server that echoes it does not get it into the ledger.
    """

    def __init__(
        self, ledger: Ledger, wire: httpx2.AsyncClient, *, seconds: float, secret: str
    ) -> None:
        self._ledger = ledger
        self._wire = wire
        self._seconds = seconds
        self._secret = secret.encode()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        call = CALL.get(None)
        if call is None or call.begun:
            raise RuntimeError(f"{request.url.host}: a request that the ledger does not know of")
        call.begun = True
        if call.raw is None:
            call.raw = await self._send(request, call)
        call.delivered = True
        return httpx2.Response(
            call.raw.status,
            headers={"content-type": call.raw.content_type},
            content=call.raw.body,
            request=request,
        )

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _send(self, request: httpx2.Request, call: Call) -> RawReply:
        try:
            response = await self._exchange(request)
        except httpx2.RequestError as error:
            call.fault = _in_words(error)
            charged = not isinstance(error, _NEVER_SENT)
            await self._record(call, None, charged=charged)
            raise
        call.retry_after = response.headers.get("retry-after")
        raw = RawReply(
            response.status_code,
            response.headers.get("content-type", "application/octet-stream"),
            self._without_secret(response.content),
        )
        await self._record(call, raw, charged=False)
        return raw

    def _without_secret(self, body: bytes) -> bytes:
        """A short key, such as local servers take, may be an ordinary word: it stays."""
        return body.replace(self._secret, b"[API key]") if len(self._secret) >= 16 else body

    async def _exchange(self, request: httpx2.Request) -> httpx2.Response:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._wire.send(request, auth=None)
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"no reply within {self._seconds:g} s") from error

    async def _record(self, call: Call, raw: RawReply | None, *, charged: bool) -> None:
        try:
            if raw is not None and 200 <= raw.status < 300:
                await self._ledger.answer(call.attempt, raw)
            else:
                error = f"HTTP {raw.status}" if raw else call.fault
                await self._ledger.fail(call.attempt, error, raw=raw, charged=charged)
        except RunError as error:
            call.failure = error
            raise


def _in_words(error: httpx2.RequestError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
