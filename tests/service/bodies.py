"""HTTP bodies as broken servers, proxies and future API versions send them, in each dialect."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SNAPSHOT = "snapshot-1"
TEXT = "four"
READ, WRITTEN = 100, 20

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Dialect:
    """A good reply of one API, and where in it things are."""

    model: str
    root: str
    good: dict[str, Any]
    text: Path
    finish: Path
    entries: Path
    usage: Path
    read: str
    written: str
    name: Path

    @property
    def body(self) -> bytes:
        return json.dumps(self.good).encode()


DIALECTS = {
    "openai-chat": Dialect(
        model="openai-chat:m",
        root="/v1",
        good={
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": SNAPSHOT,
            "choices": [
                {"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": TEXT}}
            ],
            "usage": {
                "prompt_tokens": READ, "completion_tokens": WRITTEN, "total_tokens": READ + WRITTEN
            },
        },
        text=("choices", 0, "message", "content"),
        finish=("choices", 0, "finish_reason"),
        entries=("choices",),
        usage=("usage",),
        read="prompt_tokens",
        written="completion_tokens",
        name=("model",),
    ),
    "openai": Dialect(
        model="openai:m",
        root="/v1",
        good={
            "id": "resp_1", "object": "response", "created_at": 1, "model": SNAPSHOT,
            "status": "completed", "parallel_tool_calls": False, "tool_choice": "none",
            "tools": [],
            "output": [
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                 "content": [{"type": "output_text", "text": TEXT, "annotations": []}]}
            ],
            "usage": {
                "input_tokens": READ, "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": WRITTEN, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": READ + WRITTEN,
            },
        },
        text=("output", 0, "content", 0, "text"),
        finish=("status",),
        entries=("output",),
        usage=("usage",),
        read="input_tokens",
        written="output_tokens",
        name=("model",),
    ),
    "anthropic": Dialect(
        model="anthropic:claude-test",
        root="",
        good={
            "id": "msg_1", "type": "message", "role": "assistant", "model": SNAPSHOT,
            "content": [{"type": "text", "text": TEXT}],
            "stop_reason": "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": READ, "output_tokens": WRITTEN},
        },
        text=("content", 0, "text"),
        finish=("stop_reason",),
        entries=("content",),
        usage=("usage",),
        read="input_tokens",
        written="output_tokens",
        name=("model",),
    ),
    "google": Dialect(
        model="google:gemini-test",
        root="",
        good={
            "candidates": [
                {"content": {"parts": [{"text": TEXT}], "role": "model"}, "finishReason": "STOP"}
            ],
            "usageMetadata": {
                "promptTokenCount": READ, "candidatesTokenCount": WRITTEN,
                "totalTokenCount": READ + WRITTEN,
            },
            "modelVersion": SNAPSHOT,
        },
        text=("candidates", 0, "content", "parts", 0, "text"),
        finish=("candidates", 0, "finishReason"),
        entries=("candidates",),
        usage=("usageMetadata",),
        read="promptTokenCount",
        written="candidatesTokenCount",
        name=("modelVersion",),
    ),
}  # fmt: skip

ABSENT = object()


def changed(good: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """``good`` with another value at ``path``, or with none."""
    copied: Any = copy.deepcopy(good)
    place = copied
    for step in path[:-1]:
        place = place[step]
    if value is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    changed: dict[str, Any] = copied
    return changed


def bodies(dialect: Dialect) -> dict[str, bytes]:
    """By name, everything that is not a good reply."""
    shaped = {name: json.dumps(value).encode() for name, value in _misshaped(dialect)}
    return dict(_no_json(dialect)) | shaped


def _no_json(dialect: Dialect) -> Iterator[tuple[str, bytes]]:
    good = dialect.body
    yield "empty", b""
    yield "blank", b" \r\n\t "
    yield "a null byte", b"\x00"
    yield "null", b"null"
    yield "true", b"true"
    yield "a number", b"42"
    yield "a string", json.dumps(TEXT).encode()
    yield "the reply as a string", json.dumps(good.decode()).encode()
    yield "an empty list", b"[]"
    yield "a list of the reply", b"[" + good + b"]"
    yield "an empty object", b"{}"
    yield "plain text", b"four"
    yield "HTML", b"<!doctype html><html><body>Sign in</body></html>"
    yield "XML", b'<?xml version="1.0"?><error><code>InternalError</code></error>'
    yield "an event stream", b"data: " + good + b"\n\ndata: [DONE]\n\n"
    yield "an error with 200", b'{"error": {"message": "overloaded", "type": "server_error"}}'
    yield "an error in words with 200", b'{"detail": "Internal server error"}'
    yield "twice", good + good
    yield "prose before", b"OK: " + good
    yield "prose after", good + b" done"
    yield "Python's notation", good.replace(b'"', b"'")
    yield "a trailing comma", good[:-1] + b",}"
    yield "a comment", good + b"// done"
    yield "a byte that is not UTF-8", good.replace(b"four", b"fo\xffur")
    yield "half a character of UTF-8", good.replace(b"four", b"fo\xc3")
    yield "a raw line break", good.replace(b"four", b"fo\nur")
    yield "a raw null byte", good.replace(b"four", b"fo\x00ur")
    yield "nested far too deep", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "open brackets", b"[" * 100_000
    for tenth in range(1, 10):
        yield f"cut at {tenth} tenths", good[: len(good) * tenth // 10]
    yield "cut before its last byte", good[:-1]


def _misshaped(dialect: Dialect) -> Iterator[tuple[str, dict[str, Any]]]:
    good = dialect.good
    for name, value in {
        "absent": ABSENT, "null": None, "a string": "x", "a number": 5, "an object": {},
        "[]": [], "[null]": [None], "a list of a string": ["x"], "a list of nothing": [{}],
        "nested": [[{}]],
    }.items():  # fmt: skip
        yield f"entries: {name}", changed(good, dialect.entries, value)
    for name, value in {
        "absent": ABSENT, "null": None, "a number": 5, "true": True, "a list": ["four"],
        "an object": {"text": "four"}, "a list of parts": [{"type": "text", "text": "four"}],
    }.items():  # fmt: skip
        yield f"text: {name}", changed(good, dialect.text, value)
    for name, value in {
        "absent": ABSENT, "null": None, "unknown": "banana", "a number": 5, "a list": ["stop"],
    }.items():  # fmt: skip
        yield f"finish: {name}", changed(good, dialect.finish, value)
    for name, value in {
        "absent": ABSENT, "null": None, "a string": "x", "a list": [], "an object": {},
    }.items():  # fmt: skip
        yield f"usage: {name}", changed(good, dialect.usage, value)
    for name, value in {
        "negative": -5, "a string": "100", "words": "many", "a fraction": 1.5, "true": True,
        "null": None, "absent": ABSENT, "a list": [100], "huge": 10**30, "NaN": float("nan"),
        "infinite": float("inf"),
    }.items():  # fmt: skip
        yield f"tokens read: {name}", changed(good, (*dialect.usage, dialect.read), value)
        yield f"tokens written: {name}", changed(good, (*dialect.usage, dialect.written), value)
    for name, value in {
        "absent": ABSENT, "null": None, "a number": 5, "empty": "", "a list": ["m"],
    }.items():  # fmt: skip
        yield f"model: {name}", changed(good, dialect.name, value)
