"""Steps 1 and 3 of ψ: exact duplicates and near-duplicates."""

from __future__ import annotations

import unicodedata
from fractions import Fraction

from llamaduo.curation.objection import Objection
from llamaduo.curation.overlap import OverlapIndex
from llamaduo.curation.reading import Reading
from llamaduo.records import Pair
from llamaduo.tasks.words import shingles

Shingles = frozenset[tuple[str, ...]]


class ExactDuplicates:
    """The same prompt again, up to white space, case and the spelling of characters.

    The same prompt with another response is dropped too: at best it adds nothing, at worst it
    contradicts what the local LLM is taught. The pair that came first stays.
    """

    name = "exact duplicates"

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Pair] = {}

    def objection(self, reading: Reading) -> Objection | None:
        other = self._known.get(_prompt(reading.pair))
        if other is None:
            return None
        if normalised(other.response) == normalised(reading.pair.response):
            return Objection("same prompt and response as another pair", other.id)
        return Objection("same prompt as another pair, other response", other.id)

    def admit(self, reading: Reading) -> None:
        self._known.setdefault(_prompt(reading.pair), reading.pair)


class NearDuplicates:
    """Instruction and response together share too many runs of three words with another pair.

    The similarity is the exact Jaccard index, which MinHash with locality-sensitive hashing
    estimates. Exact is feasible for thousands of pairs; hundreds of thousands need the hashing
    in front of it to propose candidates.
    """

    name = "near-duplicates"

    def __init__(self, limit: Fraction) -> None:
        self._limit = limit
        self._ids: list[str] = []
        self._wholes: list[Shingles] = []
        self._index = OverlapIndex()

    def objection(self, reading: Reading) -> Objection | None:
        whole, remaining = _shingles(reading)
        part, of = self._limit.as_integer_ratio()
        for number, shared in self._index.overlaps(remaining):
            union = len(remaining) + self._index.size(number) - shared
            if shared * of < part * union:
                continue
            similarity = min(Fraction(shared, union), _jaccard(whole, self._wholes[number]))
            if similarity >= self._limit:
                detail = f"Jaccard {float(similarity):.2f}, limit {float(self._limit):g}"
                return Objection(f"nearly the same as another pair ({detail})", self._ids[number])
        return None

    def admit(self, reading: Reading) -> None:
        whole, remaining = _shingles(reading)
        self._ids.append(reading.pair.id)
        self._wholes.append(whole)
        self._index.add(remaining)


def normalised(text: str) -> str:
    """``text`` in compatible characters and lower case, its white space single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _prompt(pair: Pair) -> tuple[str, ...]:
    return tuple(part for m in pair.messages for part in (m.role, normalised(m.content)))


def _shingles(reading: Reading) -> tuple[Shingles, Shingles]:
    """The runs of three words of the pair: of all it says, and of what remains of it."""
    instruction, response = reading.instruction, reading.response
    return (
        shingles(instruction.whole + response.whole),
        shingles(instruction.remaining + response.remaining),
    )


def _jaccard(a: Shingles, b: Shingles) -> Fraction:
    shared = len(a & b)
    return Fraction(shared, len(a) + len(b) - shared)
