"""A client's connection, down to its transport: it can be refused, broken off, or starved."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

_TRANSPORT: Final = "llamaduo.transport"
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""
_READ_SECONDS: Final = 0.005
"""Between half a reply and the reset after it, so that the half is read first."""


@dataclass(slots=True)
class Reply:
    """An HTTP reply on its way out."""

    status: int = 200
    headers: Headers = ()
    body: bytes = b""

    async def catch(self, message: Message) -> None:
        """Take the reply from an application that thinks it sends it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = tuple(message.get("headers", ()))
        else:
            self.body += message.get("body", b"")

    def change(self, status: int, body: bytes, kind: bytes) -> None:
        """Become another reply, the length of which is its body's."""
        length = str(len(body)).encode()
        kept = tuple(h for h in self.headers if h[0] not in (b"content-type", b"content-length"))
        self.status, self.body = status, body
        self.headers = ((b"content-type", kind), (b"content-length", length), *kept)


@dataclass(frozen=True, slots=True)
class Client:
    """Who waits for the reply."""

    request: Request
    send: Send

    @property
    def _transport(self) -> asyncio.Transport:
        found: asyncio.Transport = self.request.scope[_TRANSPORT]
        return found

    async def is_gone(self) -> bool:
        return await self.request.is_disconnected()

    async def gone(self) -> None:
        """Wait until it gives up."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    async def receive(self, reply: Reply) -> None:
        """Get all of it."""
        await self._begin(reply)
        await self._go_on(reply.body, more=False)

    async def break_off(self, reply: Reply) -> None:
        """Get half of the body, then a connection reset."""
        await self._begin(reply)
        await self._go_on(reply.body[: len(reply.body) // 2], more=True)
        await asyncio.sleep(_READ_SECONDS)
        reset(self._transport)
        await self.gone()

    async def drip(self, reply: Reply, seconds: float) -> bool:
        """Get one byte at a time, for as long as it is there. Whether it stayed to the end."""
        await self._begin(reply)
        for place in range(len(reply.body)):
            await asyncio.sleep(seconds)
            if self._transport.is_closing():
                return False
            await self._go_on(reply.body[place : place + 1], more=True)
        await self._go_on(b"", more=False)
        return True

    async def _begin(self, reply: Reply) -> None:
        headers = list(reply.headers)
        await self.send({"type": "http.response.start", "status": reply.status, "headers": headers})

    async def _go_on(self, body: bytes, *, more: bool) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})


class Doorkeeper(Protocol):
    """An ASGI application that may refuse a connection."""

    def refuses(self) -> bool: ...


class Wire(H11Protocol):
    """uvicorn's connection, for an application that is a :class:`Doorkeeper`: it may be refused
    at accept, and its transport is in the scope of every request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, _TRANSPORT: transport}, receive, send)

        self.app = with_transport
        keeper: Doorkeeper = self.config.app  # type: ignore[assignment]
        if keeper.refuses():
            reset(transport)


def reset(transport: asyncio.Transport) -> None:
    """Close a connection with RST, so that the other end gets an error rather than an end."""
    raw: socket.socket = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 at which nobody listens, and nobody can for as long as the block
    lasts: connecting to it is refused by the system itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
