"""Step 5 of ψ: nothing that resembles the test or the final split is kept.

Three signs of resemblance, any of which is enough:

- *like*: ROUGE-L F of the instructions, or of the responses where both are long;
- *embedded*: the held-out instruction stands inside a longer synthetic one, word for word or
  most of its words in order;
- *copied*: long runs of words in common, which make up half of the held-out instruction or are
  beyond chance.

They were chosen on real pairs with planted copies (verbatim, a tenth and a fifth of the words
edited, embedded in longer text), and on tickets made from few phrases, where clean pairs share
whole sentences by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from llamaduo.curation.frames import Run
from llamaduo.curation.novelty import RougeIndex
from llamaduo.curation.objection import Objection
from llamaduo.curation.overlap import OverlapIndex, occurrences
from llamaduo.curation.reading import Reading, Text
from llamaduo.curation.settings import CurationSettings
from llamaduo.tasks.words import lcs_length, shingles

LONG_RESPONSE = 30
"""Words that must remain of a response before it decides: short ones coincide, as labels do."""
BEYOND_CHANCE = 3
"""Shared runs that add up to this many times ``contamination_ngram`` words are a copy even
where they are less than half of a long instruction. One run may be a sentence in common."""


class Decontamination:
    """Compares with the held-out pairs, which it is given once."""

    name = "decontamination"

    def __init__(self, held_out: Sequence[Reading], settings: CurationSettings) -> None:
        self._limit = Fraction(str(settings.contamination))
        self._run = settings.contamination_ngram
        self._held_out = tuple(held_out)
        self._instructions = RougeIndex(self._limit)
        self._responses = RougeIndex(self._limit)
        self._words = OverlapIndex()
        self._runs = OverlapIndex()
        for held in self._held_out:
            self._hold_out(held)

    def _hold_out(self, held: Reading) -> None:
        self._instructions.add(held.instruction, held.pair.id)
        if _is_long(held.response):
            self._responses.add(held.response, held.pair.id)
        self._words.add(occurrences(held.instruction.whole))
        self._runs.add(_runs(held.instruction, self._run))

    def objection(self, reading: Reading) -> Objection | None:
        return self._like(reading) or self._embedded(reading) or self._copied(reading)

    def admit(self, reading: Reading) -> None:
        """Nothing to remember: only held-out pairs contaminate."""

    def _like(self, reading: Reading) -> Objection | None:
        field, found = "instruction", self._instructions.like(reading.instruction)
        if found is None and _is_long(reading.response):
            field, found = "response", self._responses.like(reading.response)
        if found is None:
            return None
        detail = f"ROUGE-L {float(found[0]):.2f}, limit {float(self._limit):g}"
        return Objection(f"{field} resembles a held-out one ({detail})", found[1])

    def _embedded(self, reading: Reading) -> Objection | None:
        part, of = self._limit.as_integer_ratio()
        for number, shared in self._words.overlaps(occurrences(reading.instruction.whole)):
            if shared < self._run:
                break
            if shared * of < part * self._words.size(number):
                continue
            held = self._held_out[number]
            recall = self._recall(held.instruction, reading.instruction)
            if recall >= self._limit:
                detail = f"{float(recall):.0%} of its words in order"
                return Objection(f"instruction contains a held-out one ({detail})", held.pair.id)
        return None

    def _recall(self, held: Text, ours: Text) -> Fraction:
        """How much of ``held`` stands in ``ours``: LCS ÷ words, the smaller of both views.

        A few words in order stand in any long text. So fewer in common, outside the frames,
        than a run has count as none, unless the whole of ``held`` is there word for word.
        """
        if held.outside and _stands_in(held.whole, ours.whole):
            return Fraction(1)
        common = lcs_length(held.remaining, ours.remaining)
        remaining = Fraction(common, len(held.remaining))
        if common < self._run or remaining < self._limit:
            return Fraction(0)
        return min(remaining, Fraction(lcs_length(held.whole, ours.whole), len(held.whole)))

    def _copied(self, reading: Reading) -> Objection | None:
        ours = _runs(reading.instruction, self._run)
        for number, _ in self._runs.overlaps(ours):
            held = self._held_out[number]
            copied = _covered(held.instruction, ours, self._run)
            if 2 * copied >= len(held.instruction.whole) or copied >= BEYOND_CHANCE * self._run:
                detail = f"{copied} words, in runs of {self._run} or more"
                return Objection(f"instruction copies a held-out one ({detail})", held.pair.id)
        return None


def _is_long(response: Text) -> bool:
    return len(response.remaining) >= LONG_RESPONSE


def _stands_in(part: Run, text: Run) -> bool:
    return f" {' '.join(part)} " in f" {' '.join(text)} "


def _runs(text: Text, size: int) -> frozenset[Run]:
    """The runs of ``size`` words in ``text`` that no frame interrupts."""
    long = (stretch for stretch in text.outside if len(stretch) >= size)
    return frozenset(run for stretch in long for run in shingles(stretch, size))


def _covered(text: Text, runs: frozenset[Run], size: int) -> int:
    """How many words of ``text`` stand in one of ``runs``."""
    count = 0
    for stretch in text.outside:
        starts = (i for i in range(len(stretch) - size + 1) if stretch[i : i + size] in runs)
        count += len({place for i in starts for place in range(i, i + size)})
    return count
