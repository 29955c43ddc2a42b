"""Small batches that are hard to curate right: everything nearly like something else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from llamaduo.curation.curate import Prepared, prepare, sift
from llamaduo.curation.decontamination import contaminated
from llamaduo.curation.norms import norms_of
from llamaduo.curation.rules import broken_rules
from llamaduo.curation.settings import CurationSettings
from llamaduo.likeness.compiled import Workers
from llamaduo.records import Curated, FinalSplit, Pair, TestSplit, TrainSplit
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import pair
from tests.curation.oracle import Decision, Oracle

LIMITS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
HUGE = 60_000
_PLAIN = """the a of to and in is run runs running runner cat cats classified classify classifies
nation national nationality write writes writing wrote list lists listing 1 2 3 42"""
_WIDE = """über ÜBER straße нет да Да сегодня 東京 日本 สวัสดี مرحبا Ⅻ \ufb01n e\u0301te\u0301 été
\u212a k हिन्दी 👍 — İstanbul ǅ co\u00adop"""
ASCII, WIDE = _PLAIN.split(), _WIDE.split()
FRAME = "Please classify the message below as praise or complaint: {} Answer with one word."


@dataclass(frozen=True, slots=True)
class Trial:
    """What one call of curation is given."""

    raw: list[Pair]
    train: list[Pair]
    earlier: list[Pair]
    held_out: list[Pair]
    settings: CurationSettings
    name: str = ""

    def curated(self, threads: int | None = None) -> Curated:
        return sift(self.prepared(), self.settings, threads=threads)

    def prepared(self) -> Prepared:
        return prepare(
            self.raw,
            train=TrainSplit(tuple(self.train)),
            earlier=self.earlier,
            test=TestSplit(tuple(self.held_out)),
            final=FinalSplit(()),
            settings=self.settings,
            task=TaskSettings(),
        )

    def oracle(self) -> Oracle:
        broken = breaks_rules(self.train, self.settings)
        return Oracle(self.train, self.earlier, self.held_out, self.settings, broken)


def breaks_rules(train: Sequence[Pair], settings: CurationSettings) -> Callable[[Pair], bool]:
    norms = norms_of(train, TaskSettings(), settings)
    return lambda one: broken_rules([one], norms) != [None]


def compare(made: Trial) -> Counter[str | None]:
    """Curate, and compare each pair's fate with brute force. How often each step dropped one;
    None for kept, "overlooked" for near-duplicates that MinHash did not propose."""
    prepared = made.prepared()
    result, oracle = sift(prepared, made.settings), made.oracle()
    found = frozenset(d.pair.id for d in result.dropped if d.step == "near-duplicates")
    ids = [one.id for one in made.held_out]
    with Workers(1) as workers:
        convicted = contaminated(prepared.reading, ids, made.settings, workers)
    decisions = oracle.curate(made.raw, [one is not None for one in convicted], found)
    try:
        check(result, made.raw, decisions)
    except AssertionError as error:
        error.add_note(made.name)
        raise
    fates: Counter[str | None] = Counter(fate.step for fate in decisions)
    fates["overlooked"] = len(oracle.overlooked)
    return fates


def check(result: Curated, raw: Sequence[Pair], decisions: Sequence[Decision]) -> None:
    """Every pair met the fate that brute force gives it, and each drop names a rightful other."""
    assert [p.id for p in result.kept] == [
        p.id for p, fate in zip(raw, decisions, strict=True) if fate.step is None
    ]
    fates = [(p, fate) for p, fate in zip(raw, decisions, strict=True) if fate.step is not None]
    for drop, (dropped, fate) in zip(result.dropped, fates, strict=True):
        assert (drop.pair.id, drop.step) == (dropped.id, fate.step)
        assert (drop.lost_to or "") in fate.culprits


def trial(seed: int, *, ascii_only: bool = False) -> Trial:
    """A trial of about 30 pairs. Every fortieth has texts of 60,000 words."""
    chance = random.Random(seed)
    texts = Texts(chance, ASCII if ascii_only or chance.random() < 0.5 else [*ASCII, *WIDE])
    huge = not ascii_only and seed % 40 == 7
    groups = [texts.pairs(chance.randint(0, most)) for most in (8, 6, 6)]
    raw = texts.pairs(chance.randint(4, 24))
    if huge:
        raw += [texts.huge(), texts.huge(), texts.huge()]
        groups[chance.randrange(3)].append(texts.huge())
    settings = CurationSettings(
        novelty=chance.choice(LIMITS),
        near_duplicate=chance.choice(LIMITS),
        contamination=chance.choice(LIMITS),
        contamination_ngram=chance.choice((2, 3, 8)),
        shared_frame=chance.choice((0.05, 0.3, 1)),
        novelty_field=chance.choice(("instruction", "instruction", "response", "both")),
        stemming=chance.random() < 0.5,
        max_response_words=2 * HUGE,
    )
    train, earlier, held_out = groups
    return Trial(raw, train, earlier, held_out, settings, f"trial {seed}")


class Texts:
    """Draws texts; many are earlier ones with some words changed, or other forms of them."""

    def __init__(self, chance: random.Random, vocabulary: Sequence[str]) -> None:
        self._chance = chance
        self._vocabulary = vocabulary
        self._seen = [(["the"], ["a"])]
        self._long: list[str] = []

    def pairs(self, count: int) -> list[Pair]:
        return [self._pair() for _ in range(count)]

    def huge(self) -> Pair:
        """60,000 words, of which few occur once; the second time most of the same ones."""
        if self._long:
            for place in self._chance.sample(range(HUGE), self._chance.choice((9, HUGE // 3))):
                self._long[place] = "changed"
        else:
            self._long = self._chance.choices([*self._vocabulary, *map(str, range(3000))], k=HUGE)
        return pair(" ".join(self._long), self._chance.choice(self._vocabulary))

    def _pair(self) -> Pair:
        ask, answer = self._chance.choice(self._seen)
        draw = self._chance.random()
        if draw < 0.3:
            ask, answer = self._changed(ask), self._changed(answer)
        elif draw < 0.7:
            ask, answer = self._changed(ask), self._new()
        else:
            ask, answer = self._new(), self._new()
        self._seen.append((ask, answer))
        text = " ".join(ask)
        return pair(FRAME.format(text) if self._chance.random() < 0.2 else text, " ".join(answer))

    def _new(self) -> list[str]:
        """None, one or up to 45 words."""
        draw = self._chance.random()
        count = 0 if draw < 0.03 else 1 if draw < 0.08 else self._chance.randint(2, 60)
        return self._chance.choices(self._vocabulary, k=count)

    def _changed(self, words: list[str]) -> list[str]:
        """Words replaced by their like or by others, taken out or put in: some, up to a third."""
        changed = list(words)
        for _ in range(1 + int(len(words) / 3 * self._chance.random() ** 2)):
            place = self._chance.randrange(len(changed) or 1)
            if changed and self._chance.random() < 0.6:
                changed[place] = self._chance.choice(self._forms(changed[place]))
            else:
                put = self._chance.choices(self._vocabulary, k=self._chance.randint(0, 2))
                changed[place : place + self._chance.randint(0, 1)] = put
        return changed[:99]

    def _forms(self, word: str) -> list[str]:
        return [other for other in self._vocabulary if other[:3] == word[:3]]


def rouge_reaches(scored: float, n: int, m: int, limit: Fraction) -> bool:
    """Whether an F measure, a float of rouge-score's, reaches ``limit``: its LCS is a whole
    number, and in those the comparison is exact."""
    common = round(scored * (n + m) / 2)
    return 2 * common * limit.denominator >= limit.numerator * (n + m)
