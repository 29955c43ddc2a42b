"""Curation by brute force: every pair against every pair that is there, word by word.

Written from ADR 5 and the guide, not from the code under test; of that it uses the definition of
a word and the quality rules, which have tests of their own. Longest common subsequences are
rapidfuzz's. A text is a string here in which each character stands for a word, so that a run of
words is a substring.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from itertools import combinations

from rapidfuzz.distance import LCSseq

from llamaduo.curation.settings import CurationSettings
from llamaduo.records import Pair
from llamaduo.tasks.words import words

LONG_RESPONSE = 30
BEYOND_CHANCE = 3
EDGE = "\0"


def _as_it_is(word: str) -> str:
    return word


@dataclass(frozen=True, slots=True)
class View:
    """A text: all its words, the stretches that no frame covers, and those joined."""

    whole: str
    outside: tuple[str, ...]
    remaining: str


@dataclass(frozen=True, slots=True)
class Read:
    """A pair as it is compared. ``novel`` is what novelty compares; ``shingles`` the runs of
    three words of the pair, in both views."""

    pair: Pair
    prompt: tuple[tuple[str, str], ...]
    instruction: View
    response: View
    novel: View
    shingles: tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Decision:
    """What must happen to a pair. ``step`` is None where it is kept; ``culprits`` are the ids of
    the pairs that it may be said to have lost to."""

    step: str | None
    culprits: frozenset[str] = frozenset()


class Oracle:
    """Decides pair after pair. ``broken`` says whether a pair breaks a quality rule.

    Whether what a pair shares with a held-out one is beyond chance is taken from the code under
    test, which has tests of its own for it: ``curate`` is told. Here a pair that shows none of
    the signs must not be convicted, and one that has all of a held-out instruction must be.

    MinHash may overlook a near-duplicate, one in hundreds. Where ``curate`` is told which pairs
    were found to be near-duplicates, it goes on as if it had overlooked the others too, and
    ``overlooked`` has their ids: so all else is compared exactly, and those can be counted.
    """

    def __init__(
        self,
        train: Sequence[Pair],
        earlier: Sequence[Pair],
        held_out: Sequence[Pair],
        settings: CurationSettings,
        broken: Callable[[Pair], bool],
    ) -> None:
        self._settings = settings
        self._broken = broken
        self._letters: dict[str, str] = {}
        self._prompts = self._frames(pair.instruction for pair in train)
        self._responses = self._frames(pair.response for pair in train)
        self._held_out = [self.read(pair) for pair in held_out]
        self._known = [self.read(pair) for pair in (*train, *earlier)]
        self._train = [read.instruction.whole for read in self._known[: len(train)]]
        self.overlooked: list[str] = []

    def curate(
        self,
        raw: Sequence[Pair],
        convicted: Sequence[bool],
        found: frozenset[str] | None = None,
    ) -> list[Decision]:
        """What must happen to each pair of ``raw``, in order. ``convicted``: whether each is
        contaminated. ``found``: the ids of those that were found to be near-duplicates, None if
        all must be."""
        return [
            self._decide(self.read(pair), guilty, found)
            for pair, guilty in zip(raw, convicted, strict=True)
        ]

    def _decide(self, read: Read, convicted: bool, found: frozenset[str] | None) -> Decision:
        steps: tuple[tuple[str, Callable[[], list[str]]], ...] = (
            ("exact duplicates", lambda: self._ids(self._repeats(read))),
            ("quality rules", lambda: [""] if self._broken(read.pair) else []),
            ("near-duplicates", lambda: self._ids(self._nearly(read))),
            ("novelty", lambda: self._ids(self._not_new(read))),
            ("decontamination", lambda: self._contaminating(read) if convicted else []),
        )
        assert convicted or not self.copied_word_for_word(read)
        assert not convicted or self._contaminating(read)
        for step, find in steps:
            culprits = frozenset(find())
            if not culprits:
                continue
            if step != "near-duplicates" or found is None or read.pair.id in found:
                return Decision(step, culprits)
            self.overlooked.append(read.pair.id)
        self._known.append(read)
        return Decision(None)

    def _ids(self, found: Iterable[Read]) -> list[str]:
        return [read.pair.id for read in found]

    # --- reading --------------------------------------------------------------------------

    def read(self, pair: Pair) -> Read:
        instruction, response = _tokens(pair.instruction), _tokens(pair.response)
        views = (self._view(instruction, self._prompts), self._view(response, self._responses))
        stems = views
        if self._settings.stemming:
            stems = (
                self._view(instruction, self._prompts, stem),
                self._view(response, self._responses, stem),
            )
        return Read(pair, _normal(pair), *views, self._novel(*stems), _shingles_of(*views))

    def _novel(self, instruction: View, response: View) -> View:
        """What novelty looks at: responses count where enough of them is outside the frames."""
        long = len(response.remaining) >= LONG_RESPONSE
        answer = response if long else View("", (), "")
        if self._settings.novelty_field == "instruction":
            return instruction
        if self._settings.novelty_field == "response":
            return answer
        return View(instruction.whole + answer.whole, (), instruction.remaining + answer.remaining)

    def _view(
        self, tokens: list[str], frames: frozenset[str], form: Callable[[str], str] = _as_it_is
    ) -> View:
        covered = _covered(self._spelled(tokens), frames)
        stretches: list[list[str]] = [[]]
        for word, inside in zip(tokens, covered, strict=True):
            if not inside:
                stretches[-1].append(form(word))
            elif stretches[-1]:
                stretches.append([])
        outside = tuple(self._spelled(stretch) for stretch in stretches if stretch)
        whole = self._spelled(form(word) for word in tokens)
        # All frame: then it is one word that no other text has, not even one of that one word.
        nothing_left = self._spelled([EDGE + " ".join(tokens)]) if tokens else ""
        return View(whole, outside, "".join(outside) or nothing_left)

    def _spelled(self, tokens: Iterable[str]) -> str:
        return "".join(self._letter(word) for word in tokens)

    def _letter(self, word: str) -> str:
        number = 1 + len(self._letters)
        return self._letters.setdefault(word, chr(number if number < 0xD800 else number + 0x800))

    def _frames(self, texts: Iterable[str]) -> frozenset[str]:
        spelled = [self._spelled(_tokens(text)) for text in texts]
        occurs = Counter(run for text in spelled for run in set(_runs(text)))
        limit = Fraction(str(self._settings.shared_frame)) * len(spelled)
        return frozenset(run for run, count in occurs.items() if count >= 3 and count > limit)

    # --- the steps ------------------------------------------------------------------------

    def _repeats(self, read: Read) -> list[Read]:
        return [known for known in self._known if known.prompt == read.prompt]

    def _nearly(self, read: Read) -> list[Read]:
        limit = Fraction(str(self._settings.near_duplicate))
        return [
            known
            for known in self._known
            if all(
                _jaccard(a, b) >= limit for a, b in zip(read.shingles, known.shingles, strict=True)
            )
        ]

    def _not_new(self, read: Read) -> list[Read]:
        limit = Fraction(str(self._settings.novelty))
        return [known for known in self._known if alike(read.novel, known.novel, limit)]

    def copied_word_for_word(self, read: Read) -> bool:
        """All of a held-out instruction stands in this one; one that is all frame, alone."""
        ours = read.instruction.whole
        for held in (held.instruction for held in self._held_out):
            if held.whole and (held.whole in ours if held.outside else held.whole == ours):
                return True
        return False

    def _contaminating(self, read: Read) -> list[str]:
        """The ids of the held-out pairs of which this one shows a sign to be a copy."""
        limit, run = Fraction(str(self._settings.contamination)), self._settings.contamination_ngram
        return [
            held.pair.id
            for held in self._held_out
            if _prompts_show(held.instruction, read.instruction, limit, run)
            or self._closer(held.instruction, read.instruction, limit)
            or _responses_show(held, read, limit)
        ]

    def _closer(self, held: View, ours: View, limit: Fraction) -> bool:
        """Whole prompts half-way from the limit to equal, half of the words outside the frames
        too, and so alike that fewer train prompts are than one in as many as are held out."""
        own, both = "".join(held.outside), len(held.whole) + len(ours.whole)
        if not held.outside or not recalled(own, ours.whole, Fraction(1, 2)):
            return False
        common = int(LCSseq.similarity(held.whole, ours.whole))
        hundredth = Fraction(200 * common // both, 100)
        if hundredth < (1 + limit) / 2:
            return False
        so_alike = sum(other >= hundredth for other in self._likenesses)
        return math.comb(len(self._train), 2) > max(1, so_alike) * len(self._held_out)

    @cached_property
    def _likenesses(self) -> list[Fraction]:
        """Above one half, of any two train prompts that are not the same."""
        common = ((a, b, int(LCSseq.similarity(a, b))) for a, b in combinations(self._train, 2))
        return [
            Fraction(2 * length, len(a) + len(b))
            for a, b, length in common
            if a != b and 4 * length > len(a) + len(b)
        ]


# --- texts --------------------------------------------------------------------------------


def reaches(a: str, b: str, limit: Fraction) -> bool:
    """ROUGE-L F of two texts is at least ``limit``, in whole numbers."""
    if not a or not b:
        return False
    common = int(LCSseq.similarity(a, b))
    return 2 * common * limit.denominator >= limit.numerator * (len(a) + len(b))


def alike(a: View, b: View, limit: Fraction) -> bool:
    return reaches(a.remaining, b.remaining, limit) and reaches(a.whole, b.whole, limit)


def _shingles_of(instruction: View, response: View) -> tuple[frozenset[str], frozenset[str]]:
    return (
        _shingles(instruction.remaining + response.remaining),
        _shingles(instruction.whole + response.whole),
    )


def _shingles(text: str) -> frozenset[str]:
    if len(text) <= 3:
        return frozenset([text] if text else [])
    return frozenset(text[i : i + 3] for i in range(len(text) - 2))


def _jaccard(a: frozenset[str], b: frozenset[str]) -> Fraction:
    shared = len(a & b)
    return Fraction(shared, len(a) + len(b) - shared) if shared else Fraction(0)


def recalled(held: str, ours: str, limit: Fraction) -> bool:
    """The share of the held-out words that ours has, in order, is at least ``limit``."""
    return int(LCSseq.similarity(held, ours)) >= limit * len(held)


def _prompts_show(held: View, ours: View, limit: Fraction, run: int) -> bool:
    """Like, contains, copies: see :mod:`llamaduo.curation.decontamination`."""
    if not held.outside:
        return held.whole != "" and held.whole == ours.whole
    own, ours_own = "".join(held.outside), "".join(ours.outside)
    most = recalled(own, ours.whole, limit)
    if (most or reaches(own, ours_own, limit)) and (
        reaches(held.whole, ours.whole, limit)
        or held.whole in ours.whole
        or (
            most
            and recalled(held.whole, ours.whole, limit)
            and int(LCSseq.similarity(own, ours.whole)) >= run
        )
    ):
        return True
    return _copied(held, ours, run)


def _copied(held: View, ours: View, run: int) -> bool:
    """Long runs in common make up half of the held-out text, or are beyond chance."""
    ours_runs = {ours.whole[i : i + run] for i in range(len(ours.whole) - run + 1)}
    places = {
        (stretch, place)
        for stretch, part in enumerate(held.outside)
        for i in range(len(part) - run + 1)
        if part[i : i + run] in ours_runs
        for place in range(i, i + run)
    }
    copied = len(places)
    return copied > 0 and (2 * copied >= len(held.whole) or copied >= BEYOND_CHANCE * run)


def _responses_show(held: Read, ours: Read, limit: Fraction) -> bool:
    """Long responses are like, and the instructions at half the limit: never a response alone."""
    theirs, own = "".join(held.response.outside), "".join(ours.response.outside)
    return (
        min(len(theirs), len(own)) >= LONG_RESPONSE
        and reaches(theirs, own, limit)
        and reaches(held.response.whole, ours.response.whole, limit)
        and alike(held.instruction, ours.instruction, limit / 2)
    )


def _tokens(text: str) -> list[str]:
    return words(text) or ([text.strip()] if text.strip() else [])


def _normal(pair: Pair) -> tuple[tuple[str, str], ...]:
    def normal(text: str) -> str:
        return " ".join(unicodedata.normalize("NFKC", text).casefold().split())

    return tuple((message.role, normal(message.content)) for message in pair.messages)


def _runs(text: str) -> Iterator[str]:
    padded = f"{EDGE * 2}{text}{EDGE * 2}"
    return (padded[i : i + 3] for i in range(len(padded) - 2))


def _covered(text: str, frames: frozenset[str]) -> list[bool]:
    """For each word of ``text``, whether a frame covers it."""
    covered = [False] * (len(text) + 4)
    for i, run in enumerate(_runs(text)):
        if run in frames:
            covered[i : i + 3] = [True] * 3
    return covered[2 : len(text) + 2]


@cache
def stem(word: str) -> str:
    """As rouge-score does it: words of more than three letters, Porter's stem."""
    from nltk.stem.porter import PorterStemmer

    return str(PorterStemmer().stem(word)) if len(word) > 3 else word
