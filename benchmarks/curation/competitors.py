"""What others take for the same: ROUGE-L novelty, and near-duplicates by MinHash.

    python benchmarks/curation/competitors.py [--sizes 10000 100000] [--pairs 10000]

All run here, one after the other, on the same pairs, each on sizes it manages:

- ROUGE-L at 0.7, greedy over instructions. *rouge-score as Alpaca uses it* compares each new
  instruction with every one kept, a fresh pool of processes a time; two sizes of what is kept
  are timed, and from them follows what a whole run takes. *rapidfuzz* compares all with all
  (``cdist`` of the normalized Indel similarity, which is ROUGE-L F, with a cutoff, on all cores,
  a word coded as a character); a part of the rows is timed. Ours is one call of ``leaders``, the
  exact greedy filter by itself, kernels compiled before.
- Near-duplicates at 0.7, 128 permutations, runs of three words: *datasketch*, *rensa* and ours
  (``MinHash`` inside curation, candidates verified). Recall and false drops are against the exact
  Jaccard index, on the pairs that each keeps.

What was not run but computed from smaller runs is called extrapolated. text-dedup is left out:
it reads dataset folders through a command of its own and brings datasets, polars and a dozen more
packages along; rensa stands for its kind here. Takes about six minutes. Writes
``competitors.json`` and ``competitors.md`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from corpus import corpus
from exact import Shingles, held_against

from llamaduo.records import Pair
from llamaduo.storage.jsonl import read_records
from llamaduo.tasks.words import shingles, words

HERE = Path(__file__).parent
LIMIT = Fraction(7, 10)
PERMUTATIONS = 128
ALPACA_POOLS = (500, 4_000)
CDIST_ROWS = 500
PACKAGES = ("rouge-score", "rapidfuzz", "datasketch", "rensa", "numba", "numpy")


def main() -> None:
    options = _parser().parse_args()
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "rouge": [row for size in options.sizes for row in _rouge(size)],
        "minhash": _minhash(options.pairs),
    }
    (HERE / "competitors.json").write_text(json.dumps(found, indent=2) + "\n")
    text = "\n".join(_page(found)) + "\n"
    (HERE / "competitors.md").write_text(text)
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Time what others take for the same.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 300_000])
    parser.add_argument("--pairs", type=int, default=10_000, help="for MinHash")
    return parser


def _seconds(act: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = act()
    return time.perf_counter() - began, result


# --- ROUGE-L ------------------------------------------------------------------------------


def _rouge(size: int) -> list[dict[str, Any]]:
    tokens = [words(pair.instruction) for pair in read_records(corpus(size).raw, Pair)]
    ours, kept = _ours(tokens)
    rows = [
        _row("llamaduo, exact greedy filter", size, ours, measured=True),
        _cdist(tokens),
        _alpaca(tokens, kept),
    ]
    for row in rows:
        print(row, file=sys.stderr)
    return rows


def _row(tool: str, size: int, seconds: float, *, measured: bool) -> dict[str, Any]:
    return {"tool": tool, "size": size, "seconds": round(seconds, 2), "measured": measured}


def _ours(tokens: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Seconds, and how many texts are kept. The words are numbered before, as for the others."""
    from llamaduo.likeness.families import leaders
    from llamaduo.likeness.texts import Vocabulary

    vocabulary = Vocabulary()
    texts = vocabulary.read([" ".join(row) for row in tokens])
    leaders(texts.part(0, min(1_000, len(texts))), LIMIT, len(vocabulary))  # compiled by now
    seconds, found = _seconds(lambda: leaders(texts, LIMIT, len(vocabulary)))
    return seconds, int((found == np.arange(len(texts))).sum())


def _cdist(tokens: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Half of all pairs: each text with those before it."""
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    letters: dict[str, str] = {}
    coded = [
        "".join(letters.setdefault(word, chr(0x10000 + len(letters))) for word in row)
        for row in tokens
    ]
    step = max(1, len(coded) // CDIST_ROWS)
    some = coded[::step]
    compare = partial(
        cdist,
        scorer=Indel.normalized_similarity,
        score_cutoff=float(LIMIT),
        workers=-1,
        dtype=np.float32,
    )
    seconds, _ = _seconds(lambda: compare(some, coded))
    name = "rapidfuzz cdist with a cutoff, all with all"
    return _row(name, len(coded), seconds * len(coded) / len(some) / 2, measured=False)


def _alpaca(tokens: Sequence[Sequence[str]], kept: int) -> dict[str, Any]:
    """Seconds for one instruction against p kept ones are a + b·p; a run sums them up."""
    pools = [min(pool, len(tokens) // 2) for pool in ALPACA_POOLS]
    times = [_one_instruction(tokens, pool) for pool in pools]
    slope = (times[1] - times[0]) / (pools[1] - pools[0])
    start = times[0] - slope * pools[0]
    seconds = len(tokens) * (start + slope * kept / 2)  # what is kept grows from 0 to all
    return _row("rouge-score as Alpaca uses it", len(tokens), seconds, measured=False)


def _one_instruction(tokens: Sequence[Sequence[str]], pool: int) -> float:
    """Seconds for one new instruction, mean of five."""
    from rouge_score import rouge_scorer

    new, there = tokens[-5:], tokens[:pool]

    def compare() -> None:
        for one in new:
            with Pool(os.cpu_count()) as processes:
                # Alpaca calls this very function: tokens go in, not texts.
                processes.map(partial(rouge_scorer._score_lcs, one), there)  # noqa: SLF001

    return _seconds(compare)[0] / len(new)


# --- MinHash ------------------------------------------------------------------------------


def _minhash(size: int) -> list[dict[str, Any]]:
    raw = read_records(corpus(size).raw, Pair)
    texts = [words(pair.instruction) + words(pair.response) for pair in raw]
    sets = [shingles(text) for text in texts]
    tools = (
        ("llamaduo, candidates verified", partial(_our_drops, texts)),
        ("datasketch MinHashLSH", partial(_datasketch, sets)),
        ("rensa RMinHash with RMinHashLSH", partial(_rensa, sets)),
    )
    rows = []
    for name, drop in tools:
        seconds, dropped = _seconds(drop)
        result = held_against(sets, dropped, LIMIT)
        rows.append(
            {
                "tool": name,
                "size": size,
                "seconds": round(seconds, 2),
                "true": result.true,
                "found": result.dropped,
                "false": result.false,
            }
        )
        print(rows[-1], file=sys.stderr)
    return rows


def _our_drops(texts: Sequence[Sequence[str]]) -> list[bool]:
    from llamaduo.likeness.compiled import Workers
    from llamaduo.likeness.minhash import runs_of
    from llamaduo.likeness.rouge import prepared
    from llamaduo.likeness.sieve import Candidates, Fate, sieve
    from llamaduo.likeness.texts import Vocabulary

    vocabulary = Vocabulary()
    read = vocabulary.read([" ".join(text) for text in texts])
    none = vocabulary.read([""] * len(texts))
    with Workers() as workers:
        candidates = Candidates(
            known=0,
            same=np.arange(len(read)),
            fates=np.zeros(len(read), np.int8),
            runs=runs_of(read, read, LIMIT, workers),
            rouge=prepared(none, none, LIMIT, len(vocabulary), workers),
            words=len(vocabulary),
        )
        fates = sieve(candidates, workers).fates
    return [bool(fate == Fate.NEARLY_SAME) for fate in fates]


def _datasketch(sets: Sequence[Shingles]) -> list[bool]:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=float(LIMIT), num_perm=PERMUTATIONS)
    dropped = []
    for number, shingled in enumerate(sets):
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([" ".join(run).encode() for run in shingled])
        dropped.append(bool(index.query(sketch)))
        if not dropped[-1]:
            index.insert(number, sketch)
    return dropped


def _rensa(sets: Sequence[Shingles]) -> list[bool]:
    """As rensa's guide does it: candidates from the index, then the estimated similarity."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=float(LIMIT), num_perm=PERMUTATIONS, num_bands=16)
    sketches: dict[int, Any] = {}
    dropped = []
    for number, shingled in enumerate(sets):
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=42)
        sketch.update([" ".join(run) for run in shingled])
        close = index.query(sketch)
        dropped.append(any(sketch.jaccard(sketches[other]) >= float(LIMIT) for other in close))
        if not dropped[-1]:
            sketches[number] = sketch
            index.insert(number, sketch)
    return dropped


# --- the page -----------------------------------------------------------------------------


def _page(found: dict[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    return [
        "# Curation beside other tools",
        "",
        (
            f"`python benchmarks/curation/competitors.py`, {found['at']}; {found['machine']},"
            f" Python {found['python']}; {packages}. Wall-clock time, one tool after the other."
        ),
        "",
        "## ROUGE-L ≥ 0.7, greedy over the instructions of the corpus",
        "",
        "| tool | pairs | seconds | × ours | |",
        "| --- | ---: | ---: | ---: | --- |",
        *(_rouge_row(row, found["rouge"]) for row in found["rouge"]),
        "",
        "## Near-duplicates at 0.7, 128 permutations, runs of three words",
        "",
        "| tool | pairs | seconds | near-duplicates | recall | false drops |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *map(_minhash_row, found["minhash"]),
        "",
        (
            "Near-duplicates and false drops are by the exact Jaccard index, among the pairs that"
            " each tool had kept. text-dedup was not run: it is a command over dataset folders that"
            " needs datasets and polars."
        ),
    ]


def _rouge_row(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    ours = next(r["seconds"] for r in rows if r["size"] == row["size"] and r["measured"])
    how = "measured" if row["measured"] else "extrapolated"
    times = row["seconds"] / max(ours, 0.01)
    return f"| {row['tool']} | {row['size']:,} | {_time(row['seconds'])} | {times:,.0f} | {how} |"


def _time(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 3600 else f"{seconds / 3600:,.1f} h"


def _minhash_row(row: dict[str, Any]) -> str:
    recall = row["found"] / max(1, row["true"])
    cells = f"{row['size']:,} | {row['seconds']:.1f} | {row['true']:,} | {recall:.4f}"
    return f"| {row['tool']} | {cells} | {row['false']} |"


if __name__ == "__main__":
    main()
