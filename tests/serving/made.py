"""Bundles of tiny random models, and a real server of them on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from openai import OpenAI

from llamaduo.deployment.bundle import (
    Bundle,
    Generation,
    add_files,
    building,
    files_of,
    seal,
    tokenizer_files,
)
from llamaduo.finetuning.models.fingerprint import fingerprint_of
from llamaduo.records import Form, Scores, Verdict
from llamaduo.serving.choosing import EngineName, choose_bundles
from llamaduo.serving.guard import Access
from llamaduo.serving.loading import Capacity, loaded
from llamaduo.serving.served import Served
from llamaduo.serving.server import access_for, bound, server_for

WINDOW = 256
LONG_WINDOW = 1 << 16
ENDLESS: dict[str, Any] = {"max_tokens": 60_000, "temperature": 0}
"""An answer that is still being written when it is looked at, in a :data:`LONG_WINDOW`."""
PROMPT = [{"role": "user", "content": "The parcel has not arrived. What now?"}]


def bundle_of(name: str, form: Form, base: Path, window: int = WINDOW) -> Bundle:
    """A bundle without evidence; greedy and short, if a request does not say otherwise."""
    return Bundle(
        name=name,
        form=form,
        dtype="float32",
        label="target met",
        model=str(base),
        fingerprint=fingerprint_of(base),
        cycle=0,
        window=window,
        generation=Generation(temperature=0.0, top_p=1.0, max_new_tokens=12),
        verdict=Verdict(
            outcome="passed", reason="", cycle=0, best_cycle=0, reference_sources=("human",)
        ),
        scores=Scores(prompts=1, responses=1, judges={}, panel={}, free={}),
        rehearsed=True,
        service="rehearsal",
        judges=(),
    )


def merged_bundle(
    base: Path, into: Path, name: str = "tiny", *, gguf: bool = False, window: int = WINDOW
) -> Path:
    """A bundle of all of ``base``, with a GGUF file beside it if that is asked for."""
    with building(into) as folder:
        add_files(files_of(base), folder)
        if gguf:
            from llamaduo.deployment.gguf import export

            export(base, folder, ["F16"], name=name)
        seal(folder, bundle_of(name, "merged", base, window), "A card.\n", into)
    return into


def adapter_bundle(base: Path, into: Path, name: str, seed: int) -> Path:
    """A bundle of a random LoRA adapter on ``base``, far enough from it to answer otherwise."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from llamaduo.tasks.quiet import quiet

    with quiet(logging), torch.random.fork_rng(devices=[]), building(into) as folder:
        torch.manual_seed(seed)
        model: Any = AutoModelForCausalLM.from_pretrained(base)
        lora = LoraConfig(r=4, lora_alpha=64, target_modules="all-linear", init_lora_weights=False)
        get_peft_model(model, lora).save_pretrained(str(folder))
        add_files(tokenizer_files(base), folder)
        seal(folder, bundle_of(name, "adapter", base), "A card.\n", into)
    return into


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes requests. ``stop`` is what a signal does to it."""

    root: str
    served: tuple[Served, ...]
    stop: Callable[[], None]

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    def client(self, api_key: str = "none") -> OpenAI:
        """The real client, without its retries."""
        return OpenAI(base_url=self.url, api_key=api_key, max_retries=0, timeout=30)

    def post(self, body: Any, **options: Any) -> httpx2.Response:
        """A request by hand; ``body`` may be anything, or bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx2.post(f"{self.url}/chat/completions", content=content, timeout=30, **options)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx2.get(f"{self.root}/health").json()
        return found

    def wait_for(self, **expected: Any) -> None:
        """Wait until ``/health`` says so."""
        deadline = time.monotonic() + 20
        while True:
            health = self.health()
            if expected.items() <= health.items():
                return
            assert time.monotonic() < deadline, health
            time.sleep(0.01)


def text_of(completion: Any, choice: int = 0) -> str:
    content = completion.choices[choice].message.content
    assert isinstance(content, str)
    return content


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": PROMPT, "max_tokens": 8} | fields


@contextmanager
def serving(
    arguments: Sequence[str | Path],
    *,
    engine: EngineName = "transformers",
    batch: int = 8,
    max_queue: int = 64,
    access: Access | None = None,
    grace: float = 5,
    window: int = WINDOW,
) -> Iterator[Running]:
    """A server of bundles in this process, for as long as the block lasts."""
    chosen = choose_bundles([str(argument) for argument in arguments], engine, None)
    capacity = Capacity(batch=batch, max_queue=max_queue, window=window)
    with (
        bound("127.0.0.1", 0) as listener,
        loaded(chosen, capacity, Path("no-cache")) as served,
    ):
        listener.listen(128)
        guard = access or access_for("127.0.0.1", None, "TOKEN")
        server = server_for(served, guard, grace=grace)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def stop() -> None:
            server.should_exit = True

        try:
            yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", served, stop)
        finally:
            stop()
            thread.join()
