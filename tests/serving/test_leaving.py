"""Clients that leave, queues that are full, models that fail, servers that end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from llamaduo.serving.choosing import EngineName
from llamaduo.serving.jobs import Failed
from tests.serving.made import ENDLESS, LONG_WINDOW, Running, body, merged_bundle, serving
from tests.tiny_llama import build_tiny_llama

ENGINES: list[EngineName] = ["transformers", "xllamacpp"]


@pytest.fixture(params=ENGINES)
def single(endless: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    """One place, two that may wait, and two seconds of grace."""
    with serving(
        [endless], engine=request.param, batch=1, max_queue=2, window=LONG_WINDOW, grace=0.2
    ) as running:
        yield running


@contextmanager
def streaming(running: Running, **fields: Any) -> Iterator[Iterator[str]]:
    """The lines of an endless answer, the first of which has come."""
    asked = body(stream=True) | ENDLESS | fields
    with httpx2.stream("POST", f"{running.url}/chat/completions", json=asked, timeout=30) as reply:
        lines = reply.iter_lines()
        next(lines)
        yield lines


def in_background(
    running: Running, **fields: Any
) -> tuple[threading.Thread, list[httpx2.Response]]:
    replies: list[httpx2.Response] = []
    thread = threading.Thread(target=lambda: replies.append(running.post(body(**fields))))
    thread.start()
    return thread, replies


def test_a_client_that_leaves_in_mid_stream_frees_its_place(single: Running) -> None:
    with streaming(single):
        single.wait_for(running=1, queued=0)
    single.wait_for(running=0, queued=0)
    assert single.post(body()).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_while_it_waits_frees_its_place(single: Running, stream: bool) -> None:
    with streaming(single):
        single.wait_for(running=1)
        with pytest.raises(httpx2.ReadTimeout):  # nothing is said while it waits
            give_up(single, stream=stream, n=2)
        single.wait_for(running=1, queued=0)


def give_up(running: Running, **fields: Any) -> None:
    """Ask, and hang up after a fifth of a second without a word."""
    patience = httpx2.Timeout(30, read=0.2)
    httpx2.post(f"{running.url}/chat/completions", json=body(**fields), timeout=patience)


def test_a_client_that_leaves_before_a_whole_answer(single: Running) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        give_up(single, **ENDLESS)
    single.wait_for(running=0, queued=0)


def test_a_full_queue_says_when_to_come_back(single: Running) -> None:
    with streaming(single):
        single.wait_for(running=1)
        waiting = [in_background(single) for _ in range(2)]
        single.wait_for(running=1, queued=2)
        reply = single.post(body())
        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) >= 1
        assert reply.json()["error"]["code"] == "queue_full"
        with single.client() as client, pytest.raises(openai.InternalServerError, match="wait"):
            client.chat.completions.create(**body(stream=True))
    for thread, replies in waiting:  # the first has left: they are answered
        thread.join()
        assert replies[0].status_code == 200


def test_a_server_that_ends_tells_everybody(single: Running) -> None:
    with streaming(single) as lines:
        single.wait_for(running=1)
        thread, replies = in_background(single, max_tokens=2)
        single.wait_for(queued=1)
        single.stop()
        told = [line.removeprefix("data: ") for line in lines if line]
    thread.join()
    assert replies[0].status_code == 503  # it had waited
    assert replies[0].json()["error"]["code"] == "shutting_down"
    assert json.loads(told[-1])["error"]["code"] == "shutting_down"
    assert not any("finish_reason" in line and '"length"' in line for line in told)
    with pytest.raises(httpx2.ConnectError):
        single.health()


def test_answers_within_the_grace_are_finished(endless: Path) -> None:
    with (
        serving([endless], batch=1, window=LONG_WINDOW, grace=30) as running,
        streaming(running, max_tokens=150) as lines,
    ):
        running.stop()
        assert [line for line in lines if line][-1] == "data: [DONE]"


def test_health_says_when_an_engine_takes_no_more(bundle: Path) -> None:
    with serving([bundle]) as running:
        running.served[0].engine.stop(Failed("It broke."))
        reply = httpx2.get(f"{running.root}/health")
        assert (reply.status_code, reply.json()["status"]) == (503, "ended")
        refused = running.post(body())
        assert refused.status_code == 503
        assert refused.json()["error"]["message"] == "It broke."


# --- models that fail ---------------------------------------------------------------------


def broken_bundle(folder: Path) -> Path:
    """A model that can read its prompt, but not what it wrote: the tokens that the prompt does
    not have are not numbers to it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = build_tiny_llama(folder / "base")
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    prompt = tokenizer.apply_chat_template(body()["messages"], add_generation_prompt=True)
    known = sorted(set(prompt["input_ids"]))
    with torch.no_grad():
        model.config.tie_word_embeddings = False
        head = torch.nn.Linear(64, model.config.vocab_size, bias=False)
        head.weight.copy_(model.model.embed_tokens.weight)
        model.lm_head = head
        others = [i for i in range(model.config.vocab_size) if i not in known]
        model.model.embed_tokens.weight[others] = float("nan")
    model.save_pretrained(base)
    return merged_bundle(base, folder / "bundle")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving([broken_bundle(tmp_path_factory.mktemp("broken"))]) as running:
        yield running


HOT: dict[str, Any] = {"temperature": 2.0, "seed": 1, "max_tokens": 100}


def test_a_model_that_fails_in_mid_generation_gives_no_half_answer(broken: Running) -> None:
    reply = broken.post(body(**HOT))
    assert reply.status_code == 500
    assert "not a number" in reply.json()["error"]["message"]
    broken.wait_for(running=0, queued=0)


def test_a_model_that_fails_in_mid_stream_says_so(broken: Running) -> None:
    with broken.client() as client, pytest.raises(openai.APIError, match="not a number"):
        for _ in client.chat.completions.create(**body(stream=True, **HOT)):
            pass
    events = broken.post(body(stream=True, **HOT)).text
    assert "[DONE]" not in events
    assert '"content":' in events  # it had begun
    assert broken.post(body(max_tokens=1)).status_code == 200  # and the next one is answered
