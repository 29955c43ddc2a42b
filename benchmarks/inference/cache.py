"""What is K answers' worth of one reading of their prompt?

    python benchmarks/inference/cache.py

The embedded model answers prompts of 385 and 1,000 tokens K = 4 times with 24, 96 and 256 new
tokens, three ways, side by side in one process: ours, where a prompt is read once and its cache is
shared by its answers; ``generate`` of transformers with ``num_return_sequences=4``; and
``generate`` called four times. All three get the same batch of prompts, as many as fill the cores,
and write to the limit. Everything is greedy (``num_return_sequences`` samples from the likeliest
token, as it refuses to be greedy), so that all texts can be compared. Rounds go through the ways in
turning order; figures are medians over rounds, of which what is not asked for gets one: it takes
minutes. Writes ``cache.json`` and ``cache.md`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import eq
from pathlib import Path
from statistics import median
from typing import Any

import torch

from llamaduo.cli.session import model_cache
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.inference.engine import TransformersEngine
from llamaduo.inference.protocol import Prompt

HERE = Path(__file__).parent
K = 4
LENGTHS, NEW = (385, 1000), (24, 96, 256)
ASKED = {(385, 24): 1.8, (1000, 24): 2.2}
"""How many times faster than ``num_return_sequences`` it is to be."""
OURS, RETURNED, REPEATED = "shared cache", "num_return_sequences", "repeated calls"
Way = Callable[[list[list[int]], int], list[list[int]]]


class Ways:
    """The three ways to K answers, on one model. Nothing ends before the limit."""

    def __init__(self) -> None:
        engine = TransformersEngine(obtain(LocalSettings(), model_cache()))
        engine.load(max(LENGTHS) + max(NEW))
        engine.__dict__["_ends"] = torch.tensor([], dtype=torch.long)
        self._engine = engine
        self._model: Any = engine._model  # noqa: SLF001 - the same weights for all
        self.tokenizer: Any = engine._tokenizer  # noqa: SLF001

    def ours(self, prompts: list[list[int]], new: int) -> list[list[int]]:
        asked = [Prompt(tuple(tokens), ((0.5,) * new,) * K) for tokens in prompts]
        with torch.inference_mode():
            rows = self._engine._generate(asked, 0.0, 1.0)  # noqa: SLF001 - its tokens, not text
        return [tokens for tokens, _ in rows]

    def returned(self, prompts: list[list[int]], new: int) -> list[list[int]]:
        return self._generate(prompts, new, do_sample=True, top_k=1, num_return_sequences=K)

    def repeated(self, prompts: list[list[int]], new: int) -> list[list[int]]:
        calls = [self._generate(prompts, new, do_sample=False) for _ in range(K)]
        return [call[i] for i in range(len(prompts)) for call in calls]

    def _generate(self, prompts: list[list[int]], new: int, **options: Any) -> list[list[int]]:
        tokens = torch.tensor(prompts)
        with torch.inference_mode():
            found = self._model.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=new,
                eos_token_id=None,
                pad_token_id=0,
                **options,
            )
        rows: list[list[int]] = found[:, tokens.shape[1] :].tolist()
        return rows


def prompts_of(tokenizer: Any, length: int, count: int) -> list[list[int]]:
    """``count`` stretches of our own documentation, each of ``length`` tokens."""
    text = "\n".join(path.read_text() for path in sorted((HERE.parents[1] / "docs").glob("*.md")))
    tokens: list[int] = tokenizer(text)["input_ids"]
    if len(tokens) < length * count:
        raise SystemExit(f"The documentation has {len(tokens)} tokens, fewer than are needed.")
    return [tokens[i * length : (i + 1) * length] for i in range(count)]


def measure(
    ways: dict[str, Way], prompts: list[list[int]], new: int, rounds: int
) -> dict[str, Any]:
    """Seconds by way, and whether all wrote the same."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    texts: dict[str, list[list[int]]] = {}
    names = list(ways)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            begun = time.perf_counter()
            texts[name] = ways[name](prompts, new)
            seconds[name].append(time.perf_counter() - begun)
    tokens = len(prompts) * K * new
    return {
        "prompt_tokens": len(prompts[0]),
        "new_tokens": new,
        "batch": len(prompts),
        "rounds": rounds,
        "seconds": {name: round(median(found), 3) for name, found in seconds.items()},
        "tokens_per_second": {
            name: round(tokens / median(found), 1) for name, found in seconds.items()
        },
        "times_faster": {
            name: round(median(found) / median(seconds[OURS]), 2)
            for name, found in seconds.items()
            if name != OURS
        },
        "same_answers": {
            name: round(sum(map(eq, found, texts[OURS])) / len(found), 4)
            for name, found in texts.items()
            if name != OURS
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8, help="Prompts at once.")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--new", type=int, nargs="+", default=list(NEW))
    parser.add_argument("--into", type=Path, default=HERE)
    given = parser.parse_args()
    found = Ways()
    ways: dict[str, Way] = {
        OURS: found.ours,
        RETURNED: found.returned,
        REPEATED: found.repeated,
    }
    rows = []
    measure(ways, prompts_of(found.tokenizer, 64, 2), 4, 1)  # what is done once, is done
    for length in given.lengths:
        prompts = prompts_of(found.tokenizer, length, given.batch)
        for new in given.new:
            rounds = given.rounds if (length, new) in ASKED else 1
            rows.append(measure(ways, prompts, new, rounds))
            print(json.dumps(rows[-1]), flush=True)
    result = {"machine": machine(), "k": K, "rows": rows}
    (given.into / "cache.json").write_text(json.dumps(result, indent=2) + "\n")
    (given.into / "cache.md").write_text(in_words(result))


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(": ")[2] for line in info.splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def in_words(result: dict[str, Any]) -> str:
    at = result["machine"]
    lines = [
        "# K answers to a prompt that is read once",
        "",
        (
            f"SmolLM2-135M-Instruct, 32-bit, K = {result['k']}, greedy; {at['processor']},"
            f" {at['threads']} threads, torch {at['torch']}, Python {at['python']}; {at['date']}."
            " Medians over rounds, all ways side by side."
        ),
        "",
        (
            "| prompt | new | batch | rounds | shared cache, tokens/s | `num_return_sequences` |"
            " repeated calls | × the former | × the latter | asked | same answers |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *map(_line, result["rows"]),
        "",
        (
            "Same answers: the share that another way gives token for token, of the two the one"
            " that gives fewer. The three add up products in different orders, so now and then two"
            " tokens of nearly one likelihood change places."
        ),
        "",
    ]
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    speed, times = row["tokens_per_second"], row["times_faster"]
    asked = ASKED.get((row["prompt_tokens"], row["new_tokens"]))
    cells: Sequence[Any] = (
        f"{row['prompt_tokens']:,}",
        row["new_tokens"],
        row["batch"],
        row["rounds"],
        speed[OURS],
        speed[RETURNED],
        speed[REPEATED],
        f"**{times[RETURNED]}**",
        times[REPEATED],
        f"≥ {asked}" if asked else "—",
        f"{min(row['same_answers'].values()):.0%}",
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
