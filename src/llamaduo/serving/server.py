"""From an address to a server that ends well: bind, announce, serve, drain."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn

from llamaduo.errors import UsageError
from llamaduo.serving.app import serving_app
from llamaduo.serving.guard import LOOPBACK_NAMES, Access
from llamaduo.serving.jobs import Failed
from llamaduo.serving.served import Served

GRACE_SECONDS: Final = 5
"""For answers that are being written when the server is told to stop."""
_STOPPING = Failed("The server is shutting down.", "shutting_down", 503)


def access_for(host: str, token: str | None, token_env: str) -> Access:
    """Who may use a server that listens on ``host``.

    Raises:
        UsageError: it can be reached from elsewhere, and no token is set; or the token cannot
            be sent in a header.
    """
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError(
            f"The token in {token_env} has characters that no header can carry.",
            hint="Use letters, digits and punctuation, without spaces.",
        )
    if _loopback(host):
        return Access(hosts=LOOPBACK_NAMES | {host.lower()}, token=token or None)
    if not token:
        raise UsageError(
            f"{host} can be reached from other machines, and no token is set.",
            hint=f"Set {token_env} to a long random text that clients send as their API key,"
            " or leave out --host.",
        )
    return Access(hosts=None, token=token)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket with the address taken, that does not listen yet.

    Raises:
        UsageError: the port is in use, or the host is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(host, port, error) from error
    with taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(address)
        except OSError as error:
            raise _unusable(host, port, error) from error
        yield taken


def _unusable(host: str, port: int, error: OSError) -> UsageError:
    return UsageError(
        f"The server cannot listen on {host}, port {port}: {error.strerror or error}.",
        hint="Choose another --port, 0 for any that is free, or end what is using it.",
    )


def address_of(host: str, listener: socket.socket) -> str:
    """The base URL for clients."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}/v1"


def run(
    served: Sequence[Served],
    access: Access,
    listener: socket.socket,
    ready: Callable[[], None],
    *,
    grace: float = GRACE_SECONDS,
) -> None:
    """Serve until SIGINT or SIGTERM. ``ready`` is called when requests are taken.

    Raises:
        UsageError: another process began to listen on the port in the meantime.
    """
    try:
        listener.listen(1024)
    except OSError as error:
        host, port, *_ = listener.getsockname()
        raise _unusable(host, port, error) from error
    server = server_for(served, access, grace=grace)
    with _ended_by_signals(server):
        ready()
        server.run(sockets=[listener])


def server_for(served: Sequence[Served], access: Access, *, grace: float) -> uvicorn.Server:
    """The server of ``served``. Nothing of a request goes into a log."""
    config = uvicorn.Config(
        serving_app(served, access),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=int(grace) + 5,
    )
    return _Server(config, served, grace)


class _Server(uvicorn.Server):
    """Ends in three steps: requests that wait are refused, those at work get ``grace`` seconds,
    and what is not whole by then is told so."""

    def __init__(self, config: uvicorn.Config, served: Sequence[Served], grace: float) -> None:
        super().__init__(config)
        self._served = served
        self._grace = grace

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop(waiting_only=True)
        late = asyncio.get_running_loop().call_later(self._grace, self._stop)
        try:
            await super().shutdown(sockets)
        finally:
            late.cancel()

    def _stop(self, *, waiting_only: bool = False) -> None:
        for one in self._served:
            one.engine.stop(_STOPPING, waiting_only=waiting_only)


@contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """A signal ends ``server`` even before it looks out for signals itself; and when it raises
    the one again that ended it, as uvicorn does, all is done and nothing comes of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        server.should_exit = True

    before = {one: signal.signal(one, end) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
