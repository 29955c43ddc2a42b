"""Closed QA: texts whose facts a program reads, and grades by meaning rather than by letter."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest

from llamaduo.rehearsal.tasks.closed_qa import CLOSED_QA
from llamaduo.rehearsal.tasks.place_phrases import TOPICS
from llamaduo.rehearsal.tasks.places import draw_one, facts_in, question_in, solve
from llamaduo.tasks.words import lcs_length, words

_CHANCE = random.Random(1)
DRAWN = [draw_one(_CHANCE) for _ in range(3_000)]
TEXT = (
    "Text:\nMany know the Redwing Museum. It opens at 8:30 am. Petra Lind runs it. The entrance is"
    " on Mill Lane. A ticket costs 7 euros. The cafe opposite opens at 7 am.\n\nQuestion: {}"
)
OPENING, PRICE = "When does it open?", "What is the price?"
MANAGER, STREET, BUS = "Who runs it?", "Where is it?", "Which bus goes there?"


def scores(question: str, response: str, expected: str) -> list[int]:
    prompt = TEXT.format(question)
    assert solve(prompt) == expected
    chance = random.Random(2)
    return [CLOSED_QA.grade(prompt, response, expected, chance).score for _ in range(20)]


def test_texts_are_short_and_of_every_kind() -> None:
    lengths = [len(one.prompt.split()) for one in DRAWN]
    assert max(lengths) <= 60
    assert sum(lengths) / len(lengths) < 40
    asked = Counter(question_in(one.prompt) for one in DRAWN)
    assert set(asked) == set(TOPICS)
    assert max(asked.values()) < 1.5 * min(asked.values())


def test_what_is_said_of_a_place_nearby_is_no_fact_of_this_one() -> None:
    prompt = TEXT.format(OPENING)
    assert facts_in(prompt) == {
        "opening": "8:30 am",
        "manager": "Petra Lind",
        "street": "Mill Lane",
        "price": "7 euros",
    }
    assert solve(TEXT.format(BUS)) is None


def test_no_question_or_statement_stands_for_two_facts() -> None:
    for part in ("statements", "questions", "elsewhere"):
        phrases = [
            (p.lower(), name) for name, topic in TOPICS.items() for p in getattr(topic, part)
        ]
        assert len({phrase for phrase, _ in phrases}) == len(phrases)
        assert not [(a, b) for (a, x), (b, y) in permutations(phrases, 2) if x != y and a == b]


@pytest.mark.parametrize(
    ("question", "response", "expected", "lowest", "highest"),
    [
        (OPENING, "8:30 am", "8:30 am", 94, 100),
        (OPENING, "8.30 a.m.", "8:30 am", 94, 100),
        (OPENING, "8:30AM", "8:30 am", 94, 100),
        (OPENING, "It opens at 8:30 am.", "8:30 am", 88, 96),
        (OPENING, "8:30", "8:30 am", 70, 80),
        (OPENING, "8:30 pm", "8:30 am", 25, 35),
        (OPENING, "8:30 am or 7 am", "8:30 am", 35, 45),
        (OPENING, "7 am", "8:30 am", 5, 15),
        (OPENING, "It is not 8:30 am.", "8:30 am", 25, 35),
        (OPENING, "The text does not say.", "8:30 am", 5, 15),
        (PRICE, "7", "7 euros", 94, 100),
        (PRICE, "7 euros, on Mill Lane", "7 euros", 35, 45),
        (PRICE, "70 euros", "7 euros", 5, 15),
        (MANAGER, "petra lind", "Petra Lind", 94, 100),
        (MANAGER, "Petra", "Petra Lind", 43, 55),
        (MANAGER, "Petra Novak", "Petra Lind", 15, 25),
        (STREET, "on Mill Lane", "Mill Lane", 94, 100),
        (STREET, "Mill Road", "Mill Lane", 25, 35),
        (STREET, "Mill", "Mill Lane", 70, 80),
    ],
)
def test_grades(question: str, response: str, expected: str, lowest: int, highest: int) -> None:
    found = scores(question, response, expected)
    assert lowest <= min(found)
    assert max(found) <= highest


def test_not_to_open_on_a_day_is_to_be_closed() -> None:
    text = "Here is the Redwing Museum. Friday is the day off."
    prompt = f"Text:\n{text}\n\nQuestion: Which day is it closed?"
    chance = random.Random(2)
    for response, lowest in (("It does not open on Friday.", 84), ("It is not Friday.", 25)):
        found = [CLOSED_QA.grade(prompt, response, "Friday", chance).score for _ in range(20)]
        assert lowest <= min(found) <= max(found) <= lowest + 10


def test_texts_hardly_ever_cover_each_other() -> None:
    tokens = [words(one.prompt) for one in DRAWN[:660]]
    held_out, new = tokens[:60], tokens[60:]
    covered = sum(any(lcs_length(t, o) >= 0.7 * len(o) for o in held_out) for t in new)
    assert covered / len(new) <= 0.015
