"""Step 4 of ψ: an instruction must be new against every pair that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from llamaduo.curation.objection import Objection
from llamaduo.curation.overlap import OverlapIndex, occurrences
from llamaduo.curation.reading import Reading, Text
from llamaduo.tasks.words import lcs_length

Likeness = tuple[Fraction, str]
"""A similarity and the id of the pair that has it."""


class Novelty:
    """Greedy, in the order of the input: a pair stays unless the instruction of one that is
    there already has ROUGE-L F of at least the limit with its own. Exact."""

    name = "novelty"

    def __init__(self, limit: Fraction) -> None:
        self._limit = limit
        self._instructions = RougeIndex(limit)

    def objection(self, reading: Reading) -> Objection | None:
        found = self._instructions.like(reading.instruction)
        if found is None:
            return None
        detail = f"ROUGE-L {float(found[0]):.2f}, limit {float(self._limit):g}"
        return Objection(f"instruction too close to another pair's ({detail})", found[1])

    def admit(self, reading: Reading) -> None:
        self._instructions.add(reading.instruction, reading.pair.id)


class RougeIndex:
    """Texts in which one with ROUGE-L F of at least ``limit`` to a given text is found.

    The longest common subsequence is computed only for texts that share enough words at all:
    it is never longer than the number of shared words.
    """

    def __init__(self, limit: Fraction) -> None:
        self._limit = limit
        self._ids: list[str] = []
        self._texts: list[Text] = []
        self._index = OverlapIndex()

    def add(self, text: Text, pair_id: str) -> None:
        self._ids.append(pair_id)
        self._texts.append(text)
        self._index.add(occurrences(text.remaining))

    def like(self, text: Text) -> Likeness | None:
        """A text at or above the limit, those that share the most words tried first."""
        size = len(text.remaining)
        part, of = self._limit.as_integer_ratio()
        for number, shared in self._index.overlaps(occurrences(text.remaining)):
            if 2 * shared * of < part * (size + self._index.size(number)):
                continue
            similarity = rouge_f(text, self._texts[number], self._limit)
            if similarity >= self._limit:
                return similarity, self._ids[number]
        return None


def rouge_f(a: Text, b: Text, limit: Fraction) -> Fraction:
    """ROUGE-L F, exactly: the smaller of both views. Below ``limit`` one view may do."""
    remaining = _f_measure(a.remaining, b.remaining)
    return remaining if remaining < limit else min(remaining, _f_measure(a.whole, b.whole))


def _f_measure(a: Sequence[str], b: Sequence[str]) -> Fraction:
    """2·LCS ÷ (n + m) as a fraction: a float is below 0.7 for some that are 0.7 exactly."""
    return Fraction(2 * lcs_length(a, b), len(a) + len(b)) if a and b else Fraction(0)
