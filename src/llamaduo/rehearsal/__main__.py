"""``python -m llamaduo.rehearsal``: serve the built-in service LLM until ended."""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from llamaduo.rehearsal.app import MODEL, Record, rehearsal_app

BANNER = f"{MODEL}: replies are rehearsed, nothing is paid, scores prove nothing about a model."


def main(arguments: list[str] | None = None) -> None:
    """Bind, say so on one line of standard output, serve."""
    options = _parser().parse_args(arguments)
    record = Record(options.record)
    try:
        with _listening(options.port) as listener:
            server = _server(record)
            if options.until_stdin_closes:
                threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
            _announce(listener)
            server.run(sockets=[listener])
    finally:
        record.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m llamaduo.rehearsal", description=BANNER)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument("--record", type=Path, help="append every request to this file")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when the parent process does"
    )
    return parser


def _listening(port: int) -> socket.socket:
    """A socket that already queues connections, so that the address can be announced."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    return listener


def _server(record: Record) -> uvicorn.Server:
    config = uvicorn.Config(
        rehearsal_app(record),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _announce(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    sys.stderr.write(f"{BANNER}\n")
    sys.stdout.write(f"rehearsal ready at http://127.0.0.1:{port}/v1\n")
    sys.stdout.flush()


def _end_with_stdin(server: uvicorn.Server) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    server.should_exit = True


if __name__ == "__main__":
    main()
