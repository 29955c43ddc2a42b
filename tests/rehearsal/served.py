"""The service in a thread of this process: real HTTP, without a process to start."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from llamaduo.rehearsal.__main__ import server_of
from llamaduo.rehearsal.app import rehearsal_app
from llamaduo.rehearsal.faults import Plan
from llamaduo.rehearsal.limits import Limiter
from llamaduo.rehearsal.record import Record


@contextmanager
def served(record: Path, plan: Plan | None = None, limiter: Limiter | None = None) -> Iterator[str]:
    """The base URL of a service that behaves as ``plan`` says, and appends to ``record``."""
    book = Record(record)
    server: uvicorn.Server = server_of(rehearsal_app(book, plan, limiter))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(10)
            book.close()
