"""A key goes through a whole run against a service that echoes it, and is nowhere afterwards."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from llamaduo.cli.app import main
from llamaduo.rehearsal.app import rehearsal_app
from llamaduo.rehearsal.record import Record
from tests.canary import CANARY
from tests.tiny_llama import build_tiny_llama

CONFIGURATION = """
coverage: {{data: pairs.jsonl, reference_source: human, train_fraction: 0.7}}
service: {{model: "openai-chat:gpt-4o", base_url: "{url}"}}
local: {{model: ./model}}
finetuning: {{epochs: 1}}
inference: {{responses_per_prompt: 1, max_new_tokens: 4}}
judging: {{judgements_per_response: 1}}
synthesis: {{pairs: 5}}
curation: {{novelty: 1.0}}
limits: {{cycles: 2}}
"""
DENIAL = b'{"error": {"message": "Incorrect API key provided: %s", "code": "invalid_api_key"}}'
OUTAGE = b'{"error": {"message": "no upstream took %s"}}'

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Echo:
    """The rehearsal service behind a proxy that says the caller's key wherever it can: in the
    headers of every reply, in its type, and in the bodies of errors."""

    def __init__(self) -> None:
        self.app = rehearsal_app(Record(None))
        self.denies = True
        self.heard: list[str] = []

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        key = dict(scope["headers"]).get(b"authorization", b"").removeprefix(b"Bearer ")
        self.heard.append(key.decode())

        async def echoing(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0] != b"content-type"]
                kind = (b"content-type", b"application/json; key=" + key)
                message["headers"] = [*kept, kind, (b"x-request-id", key), (b"authorization", key)]
            await send(message)

        if self.denies or len(self.heard) % 5 == 0:
            status, body = (401, DENIAL) if self.denies else (503, OUTAGE)
            await echoing({"type": "http.response.start", "status": status, "headers": []})
            await echoing({"type": "http.response.body", "body": body % key})
        else:
            await self.app(scope, receive, echoing)


@contextmanager
def echoing() -> Iterator[tuple[Echo, str]]:
    """The service in a thread, and its base URL."""
    echo = Echo()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(echo, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield echo, f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()


def llamaduo(*arguments: str) -> int:
    sys.argv = ["llamaduo", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def prepare(folder: Path, url: str) -> None:
    rows = [
        {"instruction": f"Spell {n}.", "response": f"It is spelt {n}{n}."} for n in "abcdefghij"
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "pairs.jsonl").write_text(lines)
    (folder / "llamaduo.yaml").write_text(CONFIGURATION.format(url=url))
    build_tiny_llama(folder / "model")


def test_nothing_that_a_run_leaves_or_says_has_the_key_in_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    caplog.set_level(logging.DEBUG)  # as OPENAI_LOG=debug has it, and of every library
    with echoing() as (echo, url):
        prepare(tmp_path, url)
        assert llamaduo("run", "--yes") == 1, "the service refuses the key"
        echo.denies = False
        assert llamaduo("run", "--yes", "--json") in (0, 3)
        for command in ("status", "spend", "show calls main"):
            llamaduo(*command.split(), "--json")

    assert set(echo.heard) == {CANARY}, "the run did use the key"
    shown = "".join(capfd.readouterr())
    assert "Incorrect API key provided: [API key]" in shown
    assert "no upstream took" in caplog.text + shown
    assert "POST" in caplog.text, "requests were logged"
    assert CANARY not in shown
    assert CANARY not in caplog.text
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "report.html" for path in left), "the run came to its end"
    assert [path for path in left if CANARY.encode() in path.read_bytes()] == []
