"""A listener on loopback that hands everything on to a server and keeps what went to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit


@dataclass
class Wiretap:
    """``url`` is that of the server with the listener's port; ``heard`` has what was sent to it,
    one entry a connection."""

    url: str
    heard: list[bytearray] = field(default_factory=list)

    @property
    def everything(self) -> bytes:
        return b"\n".join(bytes(one) for one in self.heard)


@contextmanager
def tapped(url: str) -> Iterator[Wiretap]:
    """Listen in front of the server at ``url`` while the block lasts."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    server = (parts.hostname, parts.port)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tap = Wiretap(urlunsplit(parts._replace(netloc=f"127.0.0.1:{listener.getsockname()[1]}")))
        thread = threading.Thread(target=_accept, args=(listener, server, tap), daemon=True)
        thread.start()
        yield tap
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _accept(listener: socket.socket, server: tuple[str, int], tap: Wiretap) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # it was shut down
            return
        onward = socket.create_connection(server)
        heard = bytearray()
        tap.heard.append(heard)
        for source, sink, kept in ((client, onward, heard), (onward, client, bytearray())):
            threading.Thread(target=_pump, args=(source, sink, kept), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with source, sink:
        try:
            while data := source.recv(65536):
                kept += data
                sink.sendall(data)
        except OSError:  # the other direction has ended
            return
