"""A judge at an address of its own, over the OpenAI API, which marks by a rule: good or bad."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from llamaduo.records import Message
from llamaduo.tasks.data_block import read_data

SNAPSHOT = "judge-2026-11"
REFUSES = "refuses"
DEAD = "dead"
"""What a rule says instead of a reply: the provider's filter holds it back, or there is none."""
Rule = Callable[[Mapping[str, str], int], str]
"""What a judge says of the data in a question (none, where it is asked for an answer of its own),
and the so-many-th question that is, from 0."""


def marks(score: int) -> str:
    """A judgement in the form that is asked for, with one score for both metrics."""
    mark = {"reason": "", "score": score}
    return json.dumps({"similarity": mark, "precision": mark})


def sound(data: Mapping[str, str], number: int) -> str:
    """Right is 95, anything else 10."""
    return marks(95 if data["response"] == data["reference"] else 10)


@contextmanager
def judging(rule: Rule) -> Iterator[str]:
    """The address of a judge that follows ``rule`` while the block runs."""
    asked = 0

    class Judge(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal asked
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = rule(_data(body), asked)
            asked += 1
            self._send(503, {"error": {}}) if said == DEAD else self._send(200, _completion(said))

        def _send(self, status: int, content: dict[str, Any]) -> None:
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Judge) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/v1"
        finally:
            http.shutdown()
            thread.join()


def _data(body: dict[str, Any]) -> Mapping[str, str]:
    messages = [Message(one["role"], one["content"]) for one in body["messages"]]
    return read_data(messages) or {}


def _completion(said: str) -> dict[str, Any]:
    refused = said == REFUSES
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": SNAPSHOT,
        "choices": [
            {
                "index": 0,
                "finish_reason": "content_filter" if refused else "stop",
                "message": {"role": "assistant", "content": "" if refused else said},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }
