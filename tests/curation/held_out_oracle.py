"""Decontamination in plain Python, over words: every raw pair against every held-out one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations

from llamaduo.tasks.words import lcs_length

Words = tuple[str, ...]
UNSEEN = 2.0**-10
UNIT = 256
MARGIN = 11
LONG = 30


@dataclass(frozen=True)
class Text:
    """The words of one field, and which of them a frame covers."""

    whole: Words
    framed: tuple[bool, ...]

    @cached_property
    def outside(self) -> Words:
        return tuple(w for w, framed in zip(self.whole, self.framed, strict=True) if not framed)

    @property
    def remaining(self) -> Words:
        """Where frames cover everything, the whole as one single word."""
        return self.outside if self.outside or not self.whole else (" ".join(self.whole),)


@dataclass(frozen=True)
class Plain:
    instruction: Text
    response: Text


class Rarity:
    """How much it says, in 1/256 bit, that a text has a word: none of ``train`` need have it."""

    def __init__(self, train: Sequence[Words]) -> None:
        self.texts = len(train)
        self.mean = sum(map(len, train)) / len(train) if train else 0.0
        self.holders = Counter(run for text in train for n in (1, 2, 3) for run in runs(text, n))

    def chance(self, run: Words) -> float:
        """Of the texts with ``run[:-1]`` the share that have the whole run, smoothed."""
        shorter = self.chance(run[1:]) if len(run) > 1 else UNSEEN
        before = self.holders[run[:-1]] if len(run) > 1 else self.texts
        return (self.holders[run] + shorter) / (before + 1)

    def shared(self, held: Words, ours: Words) -> int:
        """What the words say that both texts have."""
        found = {run for n in (1, 2, 3) for run in runs(ours, n)}
        longer = max(0.0, math.log2(len(ours) / self.mean)) if self.mean else 0.0
        cheapest: dict[str, int] = {}
        for i, word in enumerate(held):
            if (word,) not in found:
                continue
            least = max(0, in_units(self.chance((word,))) - math.floor(UNIT * longer))
            for n in (2, 3):
                run = held[i - n + 1 : i + 1] if i >= n - 1 else None
                if run in found:
                    least = min(least, in_units(self.chance(run)))
            cheapest[word] = min(least, cheapest.get(word, least))
        return sum(cheapest.values())


def runs(text: Words, size: int) -> set[Words]:
    return {text[i : i + size] for i in range(len(text) - size + 1)}


def in_units(chance: float) -> int:
    return max(0, math.floor(-UNIT * math.log2(chance) + 0.5))


class Oracle:
    """``train`` are the pairs that say what is common, ``held`` those to keep apart from."""

    def __init__(
        self, train: Sequence[Plain], held: Sequence[Plain], limit: Fraction, run: int
    ) -> None:
        self.held, self.limit, self.run = held, limit, run
        self.prompts = Rarity([pair.instruction.whole for pair in train])
        self.responses = Rarity([pair.response.whole for pair in train])
        self.needed = math.ceil(UNIT * (MARGIN + math.log2(max(1, len(held)))))
        prompts = [pair.instruction.whole for pair in train]
        self.train_pairs = math.comb(len(prompts), 2)
        self.likenesses = [f(a, b) for a, b in combinations(prompts, 2) if a != b]

    def verdict(self, ours: Plain) -> tuple[str, int] | None:
        """The sign and the number of the held-out pair that it shares most with."""
        for look in (self._instruction, self._response):
            found = [
                (shared, -i, sign)
                for i, held in enumerate(self.held)
                for sign, shared in look(held, ours)
            ]
            if found:
                _, number, sign = max(found)
                return sign, -number
        return None

    def _instruction(self, held: Plain, ours: Plain) -> list[tuple[str, int]]:
        sign = self._sign(held.instruction, ours.instruction)
        if sign is None:
            return []
        shared = self.prompts.shared(held.instruction.whole, ours.instruction.whole)
        word_for_word = stands_in(held.instruction, ours.instruction)
        likeness = f(held.instruction.whole, ours.instruction.whole) if sign == "like" else 0
        enough = shared >= self.needed - self._vouched(likeness)
        return [(sign, shared)] if word_for_word or enough else []

    def _vouched(self, likeness: Fraction | int) -> int:
        """What the likeness of two whole prompts says by itself, down to the hundredth: nothing
        below half-way from the limit to 1, and the less, the more train prompts are so alike."""
        hundredth = Fraction(math.floor(100 * likeness), 100)
        so_alike = max(1, sum(other >= hundredth for other in self.likenesses))
        if hundredth < (1 + self.limit) / 2 or self.train_pairs <= so_alike * len(self.held):
            return 0
        bits = math.log2(self.train_pairs / (so_alike * len(self.held)))
        return math.floor(UNIT * min(MARGIN / 2, bits))

    def _sign(self, held: Text, ours: Text) -> str | None:
        """What makes the instruction like the held-out one."""
        h, x = held.whole, ours.whole
        if not h or not x:
            return None
        own, common = lcs_length(held.outside, x), lcs_length(h, x)
        there = bool(held.outside) and own >= self.limit * len(held.outside)
        if f(h, x) >= self.limit and (there or f(held.remaining, ours.remaining) >= self.limit):
            return "like"
        if held.outside and 2 * own >= len(held.outside) and self._vouched(f(h, x)):
            return "like"
        enough = own >= self.run and common >= self.limit * len(h)
        if (there and enough) or stands_in(held, ours):
            return "contains"
        copied = self._copied(held, x)
        if copied and (2 * copied >= len(h) or copied >= 3 * self.run):
            return "copies"
        return None

    def _copied(self, held: Text, ours: Words) -> int:
        """Words of ``held`` in runs that no frame interrupts and that ``ours`` has too."""
        found, places = runs(ours, self.run), set[int]()
        for i in range(len(held.whole) - self.run + 1):
            window = range(i, i + self.run)
            if held.whole[i : i + self.run] in found and not any(held.framed[j] for j in window):
                places.update(window)
        return len(places)

    def _response(self, held: Plain, ours: Plain) -> list[tuple[str, int]]:
        h, x = held.response, ours.response
        if min(len(h.outside), len(x.outside)) < LONG:
            return []
        prompts = both_views(held.instruction, ours.instruction)
        if both_views(h, x) < self.limit or prompts < self.limit / 2:
            return []
        shared = self.responses.shared(h.whole, x.whole)
        return [("response", shared)] if shared >= self.needed else []


def f(a: Words, b: Words) -> Fraction:
    return Fraction(2 * lcs_length(a, b), len(a) + len(b)) if a and b else Fraction(0)


def both_views(a: Text, b: Text) -> Fraction:
    return min(f(a.whole, b.whole), f(a.remaining, b.remaining))


def stands_in(held: Text, ours: Text) -> bool:
    """Word for word; what is all frame stands only in its equal."""
    if not held.outside:
        return bool(held.whole) and held.whole == ours.whole
    return f" {' '.join(held.whole)} " in f" {' '.join(ours.whole)} "
