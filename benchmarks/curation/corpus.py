"""A corpus with known faults: pairs as synthesis makes them, and what was planted among them.

    python benchmarks/curation/corpus.py 300000 [--collapse] [--seed 0] [--folder FOLDER]

Makes four files of pairs as llamaduo stores them, one JSON object a line: ``raw`` (as many as
asked for), ``train`` (1,000), ``test`` (100) and beside them ``truth``, which names each raw pair
that was planted, how, and the pair it was made of. 1,000,000 pairs take about a minute. The same
seed gives the same bytes; what is there already is not made again.

A raw pair has about 66 words, from a vocabulary of about 70,000 with natural frequencies; one in
ten is in Cyrillic, Arabic, Japanese, Thai or German, one in seven asks for a label inside one of
two frames, as train pairs do too. ``SHARES`` says what is planted. Of the 100 test pairs there
are 75 copies of each of four kinds (a hundredth of ``raw`` each where that is less).

With ``--collapse``, synthesis has collapsed: all instructions come from 150 templates of 18 to 36
words, whose slots vary so much that in many families a good share is new.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from tongues import TOPICS, Tongue, tongues

from llamaduo.records import Message, pair_id

TRAIN, TEST = 1_000, 100
CHUNK = 10_000
REMEMBERED = 50_000
"""Pairs of which copies may be made; the first, and from then on each takes another's place."""
SHARES = {"duplicate": 0.03, "nearly": 0.02, "paraphrase": 0.08, "framed": 0.14}
EDITS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""How much of an instruction a paraphrase changes."""
COPIES = {"verbatim": 0.0, "10 % edited": 0.1, "20 % edited": 0.2, "embedded": 0.0}
COPIES_OF_A_KIND = 75
FAMILIES = 150
FOREIGN = 0.1

OPENINGS = tuple(
    opening.split()
    for opening in (
        "Write a short story about",
        "What is the difference between",
        "Explain how",
        "Give me a list of",
        "Summarize the following text:",
        "How do I",
        "Why does",
        "Write a poem about",
        "Can you tell me",
        "Describe",
        "Create a plan for",
        "Rewrite this so that it is easier to read:",
        "What are the best ways to",
        "Translate the following sentence:",
        "Name three things that",
        "I need help with",
        "Compare",
        "Write an email to",
        "Tell me about",
        "Is it true that",
    )
)
FRAMES = (
    (
        "Classify the message of this customer as praise, complaint, question or order. Message:",
        "Answer with one word only.",
    ),
    ("Which team should handle the following request? Request:", "Give the name of the team."),
)
LABELS = (("praise", "complaint", "question", "order"), ("billing", "delivery", "account", "sales"))


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where the files of one corpus are."""

    raw: Path
    train: Path
    test: Path
    truth: Path


@dataclass(frozen=True, slots=True)
class Row:
    """A pair in the making: its words as they are written."""

    tongue: Tongue
    instruction: list[str]
    response: list[str]
    kind: str = "plain"
    of: str | None = None

    def texts(self) -> tuple[str, str]:
        return self.tongue.glue.join(self.instruction), self.tongue.glue.join(self.response)

    def record(self) -> dict[str, Any]:
        instruction, response = self.texts()
        return {
            "id": pair_id((Message("user", instruction),), response),
            "messages": [{"role": "user", "content": instruction}],
            "response": response,
            "reference_source": "service",
            "provenance": {
                "origin": "synthetic",
                "source": "corpus",
                "cycle": 0,
                "seeds": [],
                "call": None,
            },
            "json_schema": None,
            "metadata": {},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a corpus with known faults.")
    parser.add_argument("size", type=int)
    parser.add_argument("--collapse", action="store_true", help="150 template families")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    began = time.perf_counter()
    made = corpus(
        options.size, folder=options.folder, seed=options.seed, collapsed=options.collapse
    )
    size = made.raw.stat().st_size
    print(f"{made.raw}: {size:,} bytes, {time.perf_counter() - began:.1f} s", file=sys.stderr)


def corpus(
    size: int, *, folder: Path | None = None, seed: int = 0, collapsed: bool = False
) -> Corpus:
    """The corpus of ``size`` raw pairs; made now unless it is there."""
    here = Path(__file__)
    sources = here.read_bytes() + here.with_name("tongues.py").read_bytes()
    version = hashlib.sha256(sources).hexdigest()[:8]
    shape = "collapse" if collapsed else "mixed"
    place = folder or Path(tempfile.gettempdir()) / "llamaduo-corpora"
    target = place / f"{shape}-{size}-{seed}-{version}"
    files = Corpus(*(target / f"{name}.jsonl" for name in ("raw", "train", "test", "truth")))
    if not target.exists():
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as making:
            _make(Path(making), size, seed, collapsed)
            Path(making).rename(target)
            Path(making).mkdir()  # for the clean-up
    return files


def _make(folder: Path, size: int, seed: int, collapsed: bool) -> None:
    rows = Rows(seed)
    _write(folder / "train.jsonl", rows.fresh(TRAIN))
    test = rows.fresh(TEST)
    _write(folder / "test.jsonl", test)
    raw = rows.from_templates(size) if collapsed else rows.with_plants(size, test)
    _write_raw(folder, raw)


def _write(path: Path, rows: list[Row]) -> None:
    path.write_bytes(b"".join(orjson.dumps(row.record()) + b"\n" for row in rows))


def _write_raw(folder: Path, rows: Iterator[Row]) -> None:
    with (folder / "raw.jsonl").open("wb") as raw, (folder / "truth.jsonl").open("wb") as truth:
        for number, row in enumerate(rows):
            record = row.record()
            raw.write(orjson.dumps(record) + b"\n")
            if row.kind != "plain":
                known = {"row": number, "id": record["id"], "kind": row.kind, "of": row.of}
                truth.write(orjson.dumps(known) + b"\n")


class Rows:
    """Draws pairs, all from one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._chance = random.Random(seed)
        self._tongues = tongues()

    def fresh(self, count: int) -> list[Row]:
        """Pairs that are copies of none."""
        others = len(self._tongues) - 1
        shares = [1 - FOREIGN, *[FOREIGN / others] * others]
        which = self._rng.choice(len(self._tongues), count, p=shares)
        drawn = [
            iter(self._in_tongue(tongue, int((which == number).sum())))
            for number, tongue in enumerate(self._tongues)
        ]
        return [next(drawn[number]) for number in which.tolist()]

    def with_plants(self, size: int, test: list[Row]) -> Iterator[Row]:
        """Fresh pairs, and among them copies of earlier ones and of ``test``."""
        copies = self._copies(size, test)
        remembered: list[Row] = []
        for first in range(0, size, CHUNK):
            fresh = iter(self.fresh(min(CHUNK, size - first)))
            for number in range(first, min(first + CHUNK, size)):
                row = next(fresh)
                if number in copies:
                    yield copies[number]
                    continue
                planted = self._planted(remembered)
                if planted is None:
                    self._remember(remembered, row)
                yield planted or row

    def from_templates(self, size: int) -> Iterator[Row]:
        """Pairs of :data:`FAMILIES` families, in no order."""
        english = self._tongues[0]
        templates = [self._template(english) for _ in range(FAMILIES)]
        for first in range(0, size, CHUNK):
            count = min(CHUNK, size - first)
            families = self._rng.integers(0, FAMILIES, count).tolist()
            slots = [self._slots(templates[family][1]) for family in families]
            topics = self._rng.integers(0, TOPICS, count)
            fill = english.texts(np.array([sum(sizes) for sizes in slots]), topics, self._rng)
            answers = english.texts(self._sizes(24, 0.5, count), topics, self._rng)
            for family, sizes, words, answer in zip(families, slots, fill, answers, strict=True):
                text = _filled(templates[family][0], sizes, words)
                yield Row(english, text, answer, "family", str(family))

    # --- fresh pairs ------------------------------------------------------------------------

    def _in_tongue(self, tongue: Tongue, count: int) -> list[Row]:
        if not count:
            return []
        shorter = 1.0 if tongue.glue else 0.5  # a word of these has two characters or more
        topics = self._rng.integers(0, TOPICS, count)
        asks = tongue.texts(self._sizes(17 * shorter, 0.6, count), topics, self._rng)
        answers = tongue.texts(self._sizes(38 * shorter, 0.7, count), topics, self._rng)
        return [
            self._shaped(Row(tongue, ask, answer))
            for ask, answer in zip(asks, answers, strict=True)
        ]

    def _sizes(self, middle: float, spread: float, count: int) -> NDArray[np.int64]:
        sizes = np.exp(self._rng.normal(np.log(middle), spread, count))
        return np.clip(sizes.astype(np.int64), 4, 400)

    def _shaped(self, row: Row) -> Row:
        """Some English pairs ask for a label in a frame, some begin as instructions do."""
        if row.tongue is not self._tongues[0]:
            return row
        draw = self._chance.random()
        if draw < SHARES["framed"] / (1 - FOREIGN):
            kind = self._chance.randrange(len(FRAMES))
            before, after = FRAMES[kind]
            text = [*before.split(), *row.instruction, *after.split()]
            return Row(row.tongue, text, [self._chance.choice(LABELS[kind])], "framed")
        if draw < 0.6:
            place = int(len(OPENINGS) * self._chance.random() ** 2)
            return Row(row.tongue, [*OPENINGS[place], *row.instruction], row.response)
        return row

    # --- copies -----------------------------------------------------------------------------

    def _remember(self, remembered: list[Row], row: Row) -> None:
        if len(remembered) < REMEMBERED:
            remembered.append(row)
        else:
            remembered[self._chance.randrange(REMEMBERED)] = row

    def _planted(self, remembered: list[Row]) -> Row | None:
        """A copy of one of ``remembered``, as often as :data:`SHARES` says."""
        draw = self._chance.random()
        for kind in ("duplicate", "nearly", "paraphrase"):
            draw -= SHARES[kind]
            if draw < 0:
                break
        if draw >= 0 or not remembered:
            return None
        source = self._chance.choice(remembered)
        of = str(source.record()["id"])
        instruction, response = source.instruction, source.response
        if kind == "duplicate":
            if self._chance.random() < 0.5:
                instruction = [word.upper() for word in instruction]
        elif kind == "nearly":
            instruction = self._edited(instruction, 0.02, source.tongue)
            response = self._edited(response, 0.04, source.tongue)
        else:
            share = self._chance.choice(EDITS)
            kind = f"paraphrase, {share:.0%} edited"
            instruction = self._edited(instruction, share, source.tongue)
            response = self._edited(response, 0.9, source.tongue)
        return Row(source.tongue, instruction, response, kind, of)

    def _copies(self, size: int, test: list[Row]) -> dict[int, Row]:
        """Copies of test pairs, by the place they shall have. The response is never the same."""
        count = min(COPIES_OF_A_KIND, size // 100)
        places = self._chance.sample(range(size), count * len(COPIES))
        found = {}
        for kind, share in COPIES.items():
            for row in self._chance.sample(test, count):
                text = self._edited(row.instruction, share, row.tongue, least=0)
                answer, around = self._like(row), self._like(row)
                if kind == "embedded":
                    half = len(around.instruction) // 2
                    text = [*around.instruction[:half], *text, *around.instruction[half:]]
                found[places.pop()] = Row(
                    row.tongue, text, answer.response, kind, str(row.record()["id"])
                )
        return found

    def _like(self, row: Row) -> Row:
        """A fresh pair in the same language, without a frame if possible."""
        sizes = np.array([max(12, 2 * len(row.instruction))])
        topics = self._rng.integers(0, TOPICS, 1)
        ask, answer = (row.tongue.texts(sizes, topics, self._rng)[0] for _ in range(2))
        return Row(row.tongue, ask, row.response if row.kind == "framed" else answer)

    def _edited(self, words: list[str], share: float, tongue: Tongue, least: int = 1) -> list[str]:
        """A share of ``words`` replaced, taken out or followed by another; ``least`` anyhow."""
        written = list(words)
        places = self._chance.sample(range(len(words)), max(least, round(share * len(words))))
        for place in sorted(places, reverse=True):
            other = tongue.word(self._chance.random())
            act = self._chance.randrange(3) if len(written) > 1 else 0
            written[place : place + 1] = ([other], [], [written[place], other])[act]
        return written

    # --- templates --------------------------------------------------------------------------

    def _template(self, tongue: Tongue) -> tuple[list[list[str]], float]:
        """The stretches of a template, and how many words stand in a slot on average."""
        count = self._chance.randint(18, 36)
        words = tongue.texts(np.array([count]), self._rng.integers(0, TOPICS, 1), self._rng)[0]
        slots = self._chance.randint(3, 5)
        cuts = [0, *sorted(self._chance.sample(range(2, count - 1), slots - 1)), count]
        stretches = [words[a:b] for a, b in pairwise(cuts)]
        return stretches, self._chance.uniform(0.25, 0.75) * count / slots

    def _slots(self, mean: float) -> list[int]:
        """How many words stand in each of five slots this time."""
        return [max(1, round(mean * self._chance.uniform(0.6, 1.4))) for _ in range(5)]


def _filled(stretches: list[list[str]], sizes: list[int], words: list[str]) -> list[str]:
    text: list[str] = []
    first = 0
    for stretch, size in zip(stretches, sizes, strict=False):
        text += stretch
        text += words[first : first + size]
        first += size
    return text


if __name__ == "__main__":
    main()
