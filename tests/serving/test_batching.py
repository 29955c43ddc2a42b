"""The engine on transformers, asked directly: what no request can bring about."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llamaduo.finetuning.models.model_folder import read_tokenizer
from llamaduo.inference.loading import load_model
from llamaduo.records import Checkpoint
from llamaduo.serving.batching import BatchingEngine, Voice
from llamaduo.serving.jobs import Delivery, Ended, Failed, Job, Load, Piece, Sampling, Unavailable
from tests.tiny_llama import build_tiny_llama

JOB = Job(
    model="a", tokens=(40, 41, 42), choices=1, limit=10, sampling=Sampling(1.0, 0.9), seed="1"
)


def engine_of(folder: Path, **options: int) -> BatchingEngine:
    model = load_model(Checkpoint(model="tiny", base=str(folder), window=256))
    voices = {"a": Voice(read_tokenizer(folder))}
    return BatchingEngine(model, voices, **{"places": 4, "most_waiting": 8} | options)


@pytest.fixture
def engine(base: Path) -> Iterator[BatchingEngine]:
    engine = engine_of(base)
    yield engine
    engine.close()


class Listener:
    """Keeps what is delivered, and waits for the end."""

    def __init__(self, choices: int = 1) -> None:
        self.heard: list[Delivery] = []
        self._left = choices
        self._over = threading.Event()

    def __call__(self, delivery: Delivery) -> None:
        self.heard.append(delivery)
        self._left -= isinstance(delivery, Ended)
        if not self._left or isinstance(delivery, Failed):
            self._over.set()

    def wait(self) -> list[Delivery]:
        assert self._over.wait(30)
        return self.heard


def answer(engine: BatchingEngine, job: Job) -> list[Delivery]:
    listener = Listener(job.choices)
    engine.submit(job, listener)
    return listener.wait()


def text(heard: list[Delivery]) -> str:
    return "".join(delivery.text for delivery in heard if isinstance(delivery, Piece))


def test_a_step_that_fails_is_told_and_the_next_job_is_answered(
    engine: BatchingEngine, caplog: pytest.LogCaptureFixture
) -> None:
    before = answer(engine, JOB)
    with caplog.at_level(logging.CRITICAL, "llamaduo.serving"):
        [failed] = answer(engine, replace(JOB, tokens=(10**6,)))  # no such token
    assert isinstance(failed, Failed)
    assert failed.status == 500
    assert answer(engine, JOB) == before
    assert engine.load == Load(0, 0)


def test_a_prompt_that_fails_leaves_the_others_alone(
    engine: BatchingEngine, caplog: pytest.LogCaptureFixture
) -> None:
    long = replace(JOB, limit=150)
    expected = answer(engine, long)
    running = Listener()
    begun = threading.Event()

    def hear(delivery: Delivery) -> None:
        running(delivery)
        begun.set()

    with caplog.at_level(logging.CRITICAL, "llamaduo.serving"):
        engine.submit(long, hear)
        assert begun.wait(30)
        assert isinstance(answer(engine, replace(JOB, tokens=(10**6,)))[0], Failed)
    assert running.wait() == expected


def test_a_thread_that_breaks_down_keeps_nobody_waiting(
    engine: BatchingEngine, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener()
    left = [ValueError("one for the step"), ValueError("one for what tells of it")]

    def against_the_rules(delivery: Delivery) -> None:
        if left:
            raise left.pop(0)
        listener(delivery)

    with caplog.at_level(logging.CRITICAL, "llamaduo.serving"):
        engine.submit(JOB, against_the_rules)
        [failed] = listener.wait()
    assert isinstance(failed, Failed)
    with pytest.raises(Unavailable, match="started again"):
        engine.submit(JOB, Listener())


def test_what_is_cancelled_before_it_began_is_never_heard_of(engine: BatchingEngine) -> None:
    long = Listener(4)
    engine.submit(replace(JOB, choices=4, limit=100), long)
    waiting = Listener()
    cancel = engine.submit(JOB, waiting)
    cancel()
    cancel()  # twice is once
    long.wait()
    assert waiting.heard == []


def test_a_stopped_engine_takes_nothing_and_ends_what_it_has(engine: BatchingEngine) -> None:
    listener = Listener()
    engine.submit(replace(JOB, limit=100_000, choices=1), listener)
    failure = Failed("The server is shutting down.", "shutting_down", 503)
    engine.stop(failure)
    assert listener.wait()[-1] == failure
    with pytest.raises(Unavailable) as caught:
        engine.submit(JOB, Listener())
    assert caught.value.retry_after is None


def sliding(folder: Path) -> Path:
    """A model whose cache is a window that slides: nothing can join it."""
    import torch
    from transformers import AutoConfig, MistralConfig, MistralForCausalLM

    base = build_tiny_llama(folder)
    llama: Any = AutoConfig.from_pretrained(base)
    keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
    same = {key: getattr(llama, key) for key in keys}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 16}
    untyped: Any = MistralConfig
    config = untyped(**same, **heads, max_position_embeddings=256, bos_token_id=None)
    config.eos_token_id = llama.eos_token_id
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        MistralForCausalLM(config).save_pretrained(base)
    return base


def test_a_sliding_window_is_batched_without_joining(tmp_path: Path) -> None:
    engine = engine_of(sliding(tmp_path / "base"))
    jobs = [
        replace(JOB, tokens=tuple(range(40, 43 + 3 * i)), seed=str(i), limit=30, choices=1 + i % 2)
        for i in range(7)
    ]
    alone = [answer(engine, job) for job in jobs]
    listeners = [Listener(job.choices) for job in jobs]
    for job, listener in zip(jobs, listeners, strict=True):
        engine.submit(job, listener)
    together = [listener.wait() for listener in listeners]
    engine.close()
    assert [text(heard) for heard in together] == [text(heard) for heard in alone]


def test_a_closed_engine_lets_its_model_go(base: Path) -> None:
    model = load_model(Checkpoint(model="tiny", base=str(base), window=256))
    there = weakref.ref(model)
    engine = BatchingEngine(model, {"a": Voice(read_tokenizer(base))}, places=1, most_waiting=1)
    del model
    assert isinstance(answer(engine, JOB)[-1], Ended)
    assert there() is not None
    engine.close()
    assert there() is None
