"""How long curation takes beside the least that anything must do, and how much memory.

    python benchmarks/curation/speed.py 10000 100000 300000
    python benchmarks/curation/speed.py --collapse 300000
    python benchmarks/curation/speed.py 1000000

Each size is measured in a process of its own: the floor, then curation, from a file of pairs to
those kept and dropped, against 1,000 train and 100 test pairs of the corpus in ``corpus.py``. The
floor is what any curation does first, as a good engineer would write it, on one thread: read the
file, parse each line, take the words of instruction and response and give each word its number.
It is timed twice and the faster time counts. Kernels are compiled before, on 1,000 pairs; what
that takes where nothing is cached yet is measured once, by ``--first``. Quality rules are part of
curation and their time is taken off, as they are timed apart. Memory is the most that the process
ever held, interpreter and libraries included.

Results are added to ``speed.json``, by corpus and size, and ``speed.md`` is written from all that
are there. Each command above takes less than 10 minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).parent
RESULTS = HERE / "speed.json"
WARM = 1_000
HUNDREDS = 300_000
PARTS = (
    "floor",
    "floor, compiled",
    "read",
    "prepare",
    "sift",
    "rules",
    "decontamination",
    "ROUGE-L",
    "ROUGE-L, both",
)
Made = TypeVar("Made")


def main() -> None:
    options = _parser().parse_args()
    if options.one:
        print(json.dumps(_measured(options.sizes[0], options.collapse, options.folder)))
        return
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if options.first:
        found["first call"] = _stamped({"seconds": _first_call()})
    for size in options.sizes:
        shape = "collapse" if options.collapse else "mixed"
        found[f"{shape} {size}"] = _stamped(_in_own_process(size, options))
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    page = "\n".join(_page(found)) + "\n"
    RESULTS.with_suffix(".md").write_text(page)
    print(page)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Time curation beside its floor.")
    parser.add_argument("sizes", type=int, nargs="*", help="numbers of raw pairs")
    parser.add_argument("--collapse", action="store_true", help="the corpus of 150 templates")
    parser.add_argument("--first", action="store_true", help="time a first call, nothing cached")
    parser.add_argument("--folder", type=Path, help="where corpora are kept")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser


def _stamped(found: dict[str, Any]) -> dict[str, Any]:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"at": at, "machine": machine, "python": platform.python_version(), **found}


def _in_own_process(size: int, options: argparse.Namespace) -> dict[str, Any]:
    from corpus import corpus

    corpus(size, folder=options.folder, collapsed=options.collapse)  # outside what is measured
    command = [sys.executable, __file__, "--one", str(size)]
    command += ["--collapse"] if options.collapse else []
    command += ["--folder", str(options.folder)] if options.folder else []
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(output)
    print(f"{size:,}: {json.dumps(found['seconds'])}", file=sys.stderr)
    return found


def _first_call() -> float:
    """Seconds that 1,000 pairs take where no kernel has been compiled before."""
    from corpus import corpus

    corpus(WARM)
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, __file__, "--one", str(WARM)],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "LLAMADUO_CACHE": cache},
        )
        return round(time.perf_counter() - began, 2)


# --- one size, in a process of its own ----------------------------------------------------


class Stopwatch:
    """Seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 3)


def _measured(size: int, collapsed: bool, folder: Path | None) -> dict[str, Any]:
    from corpus import corpus

    _curated(corpus(WARM, folder=folder), Stopwatch())
    files = corpus(size, folder=folder, collapsed=collapsed)
    watch = Stopwatch()
    floors = [_seconds(lambda: floor(files.raw)) for _ in range(2)]
    compiled = _seconds(lambda: compiled_floor(files.raw))
    before = memory("VmRSS")
    outcome = _curated(files, watch)
    return {
        "size": size,
        "bytes": files.raw.stat().st_size,
        "seconds": {"floor": min(floors), "floor, compiled": compiled, **watch.seconds},
        "floors": floors,
        "bytes of memory": {"before": before, "most": outcome.pop("most memory")},
        **outcome,
    }


def floor(path: Path) -> int:
    """Read, parse, take the words and number them. How many different words there are."""
    import orjson

    from llamaduo.tasks.words import words

    numbers: dict[str, int] = {}
    with path.open("rb") as file:
        for line in file:
            pair = orjson.loads(line)
            for text in (pair["messages"][-1]["content"], pair["response"]):
                for word in words(text):
                    numbers.setdefault(word, len(numbers))
    return len(numbers)


def compiled_floor(path: Path) -> int:
    """The same with our tokenizer, which is the greatest part of it: the stricter measure."""
    import orjson

    from llamaduo.likeness.texts import Vocabulary

    vocabulary = Vocabulary()
    texts: list[str] = []
    with path.open("rb") as file:
        for line in file:
            pair = orjson.loads(line)
            texts += (pair["messages"][-1]["content"], pair["response"])
            if len(texts) > 20_000:
                vocabulary.read(texts)
                texts.clear()
    vocabulary.read(texts)
    return len(vocabulary)


def _curated(files: Any, watch: Stopwatch) -> dict[str, Any]:
    """Curate the corpus, by its parts; then each part that is timed apart, by itself."""
    from llamaduo.curation.curate import prepare, sift
    from llamaduo.curation.decontamination import contaminated
    from llamaduo.curation.norms import norms_of
    from llamaduo.curation.rules import broken_rules
    from llamaduo.curation.settings import CurationSettings
    from llamaduo.likeness.compiled import Workers
    from llamaduo.likeness.texts import joined
    from llamaduo.records import FinalSplit, Pair, TestSplit, TrainSplit
    from llamaduo.storage.jsonl import read_records
    from llamaduo.tasks.settings import TaskSettings

    settings, task = CurationSettings(), TaskSettings()
    with watch.of("read"):
        raw, train, test = (read_records(p, Pair) for p in (files.raw, files.train, files.test))
    with watch.of("prepare"):
        prepared = prepare(
            raw,
            train=TrainSplit(train),
            earlier=(),
            test=TestSplit(test),
            final=FinalSplit(()),
            settings=settings,
            task=task,
        )
    with watch.of("sift"):
        curated = sift(prepared, settings)
    most = memory("VmHWM")
    with watch.of("rules"):
        broken_rules(raw, norms_of(train, task, settings))
    with watch.of("decontamination"), Workers() as workers:
        contaminated(prepared.reading, [pair.id for pair in test], settings, workers)
    with watch.of("ROUGE-L"):
        greedy(prepared.reading.instruction.remaining, prepared.reading, settings)
    with watch.of("ROUGE-L, both"):
        fields = (prepared.reading.instruction, prepared.reading.response)
        both = joined(*(field.remaining for field in fields))
        greedy(both, prepared.reading, settings)
    steps = Counter(drop.step for drop in curated.dropped)
    return {"kept": len(curated.kept), "dropped": dict(steps), "most memory": most}


def greedy(texts: Any, reading: Any, settings: Any) -> None:
    """ROUGE-L by itself, over all texts: nothing has been dropped before."""
    from llamaduo.likeness.families import leaders

    leaders(texts, Fraction(str(settings.novelty)), len(reading.vocabulary))


def memory(field: str) -> int:
    """Bytes that this process holds (``VmRSS``), or has ever held (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return round(time.perf_counter() - began, 3)


# --- the page -----------------------------------------------------------------------------


def whole(found: dict[str, Any]) -> float:
    """Seconds from file to kept and dropped, less the quality rules."""
    seconds = found["seconds"]
    return float(seconds["read"] + seconds["prepare"] + seconds["sift"] - seconds["rules"])


def _page(found: dict[str, Any]) -> list[str]:
    sizes = {key: one for key, one in found.items() if "size" in one}
    last = max(found.values(), key=lambda one: str(one["at"]))
    return [
        "# Curation: time and memory",
        "",
        (
            f"`python benchmarks/curation/speed.py`, {last['at']}; {last['machine']}, Python"
            f" {last['python']}. 1,000 train pairs and 100 test pairs; default settings."
        ),
        "",
        "| what | found | must reach | aim | |",
        "| --- | ---: | ---: | ---: | --- |",
        *_rows(found),
        "",
        (
            "Seconds by part. The floor counts words in plain Python; beside it the same with"
            " the compiled tokenizer that curation has. *Rules* are inside *prepare*; they,"
            " decontamination and ROUGE-L were run again by themselves. ROUGE-L is over all"
            " instructions here, then over instructions and responses together, with nothing"
            " dropped before."
        ),
        "",
        f"| corpus | {' | '.join(PARTS)} | kept | memory a pair |",
        f"| --- |{' ---: |' * (len(PARTS) + 2)}",
        *(_times(key, one) for key, one in sizes.items()),
        *_first(found),
    ]


def _rows(found: dict[str, Any]) -> Iterator[str]:
    """The table of what was asked for, as far as it was measured."""
    if one := found.get(f"mixed {HUNDREDS}"):
        seconds = one["seconds"]
        yield _row("300,000 pairs", whole(one), 22, 12, "s")
        for least in ("floor", "floor, compiled"):
            yield _row(f"300,000 pairs, ÷ {least}", whole(one) / seconds[least], 7, 4, "×")
            for part in ("ROUGE-L", "ROUGE-L, both"):
                what = f"{part}, greedy, 300,000, ÷ {least}"
                yield _row(what, seconds[part] / seconds[least], 4, 2, "×")
        yield _row("memory a pair, 300,000", _kilobytes(one), 5, 3.5, "kB")
    if one := found.get(f"collapse {HUNDREDS}"):
        yield _row("template collapse, 300,000 over 150 families", whole(one), 60, 25, "s")
    small, large = found.get("mixed 10000"), found.get(f"mixed {HUNDREDS}")
    if small and large:
        power = math.log(whole(large) / whole(small)) / math.log(HUNDREDS / 10_000)
        yield _row("growth from 10,000 to 300,000, exponent", power, 1.5, 1.3, "")
    if one := found.get("mixed 1000000"):
        yield _row("1,000,000 pairs", whole(one), math.inf, 90, "s")


def _row(what: str, value: float, most: float, aim: float, unit: str) -> str:
    digits = 2 if value < 10 else 1
    bound = f"{most:g} {unit}" if most < math.inf else "finishes"
    cells = f"{value:.{digits}f} {unit} | {bound} | {aim:g} {unit}"
    return f"| {what} | {cells} | {_word(value, most, aim)} |"


def _word(value: float, most: float, aim: float) -> str:
    if value > most:
        return "NOT reached"
    return "reached, and the aim" if value <= aim else "reached"


def _kilobytes(one: dict[str, Any]) -> float:
    return float(one["bytes of memory"]["most"] / one["size"] / 1000)


def _times(key: str, one: dict[str, Any]) -> str:
    found = one["seconds"]
    seconds = " | ".join(f"{found[name]:.2f}" if name in found else "—" for name in PARTS)
    name, _, size = key.partition(" ")
    return f"| {name}, {int(size):,} | {seconds} | {one['kept']:,} | {_kilobytes(one):.2f} kB |"


def _first(found: dict[str, Any]) -> list[str]:
    if "first call" not in found:
        return []
    seconds = found["first call"]["seconds"]
    return ["", f"A first call, 1,000 pairs with nothing compiled before: {seconds:.1f} s."]


if __name__ == "__main__":
    main()
