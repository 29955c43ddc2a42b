"""The same server over llama.cpp: the same answers, and schemas that are held to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.serving.made import PROMPT, Running, body, serving, text_of

pytest.importorskip("xllamacpp")
HOT: dict[str, Any] = {"temperature": 1.5, "top_p": 0.9, "max_tokens": 24}


@pytest.fixture(scope="module")
def gguf(bundle: Path) -> Iterator[Running]:
    with serving([bundle], engine="auto", batch=4) as running:
        assert running.health()["engine"] == "xllamacpp"
        yield running


def ask(running: Running, **options: Any) -> Any:
    asked: Any = {"model": "tiny", "messages": PROMPT} | options
    with running.client() as client:
        return client.chat.completions.create(**asked)


def test_greedy_answers_are_those_of_transformers(gguf: Running, server: Running) -> None:
    for i in range(8):
        messages = [{"role": "user", "content": f"Order {i} {'is late ' * i}<|im_end|> é"}]
        asked = body(messages=messages, max_tokens=20)
        replies = [running.post(asked).json() for running in (gguf, server)]
        assert replies[0]["choices"] == replies[1]["choices"]
        assert replies[0]["usage"] == replies[1]["usage"]


def test_seeds_choices_and_streams(gguf: Running) -> None:
    first, again, other = (ask(gguf, seed=s, n=3, **HOT) for s in (7, 7, 8))
    texts = [text_of(first, i) for i in range(3)]
    assert texts == [text_of(again, i) for i in range(3)]
    assert len({*texts, text_of(other)}) == 4
    assert first.usage.completion_tokens > 24
    streamed = ["", "", ""]
    with gguf.client() as client:
        asked: Any = body(seed=7, n=3, **HOT)
        for chunk in client.chat.completions.create(stream=True, **asked):
            for choice in chunk.choices:
                streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_many_at_once_get_what_each_gets_alone(gguf: Running) -> None:
    asked = [body(seed=i, max_tokens=4 + i, temperature=i % 3 / 2) for i in range(12)]
    alone = [gguf.post(one).json()["choices"] for one in asked]
    start = threading.Barrier(12)

    def together(one: dict[str, Any]) -> Any:
        start.wait()
        return gguf.post(one).json()["choices"]

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(together, asked)) == alone
    gguf.wait_for(running=0, queued=0)


def test_a_stop_string(gguf: Running) -> None:
    text = text_of(ask(gguf, max_tokens=24))
    stop = text[len(text) // 2 :][:3]
    completion = ask(gguf, max_tokens=24, stop=stop)
    assert text_of(completion) == text[: text.index(stop)]
    assert completion.choices[0].finish_reason == "stop"


TICKET = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "bug"]},
        "priority": {"type": "integer", "minimum": 1, "maximum": 3},
    },
    "required": ["category", "priority"],
    "additionalProperties": False,
}


def test_even_a_random_model_keeps_to_a_schema(gguf: Running) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "ticket", "schema": TICKET}}
    completion = ask(gguf, response_format=wanted, n=4, seed=1, temperature=1, max_tokens=100)
    for choice in completion.choices:
        found = json.loads(choice.message.content)
        assert found["category"] in {"billing", "bug"}
        assert 1 <= found["priority"] <= 3
        assert choice.finish_reason == "stop"


def test_what_the_grammar_does_not_know_is_found_out(gguf: Running) -> None:
    """llama.cpp ignores a schema that it cannot compile, without a word."""
    schema = {"not": {"type": "string"}}
    wanted = {"type": "json_schema", "json_schema": {"name": "other", "schema": schema}}
    text = text_of(ask(gguf))
    reply = gguf.post(body(response_format=wanted, max_tokens=12, stop=text[-1:]))
    assert reply.status_code == 422
    assert reply.json()["error"]["code"] == "response_format_not_met"
