"""A service LLM on a real socket of this machine that answers by a script, one step a request."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

SNAPSHOT = "gpt-test-2026-01-01"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. ``delay`` seconds pass before it is sent."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    delay: float = 0.0


class Reset:
    """The connection is reset after the request was read."""


class Hang:
    """Nothing is ever answered."""


class Cut:
    """Half of a reply arrives, and then a reset."""


class Drip:
    """A reply comes one byte at a time, and never ends."""


Step = Answer | type[Reset] | type[Hang] | type[Cut] | type[Drip]


def says(text: str | None, *, finish: str = "stop", **message: Any) -> Answer:
    """A chat completion that says ``text``, for 100 input and 20 output tokens."""
    return Answer(
        body=json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": SNAPSHOT,
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": finish,
                        "message": {"role": "assistant", "content": text, **message},
                    }
                ],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
            }
        ).encode()
    )


def error(
    status: int, message: str, code: str | None = None, param: str | None = None, **headers: str
) -> Answer:
    """An error in OpenAI's shape."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    fields = {"message": message, "code": code, "type": code, "param": param}
    body = json.dumps({"error": fields}).encode()
    return Answer(status, body, (("content-type", "application/json"), *named))


@dataclass
class Service:
    """The script that is left, and what was asked. An empty script says the sample's number."""

    script: list[Step] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    base_url: str = ""
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def then(self, *steps: Step) -> None:
        self.script.extend(steps)

    def next_step(self, body: dict[str, Any]) -> Step:
        self.bodies.append(body)
        self.asked.set()
        return self.script.pop(0) if self.script else says(f"sample {body.get('seed')}")


@asynccontextmanager
async def serving(*steps: Step) -> AsyncIterator[Service]:
    """A service on a free port of 127.0.0.1 for as long as the block lasts."""
    service = Service(list(steps))
    open_connections: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        service.connections += 1
        try:
            while await _answer_one(service, reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            open_connections.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    service.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield service
    finally:
        server.close()
        for task in tuple(open_connections):
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)
        await server.wait_closed()


async def _answer_one(
    service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
    service.paths.append(head[0].split()[1])
    service.headers.append(headers)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    step = service.next_step(json.loads(body or b"{}"))
    if isinstance(step, Answer):
        await asyncio.sleep(step.delay)
        writer.write(_http(step))
        await writer.drain()
        return True
    if step is Drip:
        await _drip(writer)
    if step is Cut:
        whole = _http(says("cut off"))
        writer.write(whole[: len(whole) - 60])
        await writer.drain()
    if step in (Reset, Cut):
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False
    await asyncio.Event().wait()
    return False


async def _drip(writer: asyncio.StreamWriter) -> None:
    for byte in _http(says("slow " * 10_000)):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


def _http(answer: Answer) -> bytes:
    headers: Iterable[tuple[str, str]] = (
        *answer.headers,
        ("content-length", str(len(answer.body))),
    )
    lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body
