"""The HTTP transport that stands between the provider's SDK and the network.

It writes every raw reply to the ledger before the SDK sees it, and hands a stored reply to the
SDK as if it had just arrived. Which row a request belongs to travels past the SDK in a context
variable; a request without one is refused, so nothing is ever sent outside the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import httpx2

from llamaduo.errors import LlamaduoError, RunError
from llamaduo.service.credentials import Credentials, InTheRequest
from llamaduo.service.egress import Door
from llamaduo.service.ledger import Attempt, Ledger, RawReply, Sent
from llamaduo.service.masking import masked
from llamaduo.service.pacing.pacer import Turn
from llamaduo.service.secrets import Secret
from llamaduo.service.wires import Wires

CALL: ContextVar[Call] = ContextVar("CALL")
CONTROL: ContextVar[Control] = ContextVar("CONTROL")

_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
"""Faults that come before the request: the provider cannot have charged for it."""
_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that no longer hold of a body that was read and decompressed."""


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
    turn: Turn | None = None
    """The pacer's, which hears of the reply as soon as it is there."""
    begun: bool = False
    delivered: bool = False
    """Whether ``raw`` was handed to the SDK, so that an error after it is about the reply."""
    failure: LlamaduoError | None = None
    """The ledger could not be written, or there are no credentials. SDKs wrap what a transport
    raises, so the caller finds it here."""


@dataclass(slots=True)
class Control:
    """Requests that ask no question and cost nothing: which models there are, how a batch does.

    ``purpose`` is a word for the record (``models``, ``batch``); ``pairs`` are the ids of the
    pairs whose text the requests carry, for the record of what left. ``failure`` is the error of
    ours that kept a request from being sent: SDKs wrap what a transport raises.
    """

    purpose: str
    pairs: tuple[str, ...] = ()
    statuses: list[int] = field(default_factory=list)
    failure: LlamaduoError | None = None


@contextmanager
def control_call(purpose: str, pairs: tuple[str, ...] = ()) -> Iterator[Control]:
    """Let what the block sends pass the transport without a row among the paid calls.

    Any number of requests. Each is recorded by purpose, host, bytes and ``pairs`` before it
    leaves (:meth:`Ledger.control`), has the time limit of one attempt, and carries the same
    credentials as a call. No reply is kept and none is repeated: the SDK or the caller gets it
    whole, with its headers, the API key cut out of its body.
    It may be used inside a call's own context, and wins over it. What paid replies a control
    call brings (a batch's results) its caller must write to the ledger.
    """
    control = Control(purpose, pairs)
    token = CONTROL.set(control)
    try:
        yield control
    finally:
        CONTROL.reset(token)


class RecordingTransport(httpx2.AsyncBaseTransport):
    """Sends over ``wires``, at most once per call, within ``seconds``.

    ``secret`` is the API key: a server that echoes it does not get it into the ledger.
    ``credentials`` add what a cloud wants to each request as it leaves. ``door`` looks at each
    before: whither it goes and, in strict mode, what is in it.
    """

    def __init__(
        self,
        ledger: Ledger,
        wires: Wires,
        *,
        seconds: float,
        secret: Secret,
        credentials: Credentials | None = None,
        door: Door | None = None,
    ) -> None:
        self._door = door
        self._credentials = credentials or InTheRequest()
        self._ledger = ledger
        self._wires = wires
        self._seconds = seconds
        self._secret = secret.reveal().encode()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if control := CONTROL.get(None):
            return await self._control(request, control)
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
        await self._wires.aclose()

    async def _send(self, request: httpx2.Request, call: Call) -> RawReply:
        host, size = request.url.netloc.decode(), len(await request.aread())
        try:
            self._look_at(request)
            response = await self._exchange(request)
        except httpx2.RequestError as error:
            call.fault = _in_words(error)
            left = not isinstance(error, _NEVER_SENT)
            await self._record(call, None, Sent(host, size if left else 0), charged=left)
            raise
        except LlamaduoError as error:  # not allowed, or no credentials: it did not leave
            call.fault, call.failure = error.message, error
            await self._record(call, None, Sent(host, 0), charged=False)
            raise
        call.retry_after = response.headers.get("retry-after")
        raw = RawReply(
            response.status_code,
            masked(response.headers.get("content-type", "application/octet-stream")),
            self._without_secret(response.content),
        )
        try:
            if call.turn:  # before the ledger: everyone else waits for what this reply says
                call.turn.heard(raw.status, response.headers, raw.body)
        finally:  # it is paid for, whatever becomes of the rest
            await self._record(call, raw, Sent(host, size), charged=False)
        return raw

    async def _control(self, request: httpx2.Request, control: Control) -> httpx2.Response:
        try:
            sent = Sent(request.url.netloc.decode(), len(await request.aread()))
            self._look_at(request, control.pairs)
            await self._ledger.control(control.purpose, sent, control.pairs)
            response = await self._exchange(request)
        except LlamaduoError as error:
            control.failure = error
            raise
        control.statuses.append(response.status_code)
        return httpx2.Response(
            response.status_code,
            headers=[
                pair for pair in response.headers.multi_items() if pair[0] not in _OF_THE_WIRE
            ],
            content=self._without_secret(response.content),
            request=request,
        )

    def _look_at(self, request: httpx2.Request, pairs: tuple[str, ...] = ()) -> None:
        if self._door is not None:
            self._door.check(request, pairs)

    def _without_secret(self, body: bytes) -> bytes:
        """A short key, such as local servers take, may be an ordinary word: it stays."""
        return body.replace(self._secret, b"[API key]") if len(self._secret) >= 16 else body

    async def _exchange(self, request: httpx2.Request) -> httpx2.Response:
        await self._authorize(request)
        try:
            async with self._wires.one() as wire, asyncio.timeout(self._seconds):
                return await _whole(await wire.send(request, auth=None, stream=True))
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"no reply within {self._seconds:g} s") from error

    async def _authorize(self, request: httpx2.Request) -> None:
        if isinstance(self._credentials, InTheRequest):
            return  # there is nothing that could take long
        try:
            async with asyncio.timeout(self._seconds):
                await self._credentials.authorize(request)
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(f"no credentials within {self._seconds:g} s") from error

    async def _record(self, call: Call, raw: RawReply | None, sent: Sent, *, charged: bool) -> None:
        try:
            if raw is not None and 200 <= raw.status < 300:
                await self._ledger.answer(call.attempt, raw, sent)
            else:
                error = f"HTTP {raw.status}" if raw else call.fault
                await self._ledger.fail(call.attempt, error, raw=raw, charged=charged, sent=sent)
        except RunError as error:
            call.failure = error
            raise


async def _whole(response: httpx2.Response) -> httpx2.Response:
    """``response`` with its body read. One that cannot be decompressed is an empty one: it came
    whole, and what came is no reply."""
    try:
        await response.aread()
    except httpx2.DecodingError:
        kind = {"content-type": response.headers.get("content-type", "application/octet-stream")}
        return httpx2.Response(response.status_code, headers=kind, content=b"")
    finally:
        await response.aclose()
    return response


def _in_words(error: httpx2.RequestError) -> str:
    """Masked: it may quote what the server sent, and the ledger keeps it."""
    return masked(f"{type(error).__name__}: {error}") if str(error) else type(error).__name__
