"""What stands before the rehearsal service's application: record, latency, limits and faults.

The application makes the reply to a request and says what it is (:class:`Exchange`); the front
writes the record and decides what of that reply the client gets to see, down to the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request

from llamaduo.rehearsal.asked import Refusal
from llamaduo.rehearsal.connection import Client, Message, Receive, Reply, Scope, Send
from llamaduo.rehearsal.faults import OF_CONTENT, OF_STATUS, PAGE, Fault, Plan, spoiled
from llamaduo.rehearsal.limits import Asked as Charge
from llamaduo.rehearsal.limits import Limiter
from llamaduo.rehearsal.record import Record
from llamaduo.rehearsal.replies import Draft, tokens

App = Callable[[Scope, Receive, Send], Awaitable[None]]

EXCHANGE: Final = "exchange"
"""Where in ``request.state`` the application leaves its :class:`Exchange`."""
LIMITED: Final = "limited"
"""In the record, the fault of a request that was above the rate limits."""
_JSON: Final = b"application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What the application says about a request that a service LLM would charge for.

    ``draft`` is the reply before it is rendered, None if the request was refused. ``render``
    makes a body of a draft, ``refuse`` one of a refusal, both in the dialect.
    ``input_tokens`` and ``most_tokens`` are what a rate limit counts: read, and written at most.
    """

    digest: str
    dialect: str
    shape: str | None
    draft: Draft | None
    render: Callable[[Draft], bytes]
    refuse: Callable[[Refusal], bytes]
    input_tokens: int = 0
    most_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Front:
    """An ASGI application around ``app`` that behaves as ``plan`` says."""

    app: App
    record: Record
    plan: Plan = field(default_factory=Plan)
    limiter: Limiter | None = None
    _connections: Iterator[int] = field(default_factory=lambda: count(1))

    def refuses(self) -> bool:
        """Whether the connection that was just made is to be refused. If so, it is recorded."""
        connection = next(self._connections)
        refused = self.plan.refuses(connection)
        if refused:
            self.record.refused(connection)
        return refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return None
        reply, state = Reply(), dict[str, Any]()
        await self.app({**scope, "state": state}, _once(body), reply.catch)
        if self.plan.shares.get("refused"):  # decided for each connection, so each has one request
            reply.headers += ((b"connection", b"close"),)
        client = Client(request, send)
        exchange: Exchange | None = state.get(EXCHANGE)
        if exchange is None:
            return await client.receive(reply)
        return await self._answer(exchange, reply, client)

    async def _answer(self, exchange: Exchange, reply: Reply, client: Client) -> None:
        """Record, wait, send what is dealt, record again."""
        attempt = self.record.next_attempt(exchange.digest)
        fault = self._dealt(exchange, reply, attempt)
        asked = self.record.asked(
            exchange.digest, exchange.shape, dialect=exchange.dialect, fault=fault
        )
        await asyncio.sleep(self.plan.seconds(exchange.digest, attempt))
        arrived = await self._send(reply, fault, client)
        self.record.delivered(
            asked,
            reply.status,
            arrived=arrived,
            fault=fault,
            size=len(reply.body) if arrived else 0,
            paid=reply.status == 200 and fault != "hang",
        )

    def _dealt(self, exchange: Exchange, reply: Reply, attempt: int) -> str:
        """The misbehaviour that meets this request, with ``reply`` made into it; or nothing."""
        if exchange.draft is None:
            return ""
        if self.limiter and not _admitted(self.limiter, exchange, reply):
            return LIMITED
        fault = self.plan.deal(exchange.digest, attempt)
        if fault:
            self._spoil(reply, exchange, exchange.draft, fault)
        return fault or ""

    def _spoil(self, reply: Reply, exchange: Exchange, draft: Draft, fault: Fault) -> None:
        """Make ``reply`` what a fault of status or of content makes of it."""
        if fault in OF_STATUS:
            self._fail(reply, exchange, fault)
        elif fault == "truncated":
            reply.change(200, reply.body[: len(reply.body) // 2], _JSON)
        elif fault == "html":
            reply.change(200, PAGE, b"text/html; charset=utf-8")
        elif fault in OF_CONTENT:
            worse = spoiled(draft, fault, exchange.shape, exchange.digest)
            reply.change(200, exchange.render(worse), _JSON)

    def _fail(self, reply: Reply, exchange: Exchange, fault: Fault) -> None:
        """An error in the dialect. Google says in the body how long to wait, others in a header."""
        status = OF_STATUS[fault]
        if status == 503 and exchange.dialect.startswith("anthropic"):
            status = 529
        wait = self.plan.retry_after if fault == "429" else None
        message = f"A rehearsed fault: {fault}."
        refusal = Refusal(status=status, message=message, retry_seconds=wait)
        reply.change(status, exchange.refuse(refusal), _JSON)
        if wait is not None and not exchange.dialect.startswith("google"):
            reply.headers += ((b"retry-after", f"{wait:g}".encode()),)

    async def _send(self, reply: Reply, fault: str, client: Client) -> bool:
        """Whether all of ``reply`` went out to a client that was there."""
        if fault == "hang":
            await client.gone()
            return False
        if await client.is_gone():
            return False
        if fault == "reset":
            await client.break_off(reply)
            return False
        if fault == "drip":
            return await client.drip(reply, self.plan.drip)
        await client.receive(reply)
        return True


def _admitted(limiter: Limiter, exchange: Exchange, reply: Reply) -> bool:
    """Whether the limits let the request through; ``reply`` says how they stand, or refuses."""
    written = tokens(exchange.draft.text) if exchange.draft else 0
    admission = limiter.admit(Charge(exchange.input_tokens, exchange.most_tokens or written))
    if admission.allowed:
        limiter.delivered(written)
    else:
        reply.change(admission.status, admission.body, _JSON)
    # The kind of a refusal's body is said already.
    named = {name: text for name, text in admission.headers.items() if name != "content-type"}
    reply.headers += tuple((name.encode(), text.encode()) for name, text in named.items())
    return admission.allowed


def _once(body: bytes) -> Receive:
    """A request's body as an application receives it; after that nothing comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    return receive
