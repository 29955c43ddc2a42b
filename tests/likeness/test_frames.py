"""What many train prompts share is found, shown, and does not count."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.likeness.frames import FEWEST, RUN, SHOWN, Field, Frames, discount, learn_frames
from llamaduo.likeness.runs import EDGE
from llamaduo.likeness.texts import Texts, Vocabulary

WORDS = st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join)
CITIES = ("Lyon", "Oslo", "Rome", "Bern", "Kyiv")
FRAMED = [f"Say where {city} is. Answer with the country, and nothing else." for city in CITIES]
Run = tuple[str, ...]


class Case:
    """Frames of some prompts, and texts read with them."""

    def __init__(self, prompts: Sequence[str], share: float = 0.05) -> None:
        self.vocabulary = Vocabulary()
        self.prompts = self.vocabulary.read(prompts)
        self.frames: Frames = learn_frames(self.prompts, share, self.vocabulary)

    def runs(self) -> set[Run]:
        return {
            tuple("" if word == EDGE else self.vocabulary.word(word) for word in run)
            for run in self.frames.runs.tolist()
        }

    def field(self, *texts: str) -> Field:
        return discount(self.vocabulary.read(texts), self.frames, self.vocabulary)

    def remaining(self, *texts: str) -> list[list[str]]:
        return self.spelled(self.field(*texts).remaining)

    def spelled(self, texts: Texts) -> list[list[str]]:
        return [[self.vocabulary.word(word) for word in row] for row in texts]


def test_a_frame_with_a_slot_leaves_what_stands_in_the_slot() -> None:
    case = Case(FRAMED)
    text = "Say where Quito is. Answer with the country, and nothing else."
    assert case.remaining(text) == [["quito"]]
    assert np.flatnonzero(~case.field(text).framed).tolist() == [2]
    assert "is answer with the country and nothing else" in case.frames.shown
    assert "say where" in case.frames.shown


def test_a_text_that_is_all_frame_equals_only_itself() -> None:
    case = Case(["what is it"] * 3 + ["what is that"] * 3)
    one, again, other = case.field("What is it?", "what is it", "What is that?").remaining
    assert case.vocabulary.word(one[0]) == "what is it"
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()
    assert case.field("What is it?").framed.all()


def test_a_word_that_is_all_frame_is_not_what_remains_of_another_text() -> None:
    case = Case(["refund"] * 3 + [f"give a {city} back" for city in CITIES])
    label, within = case.field("refund", "give a refund back").remaining
    assert case.vocabulary.word(within[0]) == "refund"
    assert label.tolist() != within.tolist()


def test_a_text_of_symbols_is_its_own_word() -> None:
    assert Case([]).remaining(" 👍 ", "  ") == [["👍"], []]


def test_no_texts_have_no_frames() -> None:
    case = Case([])
    assert case.frames.shown == ()
    assert len(case.field().remaining) == 0


def test_two_prompts_alike_make_no_frame() -> None:
    assert not Case(["a b c"] * 2).runs()


def test_the_share_must_be_exceeded_exactly() -> None:
    def found(prompts: int) -> bool:
        others = [f"w{i}" for i in range(prompts - 29)]
        return bool(Case(["a b c"] * 29 + others, 0.29).runs())

    assert not found(100)  # 29 of 100 is 29 %, not more; in floats 0.29 × 100 is below 29
    assert found(99)


def test_at_most_twenty_are_shown_the_longest_first() -> None:
    starts = [" ".join(f"p{start}w{i}" for i in range(start % 5 + 3)) for start in range(40)]
    shown = Case(starts * FEWEST, 0.01).frames.shown
    lengths = [len(text.split()) for text in shown]
    assert len(shown) == SHOWN
    assert lengths == sorted(lengths, reverse=True)


def test_a_frame_of_many_distinct_runs() -> None:
    text = " ".join(f"w{i}" for i in range(2000))
    case = Case([text] * FEWEST)
    assert case.frames.shown == (text,)
    assert len(case.frames.runs) == 2002


def test_words_read_after_the_frames_were_learned() -> None:
    assert Case(FRAMED).remaining("Say where Ulm, a town in Swabia, is.") == [
        ["ulm", "a", "town", "in", "swabia", "is"]
    ]


def padded(text: str) -> list[str]:
    return ["", "", *text.split(), "", ""]


def runs_in(text: str) -> list[Run]:
    words = padded(text)
    return [tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)]


def framed_places(text: str, runs: set[Run]) -> set[int]:
    """By brute force: the places of the words in ``text`` that one of ``runs`` covers."""
    return {i + k - 2 for i, run in enumerate(runs_in(text)) if run in runs for k in range(RUN)}


@given(st.lists(WORDS, max_size=12), st.sampled_from([0.05, 0.3, 1.0]))
def test_the_runs_are_those_that_brute_force_counts(prompts: list[str], share: float) -> None:
    holders = {run: 0 for prompt in prompts for run in runs_in(prompt)}
    for run in holders:
        holders[run] = sum(run in runs_in(prompt) for prompt in prompts)
    expected = {r for r, n in holders.items() if n >= FEWEST and n / len(prompts) > share}
    assert Case(prompts, share).runs() == expected


@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=4))
def test_what_remains_is_what_brute_force_leaves(prompts: list[str], texts: list[str]) -> None:
    case = Case(prompts)
    field = case.field(*texts)
    framed = [framed_places(text, case.runs()) for text in texts]
    flags = [
        i in places
        for text, places in zip(texts, framed, strict=True)
        for i in range(len(text.split()))
    ]
    assert field.framed.tolist() == flags
    for i, (text, places) in enumerate(zip(texts, framed, strict=True)):
        left = [word for place, word in enumerate(text.split()) if place not in places]
        if text and not left:
            left = [text if " " in text else f"{text} "]
        assert case.spelled(field.remaining)[i] == left
    assert case.spelled(field.whole) == [text.split() for text in texts]


@given(st.lists(WORDS, max_size=12))
def test_the_frames_shown_are_the_longest_stretches_of_the_prompts(prompts: list[str]) -> None:
    case = Case(prompts)
    chains = {chain for prompt in prompts for chain in stretches(prompt, case.runs())}
    expected: list[str] = []
    for chain in sorted(chains, key=lambda chain: (-len(chain), chain)):
        text = " ".join(chain)
        if not any(f" {text} " in f" {longer} " for longer in expected):
            expected.append(text)
    assert list(case.frames.shown) == expected[:SHOWN]


def stretches(text: str, runs: set[Run]) -> list[Run]:
    """By brute force: the words under each stretch of overlapping ``runs``, without the edges."""
    words, here = padded(text), [run in runs for run in runs_in(text)]
    found = []
    for i in range(len(here)):
        if here[i] and not (i and here[i - 1]):
            last = next((j for j in range(i, len(here)) if not here[j]), len(here))
            found.append(tuple(word for word in words[i : last + RUN - 1] if word))
    return [chain for chain in found if chain]


def test_many_texts_that_are_all_frame() -> None:
    texts = [f"please send {i} of these at once" for i in range(700)]
    case = Case(texts * FEWEST, 0.001)
    remaining = case.field(*texts).remaining
    assert case.spelled(remaining) == [[text] for text in texts]
    assert len(set(remaining.words.tolist())) == 700


RARE_WORDS = """
from llamaduo.likeness.frames import learn_frames
from llamaduo.likeness.texts import Vocabulary

vocabulary = Vocabulary()
texts = vocabulary.read(["say it now"] * 3 + [" ".join(f"w{i}" for i in range(5000))])
assert learn_frames(texts, 0.05, vocabulary).shown == ("say it now",)
"""


@pytest.mark.proof
def test_words_that_are_in_no_frame_have_places_too(tmp_path: Path) -> None:
    """Kernels look outside of arrays without a word, unless they are told to check."""
    checked = {"NUMBA_BOUNDSCHECK": "1", "LLAMADUO_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", RARE_WORDS], check=True, env=os.environ | checked)
