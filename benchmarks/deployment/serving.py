"""How fast does `llamaduo serve` answer several clients at once, on which engine?

    python benchmarks/deployment/serving.py --bundle quickstart/runs/tickets/bundle

Serves one bundle four ways, each in a process of its own: transformers with continuous batching,
transformers with one place (one request at a time), and llama.cpp with F16 and with Q8_0. GGUF
files that the bundle lacks are written into a copy of it. Then eight clients ask fixed tickets,
streaming, in rounds: every round goes through all servers, in an order that turns from round to
round, and the others are idle meanwhile. Tokens are those that the server says it wrote; the
latency of the first token is measured by the client, the wait in the queue included. Figures are
medians over the rounds. Writes ``serving.json`` beside this file and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
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
from llamaduo.inference.figures import percentile
from llamaduo.rehearsal.tickets import tickets

HERE = Path(__file__).parent
WAYS: dict[str, list[str]] = {
    "transformers, continuous batching": ["--engine", "transformers"],
    "transformers, one at a time": ["--engine", "transformers", "--batch", "1"],
    "xllamacpp F16": ["--engine", "xllamacpp", "--gguf", "F16"],
    "xllamacpp Q8_0": ["--engine", "xllamacpp", "--gguf", "Q8_0"],
}


def with_gguf(folder: Path, into: Path) -> Path:
    """A copy of a merged bundle in ``folder`` that has both GGUF files."""
    bundle: Bundle = open_bundle(folder)
    if bundle.form != "merged":
        sys.exit(f"{folder} is an adapter; pack a merged bundle: llamaduo deploy --form merged")
    with building(into) as copy:
        sources = files_of(folder)
        card = sources.pop(CARD).read_text(encoding="utf-8")
        sources.pop(MANIFEST)
        add_files(sources, copy)
        missing = [k for k in ("F16", "Q8_0") if f"model-{k}.gguf" not in bundle.files]
        if missing:
            export(copy, copy, missing, name=bundle.name)
        seal(copy, replace(bundle, name="model"), card, into)
    return into


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


def measure(bundle: Path, options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Every round of every way, after a warm-up that does not count."""
    prompts = [row["messages"][:-1] for row in tickets(options.requests, seed=4711)]
    rounds: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
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
        f"{load}, {results['rounds']} rounds; {results['machine']}; {results['date']}.",
        "",
        "| engine | tokens/s | requests/s | first token p50, ms | p95, ms | tokens a round |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for way, found in results["ways"].items():
        p50, p95 = (f"{found[f'first token {p}'] * 1000:.0f}" for p in ("p50", "p95"))
        rates = f"{found['tokens/s']:.1f} | {found['requests/s']:.2f}"
        lines.append(f"| {way} | {rates} | {p50} | {p95} | {found['tokens']:.0f} |")
    return "\n".join(lines)


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
    with tempfile.TemporaryDirectory() as folder:
        bundle = with_gguf(options.bundle, Path(folder) / "bundle")
        rounds = measure(bundle, options)
        shutil.rmtree(bundle)
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "clients": options.clients,
        "requests": options.requests,
        "rounds": options.rounds,
        "most tokens": options.tokens,
        "ways": {way: medians(found) for way, found in rounds.items()},
        "each round": rounds,
    }
    options.into.write_text(json.dumps(results, indent=2) + "\n")
    print(as_table(results))


if __name__ == "__main__":
    main()
