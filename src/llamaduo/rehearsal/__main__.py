"""``python -m llamaduo.rehearsal``: serve the built-in service LLM until ended."""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from llamaduo.rehearsal.app import rehearsal_app
from llamaduo.rehearsal.batches.plan import BatchPlan
from llamaduo.rehearsal.catalogue import MODEL
from llamaduo.rehearsal.connection import Wire
from llamaduo.rehearsal.faults import FAULTS, Plan, Spread, parse_shares
from llamaduo.rehearsal.front import Front
from llamaduo.rehearsal.limits import Limiter, read_limit
from llamaduo.rehearsal.record import Record

BANNER = f"{MODEL}: replies are rehearsed, nothing is paid, scores prove nothing about a model."


def main(arguments: list[str] | None = None) -> None:
    """Bind, say so on one line of standard output, serve."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        plan, limiter, batches = _behaviour(options)
    except ValueError as error:
        parser.error(str(error))
    record = Record(options.record)
    try:
        with _listening(parser, options.port) as listener:
            server = server_of(rehearsal_app(record, plan, limiter, batches))
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
    wrong = parser.add_argument_group("misbehaviour, for tests of clients")
    wrong.add_argument(
        "--fault", action="append", default=[], metavar="FAULT=SHARE",
        help="this share of requests meets this fault, as in reset=0.3; may be given several"
        f" times; one of {', '.join(FAULTS)}",
    )  # fmt: skip
    wrong.add_argument("--seed", type=int, default=0, help="of who meets which fault")
    wrong.add_argument(
        "--latency", default="0", metavar="SECONDS", help="of every reply; 0.02:0.2 is a range"
    )
    wrong.add_argument(
        "--retry-after", type=float, default=1.0, metavar="SECONDS", help="what a 429 asks for"
    )
    wrong.add_argument(
        "--drip", type=float, default=0.1, metavar="SECONDS", help="between two bytes of a drip"
    )
    wrong.add_argument(
        "--limit", metavar="LIMITS",
        help="rate limits a minute, as in openai:requests=500,tokens=30000",
    )  # fmt: skip
    wrong.add_argument(
        "--batches", default="", metavar="BEHAVIOUR",
        help="of the batch APIs, as in seconds=5,expired=0.1,errored=0.05",
    )  # fmt: skip
    return parser


def _behaviour(options: argparse.Namespace) -> tuple[Plan, Limiter | None, BatchPlan]:
    """How to behave.

    Raises:
        ValueError: an option has no meaning.
    """
    plan = Plan(
        shares=parse_shares(options.fault),
        seed=options.seed,
        latency=Spread.parse(options.latency),
        retry_after=options.retry_after,
        drip=options.drip,
    )
    limiter = read_limit(options.limit) if options.limit else None
    return plan, limiter, BatchPlan.parse(options.batches)


def _listening(parser: argparse.ArgumentParser, port: int) -> socket.socket:
    """A socket that already queues connections, so that the address can be announced."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=1024)
    except (OSError, OverflowError) as error:
        parser.error(f"--port {port}: {error}")


def server_of(front: Front) -> uvicorn.Server:
    """What serves ``front`` over HTTP."""
    config = uvicorn.Config(
        front,
        http=Wire,
        proxy_headers=False,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=300,  # one that is closed as it is used again would be a fault
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
