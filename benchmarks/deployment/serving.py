"""How fast does `llamaduo serve` answer several clients at once, on which engine?

    python benchmarks/deployment/serving.py --bundle quickstart/runs/tickets/bundle

Serves one bundle four ways, each in a process of its own: transformers with continuous batching,
transformers with one place (one request at a time), and llama.cpp with F16 and with Q8_0. GGUF
files that the bundle lacks are written into a copy of it. Then eight clients ask, streaming, in
rounds: every round goes through all servers, in an order that turns from round to round, and the
others are idle meanwhile. Two kinds of work: fixed tickets, whose answers have about five tokens,
so that reading prompts is most of it; and open questions to the base model's weights in the same
bundle, which ramble on to the limit, so that writing is. Tokens are those that the server says it
wrote; the latency of the first token is measured by the client, the wait in the queue included.
Figures are medians over the rounds. Writes ``serving.json`` and ``serving.md`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from openai import OpenAI

from llamaduo.cli.session import model_cache
from llamaduo.deployment.bundle import (
    CARD,
    MANIFEST,
    Bundle,
    add_files,
    building,
    files_of,
    open_bundle,
    seal,
)
from llamaduo.deployment.gguf import export
from llamaduo.deployment.settings import GgufKind
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.inference.figures import percentile
from llamaduo.rehearsal.tasks.tickets import tickets

HERE = Path(__file__).parent
WAYS: dict[str, list[str]] = {
    "transformers, continuous batching": ["--engine", "transformers"],
    "transformers, one at a time": ["--engine", "transformers", "--batch", "1"],
    "xllamacpp F16": ["--engine", "xllamacpp", "--gguf", "F16"],
    "xllamacpp Q8_0": ["--engine", "xllamacpp", "--gguf", "Q8_0"],
}


WEIGHTS = "model.safetensors"


def with_gguf(folder: Path, into: Path, weights: Path | None = None) -> Path:
    """A copy of a merged bundle, with other ``weights`` if any, that has both GGUF files."""
    bundle: Bundle = open_bundle(folder)
    if bundle.form != "merged" or WEIGHTS not in bundle.files:
        sys.exit(f"{folder} is not merged into one file: llamaduo deploy --form merged")
    with building(into) as copy:
        sources = files_of(folder)
        card = sources.pop(CARD).read_text(encoding="utf-8")
        sources.pop(MANIFEST)
        if weights:
            sources = {n: p for n, p in sources.items() if p.suffix != ".gguf"}
            sources[WEIGHTS] = weights
        add_files(sources, copy)
        kinds: tuple[GgufKind, ...] = ("F16", "Q8_0")
        missing = [kind for kind in kinds if f"model-{kind}.gguf" not in sources]
        if missing:
            export(copy, copy, missing, name=bundle.name)
        seal(copy, replace(bundle, name="model"), card, into)
    return into


def base_weights(bundle: Path) -> Path:
    """The weights that the bundle's model was fine-tuned from, if it is the embedded model."""
    base = obtain(LocalSettings(), model_cache())
    if base.fingerprint != open_bundle(bundle, check_files=False).fingerprint:
        sys.exit("The open questions want a bundle of the embedded model, as the quickstart's is.")
    return Path(base.base) / WEIGHTS


QUESTIONS = (
    "Write a story about {}.",
    "Explain to a child what is special about {}.",
    "What should a traveller know about {}?",
    "Describe {} in as much detail as you can.",
)
SUBJECTS = ("the sea", "winter", "bread", "a fox", "old maps", "clocks", "rivers", "glass")


def questions(count: int) -> list[Any]:
    asked = [question.format(subject) for subject in SUBJECTS for question in QUESTIONS]
    return [[{"role": "user", "content": asked[i % len(asked)]}] for i in range(count)]


@contextmanager
def serving(bundle: Path, options: Sequence[str], window: int) -> Iterator[str]:
    """A server in a process of its own; its address."""
    command = [sys.executable, "-m", "llamaduo", "serve", str(bundle), "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, "--window", str(window), *options], stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                sys.exit("The server did not start; what it said is above.")
            yield json.loads(ready)["address"]
        finally:
            process.terminate()


def ask(client: OpenAI, messages: Any, tokens: int) -> tuple[float, float, int]:
    """Seconds to the first token and to the last, and how many tokens there were."""
    begun = time.perf_counter()
    first = 0.0
    written = 0
    for chunk in client.chat.completions.create(
        model="model",
        messages=messages,
        max_tokens=tokens,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    ):
        if not first and chunk.choices and chunk.choices[0].delta.content:
            first = time.perf_counter() - begun
        if chunk.usage:
            written = chunk.usage.completion_tokens
    seconds = time.perf_counter() - begun
    return first or seconds, seconds, written  # an answer may have no text


def one_round(address: str, prompts: Sequence[Any], options: argparse.Namespace) -> dict[str, Any]:
    """All prompts, ``options.clients`` at once."""
    with (
        OpenAI(base_url=address, api_key="none", max_retries=0, timeout=600) as client,
        ThreadPoolExecutor(options.clients) as pool,
    ):
        begun = time.perf_counter()
        found = list(pool.map(lambda prompt: ask(client, prompt, options.tokens), prompts))
        seconds = time.perf_counter() - begun
    firsts = sorted(first for first, _, _ in found)
    return {
        "tokens": sum(written for _, _, written in found),
        "seconds": seconds,
        "tokens/s": sum(written for _, _, written in found) / seconds,
        "requests/s": len(found) / seconds,
        "first token p50": percentile(firsts, 50),
        "first token p95": percentile(firsts, 95),
    }


Rounds = dict[str, list[dict[str, Any]]]


def measure(bundle: Path, prompts: Sequence[Any], options: argparse.Namespace) -> Rounds:
    """Every round of every way, after a warm-up that does not count."""
    rounds: Rounds = {way: [] for way in WAYS}
    with ExitStack() as stack:
        addresses = {
            way: stack.enter_context(serving(bundle, extra, options.window))
            for way, extra in WAYS.items()
        }
        for address in addresses.values():
            one_round(address, prompts[:2], options)
        for number in range(options.rounds):
            ways = list(WAYS)
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                rounds[way].append(one_round(addresses[way], prompts, options))
                print(f"round {number + 1}, {way}: {rounds[way][-1]['tokens/s']:.1f} tokens/s")
    return rounds


def medians(rounds: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {key: round(median(one[key] for one in rounds), 3) for key in rounds[0]}


def machine() -> str:
    with Path("/proc/cpuinfo").open() as file:
        name = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def as_table(results: dict[str, Any]) -> str:
    load = f"{results['clients']} clients, {results['requests']} requests a round"
    lines = [
        "# Serving on a processor",
        "",
        f"{load}, {results['rounds']} rounds; {results['machine']}; {results['date']}.",
        "Medians over the rounds.",
    ]
    for work, ways in results["work"].items():
        lines += ["", f"## {work}", "", HEAD, "| --- |" + " --- |" * 5]
        lines += [row(way, found) for way, found in ways.items()]
    return "\n".join(lines) + "\n"


HEAD = "| engine | tokens/s | requests/s | first token p50, ms | p95, ms | tokens a round |"


def row(way: str, found: dict[str, float]) -> str:
    p50, p95 = (f"{found[f'first token {p}'] * 1000:.0f}" for p in ("p50", "p95"))
    rates = f"{found['tokens/s']:.1f} | {found['requests/s']:.2f}"
    return f"| {way} | {rates} | {p50} | {p95} | {found['tokens']:.0f} |"


def measure_all(options: argparse.Namespace) -> dict[str, Rounds]:
    """Both kinds of work, one after the other."""
    asked = [ticket["messages"][:-1] for ticket in tickets(options.requests, seed=4711)]
    kinds = {
        "Tickets, fine-tuned model": (None, asked),
        "Open questions, base model": (base_weights(options.bundle), questions(options.requests)),
    }
    found = {}
    for work, (weights, prompts) in kinds.items():
        with tempfile.TemporaryDirectory() as folder:
            bundle = with_gguf(options.bundle, Path(folder) / "bundle", weights)
            found[work] = measure(bundle, prompts, options)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bundle", type=Path, required=True, help="a merged bundle")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=48, help="most tokens of an answer")
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--into", type=Path, default=HERE / "serving.json")
    options = parser.parse_args()
    rounds = measure_all(options)
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "clients": options.clients,
        "requests": options.requests,
        "rounds": options.rounds,
        "most tokens": options.tokens,
        "work": {
            work: {way: medians(found) for way, found in ways.items()}
            for work, ways in rounds.items()
        },
        "each round": rounds,
    }
    options.into.write_text(json.dumps(results, indent=2) + "\n")
    options.into.with_suffix(".md").write_text(as_table(results))
    print(as_table(results))


if __name__ == "__main__":
    main()
