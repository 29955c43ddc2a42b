"""Greedy answers over HTTP, from a real server on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from llamaduo.errors import ServiceUnavailable, UsageError
from llamaduo.inference.served import Served, Server, greedy_served, served_models
from llamaduo.records import Message

ASKED = [Message("system", "Be brief."), Message("user", "Where is my parcel?")]


class Handler(BaseHTTPRequestHandler):
    """Answers what ``reply`` holds, and keeps what it was asked."""

    reply: ClassVar[tuple[int, Any]]
    asked: ClassVar[list[tuple[str, str | None, Any]]]

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        self.asked.append((self.path, self.headers["Authorization"], body))
        status, content = self.reply
        raw = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/v1"
        http.shutdown()
        thread.join()


def completion(text: str | None, finish: str = "stop") -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}


def test_it_asks_greedily_with_the_token_and_reads_the_answer(server: str) -> None:
    Handler.reply = (200, completion("On its way.", "length"))
    found = greedy_served(Served(server + "/", "triage", "secret"), ASKED, 20)
    assert (found.answer.text, found.answer.finish) == ("On its way.", "length")
    assert (found.answer.new_tokens, found.prompt_tokens) == (3, 12)
    path, authorization, body = Handler.asked[0]
    assert (path, authorization) == ("/v1/chat/completions", "Bearer secret")
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("triage", 0, 20)
    assert body["messages"][1] == {"role": "user", "content": "Where is my parcel?"}


def test_an_answer_without_text_is_an_empty_one(server: str) -> None:
    Handler.reply = (200, completion(None))
    assert greedy_served(Served(server, "triage"), ASKED, 20).answer.text == ""


def test_the_models_are_listed(server: str) -> None:
    Handler.reply = (200, {"data": [{"id": "triage"}, {"id": "other"}]})
    assert served_models(server) == ("triage", "other")


@pytest.mark.parametrize("content", ["<html>", {"choices": []}, {"choices": [{}]}, [], {}])
def test_what_does_not_speak_the_api_is_named(server: str, content: Any) -> None:
    Handler.reply = (200, content)
    with pytest.raises(UsageError, match="does not speak the OpenAI API"):
        greedy_served(Served(server, "triage"), ASKED, 20)


@pytest.mark.parametrize(("status", "hint"), [(500, "log"), (401, "LLAMADUO_TOKEN")])
def test_a_refusal_says_its_status_and_what_to_do(server: str, status: int, hint: str) -> None:
    Handler.reply = (status, {"error": {"message": "no"}})
    with pytest.raises(ServiceUnavailable, match=str(status)) as refused:
        served_models(server, "secret")
    assert hint in refused.value.hint
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://[bad/v1", "nonsense"])
def test_an_address_where_nothing_answers(url: str) -> None:
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        served_models(url)


def test_closing_ends_the_wait_for_a_server_that_is_away() -> None:
    """Else Ctrl-C would wait for as long as its threads are patient."""
    server = Server("http://127.0.0.1:9/v1", patience=300)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.models)
        time.sleep(0.05)
        server.close()
        with pytest.raises(ServiceUnavailable, match="does not answer"):
            waiting.result(timeout=10)
