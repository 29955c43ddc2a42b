"""A server with vLLM's paths over a real tiny model: one base, adapters loaded and unloaded while
it runs, sleep. What it answers is what the model says, greedy.

    python tests/inference/vllm_like.py --model FOLDER --name NAME --port PORT
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from llamaduo.inference.engine import TransformersEngine
from llamaduo.inference.protocol import Answer, Prompt
from llamaduo.records import Checkpoint, Message


@dataclass
class VllmLike:
    """The state of the server. ``refuses``: what it says no to, with HTTP 400. ``most_choices``:
    it gives no more of them, whatever ``n`` says, as Ollama does. ``fails``: requests that end
    without a reply. ``kind``: whose ways it has with adapters."""

    base: Checkpoint
    name: str = "base"
    refuses: frozenset[str] = frozenset()
    most_choices: int = 64
    fails: int = 0
    has_lora: bool = True
    kind: Literal["vllm", "sglang"] = "vllm"
    loaded: dict[str, str | None] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    engines: dict[str, TransformersEngine] = field(default_factory=dict)
    asleep: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.loaded[self.name] = self.base.adapter

    def reply(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and content."""
        with self.lock:
            self.asked.append((path, body))
            return self._reply(path, body)

    def _reply(self, path: str, body: Any) -> tuple[int, Any]:
        lora = "/v1" if self.kind == "vllm" else ""
        if self.has_lora and path == f"{lora}/load_lora_adapter":
            return self._load(body["lora_name"], body["lora_path"])
        if self.has_lora and path == f"{lora}/unload_lora_adapter":
            del self.loaded[body["lora_name"]]
            return 200, "Success"
        match path:
            case "/v1/models":
                return 200, {"data": [{"id": i, "owned_by": self.kind} for i in self.loaded]}
            case "/v1/chat/completions":
                return self._complete(body)
            case "/sleep?level=1" | "/wake_up" if "sleep" not in self.refuses:
                self.asleep = path != "/wake_up"
                return 200, ""
        return 404, {"detail": "Not Found"}

    def _load(self, name: str, path: str) -> tuple[int, Any]:
        """vLLM answers 404 to a folder without an adapter, as to a path that it does not have."""
        if not (Path(path) / "adapter_config.json").is_file():
            message = f"Loading lora {name} failed: No adapter found for {path}"
            return (404 if self.kind == "vllm" else 400), {"error": {"message": message}}
        self.loaded[name] = path
        return 200, "Success"

    def _complete(self, body: Any) -> tuple[int, Any]:
        if self.kind == "sglang":  # BASE:ADAPTER; any other name is one of the base model's
            adapter = body["model"].partition(":")[2]
            body = body | {"model": adapter or self.name}
        if body["model"] not in self.loaded:
            return 404, {"error": {"message": f"The model {body['model']} does not exist."}}
        if refused := self.refuses & body.keys():
            return 400, {"error": {"message": f"{', '.join(refused)} is not supported"}}
        assert not self.asleep
        answer, read = self._answer(body)
        count = min(body.get("n", 1), self.most_choices)
        choices = [
            {"index": i, "message": {"content": answer.text}, "finish_reason": answer.finish}
            for i in range(count)
        ]
        usage = {"prompt_tokens": read, "completion_tokens": count * answer.new_tokens}
        return 200, {"choices": choices[::-1], "usage": usage}

    def _answer(self, body: Any) -> tuple[Answer, int]:
        name = body["model"]
        if name not in self.engines:
            self.engines[name] = TransformersEngine(replace(self.base, adapter=self.loaded[name]))
        engine = self.engines[name]
        tokens = engine.encode([Message(m["role"], m["content"]) for m in body["messages"]])
        schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
        prompt = Prompt(tokens, ((0.5,) * body["max_tokens"],), schema=schema)
        return engine.answer([prompt], temperature=0, top_p=1)[0][0], len(tokens)


@contextmanager
def running(state: VllmLike, port: int = 0) -> Iterator[str]:
    """The server's base URL, for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(None)

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
            self._send(json.loads(raw) if raw else None)

        def _send(self, body: Any) -> None:
            if state.fails:
                state.fails -= 1
                return  # the connection ends without a reply
            status, content = state.reply(self.path, body)
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/v1"
        finally:
            http.shutdown()
            thread.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("model", "name", "port"):
        parser.add_argument(f"--{option}", required=True)
    given = parser.parse_args()
    base = Checkpoint(model=given.name, base=given.model, window=256)
    with running(VllmLike(base, given.name), int(given.port)):
        threading.Event().wait()


if __name__ == "__main__":
    main()
