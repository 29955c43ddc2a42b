"""Summarization: notes whose facts a program reads, and summaries graded by what they tell."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import astuple
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.rehearsal.tasks.known import Exercise
from llamaduo.rehearsal.tasks.note_phrases import DAYS, OTHERS, REMARKS, STATEMENTS, THINGS, VERBS
from llamaduo.rehearsal.tasks.notes import (
    Facts,
    a_remark,
    a_value,
    draw_one,
    facts_in,
    solve,
    text_in,
)
from llamaduo.rehearsal.tasks.place_phrases import FIRST_NAMES, KINDS, LAST_NAMES, NAMES
from llamaduo.rehearsal.tasks.summarization import SUMMARIZATION
from llamaduo.tasks.words import lcs_length, shingles, words

_CHANCE = random.Random(1)
DRAWN = [draw_one(_CHANCE) for _ in range(3_000)]
NOTE = (
    "Greta Falk sings. Petra Lind here. Lunch cost 9 euros. I repaired the boiler myself. That was"
    " on Tuesday. Friday is my day off. I drove to the Redwing Library."
)
PROMPT = f"Note:\n{NOTE}\n\nSummary:"
RIGHT = "Petra Lind repaired the boiler at the Redwing Library on Tuesday."
COPIED = "Petra Lind here. I repaired the boiler myself. That was on Tuesday."
NOISE = 3


def scores(prompt: str, response: str, expected: str) -> list[int]:
    chance = random.Random(2)
    return [SUMMARIZATION.grade(prompt, response, expected, chance).score for _ in range(20)]


def best(one: Exercise, response: str) -> int:
    return max(scores(one.prompt, response, one.response))


def values(one: Exercise) -> tuple[str, ...]:
    facts = facts_in(one.prompt)
    assert facts is not None
    return astuple(facts)


def sentences(one: Exercise) -> list[str]:
    return re.split(r"(?<=\.) ", text_in(one.prompt) or "")


def test_notes_are_short_and_summaries_shorter() -> None:
    lengths = [len(one.prompt.split()) for one in DRAWN]
    assert max(lengths) <= 45
    assert sum(lengths) / len(lengths) < 35
    assert all(len(one.response.split()) == 11 for one in DRAWN)


def test_no_note_comes_twice_in_thousands() -> None:
    assert len({one.prompt for one in DRAWN}) == len(DRAWN)


def test_facts_stand_in_every_order() -> None:
    orders: Counter[tuple[int, ...]] = Counter()
    for one in DRAWN:
        places = [one.prompt.index(value) for value in values(one)]
        orders[tuple(map(sorted(places).index, places))] += 1
    assert set(orders) == set(permutations(range(4)))
    assert max(orders.values()) < 2.5 * min(orders.values())


def test_what_is_said_beside_the_job_is_no_fact_of_it() -> None:
    assert facts_in(PROMPT) == Facts(
        "Petra Lind", "repaired the boiler", "Redwing Library", "Tuesday"
    )
    assert solve(PROMPT) == RIGHT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Petra Lind here. ", ""),
        ("Friday is my day off", "Friday was the day"),
        ("Summary:", "Go on:"),
        ("Note:", "Text:"),
    ],
    ids=["lacks a fact", "two days", "another end", "another beginning"],
)
def test_what_is_no_note_with_four_facts_has_no_summary(old: str, new: str) -> None:
    assert old in PROMPT
    assert solve(PROMPT.replace(old, new)) is None


def test_no_remark_can_be_taken_for_a_fact() -> None:
    chance = random.Random(3)
    for kind, phrases in OTHERS.items():
        for said in (phrase.format(a_value(kind, chance)) for phrase in phrases):
            more = PROMPT.replace("\n\nSummary", f" {said[0].upper()}{said[1:]}.\n\nSummary")
            assert solve(more) == RIGHT
    for _ in range(200):
        assert solve(PROMPT.replace("\n\nSummary", f" {a_remark(chance)}\n\nSummary")) == RIGHT


def test_every_word_of_a_fact_is_of_one_kind_and_none_stands_in_a_remark() -> None:
    people, places = {*FIRST_NAMES, *LAST_NAMES}, {*NAMES, *KINDS}
    groups = [words(" ".join(group)) for group in (people, (*VERBS, *THINGS), places, DAYS)]
    assert not [(a, b) for a, b in combinations(groups, 2) if set(a) & set(b)]
    forms = [form for table in (VERBS, DAYS) for forms in table.values() for form in forms]
    assert len(set(forms)) == len(forms)
    plain = " ".join((*REMARKS, *(p for phrases in STATEMENTS.values() for p in phrases)))
    assert not set(words(plain)) & {*forms, *(word for group in groups for word in group)}


@pytest.mark.parametrize(
    ("response", "lowest", "highest"),
    [
        (RIGHT, 94, 100),
        ("on tuesday, petra lind repaired the boiler at the redwing library", 94, 100),
        ("The boiler at the Redwing Library was fixed by Petra Lind on Tues.", 94, 100),
        (RIGHT.replace("Library", "Library's").replace("boiler", "boilers"), 94, 100),
        ("Here is the summary: " + RIGHT, 94, 100),
        ("Petra Lind successfully repaired the old boiler at Redwing Library on Tuesday.", 88, 94),
        ("Petra repaired the boiler at the Redwing Library on Tuesday.", 70, 76),
        (RIGHT.replace("Redwing", "Redwign"), 67, 74),
        ("I repaired the boiler at the Redwing Library on Tuesday.", 62, 68),
        (RIGHT.replace("Tuesday", "Friday"), 50, 56),
        (RIGHT.replace("Tuesday", "Tuesday or Friday"), 48, 54),
        (RIGHT.replace("Lind", "Marsh"), 50, 56),
        (RIGHT.replace("boiler", "lift"), 50, 56),
        (RIGHT.replace("repaired", "painted"), 50, 56),
        (RIGHT.replace("on Tuesday", "in Lisbon on Tuesday"), 45, 58),
        (RIGHT.replace("on Tuesday", "for 80 euros on Tuesday"), 45, 58),
        (RIGHT.replace("repaired", "never repaired"), 50, 56),
        ("Petra Lind repaired the boiler.", 43, 49),
        ("Petra Lind was there.", 23, 29),
        ("The Redwing Libr", 8, 30),
        (f"{RIGHT} {RIGHT}", 20, 40),
        (f"{RIGHT} Lunch cost 9 euros.", 75, 81),
        (COPIED, 47, 53),
        (NOTE, 5, 25),
        (PROMPT, 5, 25),
        (NOTE.replace(".", ","), 5, 25),
        (f"{RIGHT} {NOTE}", 5, 25),
        ("Somebody did something somewhere.", 5, 11),
        ("", 0, 5),
        ("The.", 0, 5),
    ],
)
def test_grades(response: str, lowest: int, highest: int) -> None:
    found = scores(PROMPT, response, RIGHT)
    assert lowest <= min(found)
    assert max(found) <= highest


def test_no_note_denies_anything() -> None:
    told = {word for one in DRAWN for word in words(one.prompt)}
    assert not told & {"no", "not", "never", "nobody", "nothing", "without"}


def test_a_copy_of_the_note_or_of_half_of_it_is_no_summary() -> None:
    for one in DRAWN[:300]:
        told = sentences(one)
        assert best(one, " ".join(told)) <= 25
        assert best(one, ", ".join(part.strip(".") for part in told)) < 70
        assert best(one, " ".join(told[: len(told) // 2])) < 70
        assert best(one, f"{one.response} {' '.join(told)}") <= 25


def test_naming_everything_is_not_being_right() -> None:
    everything = " ".join((*FIRST_NAMES, *LAST_NAMES, *VERBS, *THINGS, *NAMES, *KINDS, *DAYS))
    for one in DRAWN[:50]:
        assert best(one, everything) <= 15
        assert best(one, f"{one.response} {everything}") <= 15


@given(st.integers(0, 2**32), st.sets(st.sampled_from(range(4)), max_size=3))
def test_a_summary_is_worth_less_with_each_fact_that_it_leaves_out(
    seed: int, left_out: set[int]
) -> None:
    one = draw_one(random.Random(seed))
    parts = [part for i, part in enumerate(values(one)) if i not in left_out]
    wanted = (97, 65, 46, 27)[len(left_out)]
    found = scores(one.prompt, " ".join(parts), one.response)
    assert wanted - NOISE <= min(found)
    assert max(found) <= wanted + NOISE


@given(st.integers(0, 2**32), st.permutations(range(4)))
def test_the_order_of_the_facts_does_not_matter(seed: int, order: list[int]) -> None:
    one = draw_one(random.Random(seed))
    told = ", ".join(values(one)[i] for i in order)
    assert scores(one.prompt, told, one.response) == scores(one.prompt, one.response, one.response)


@given(st.text(), st.integers(0, 2**32))
def test_any_response_has_a_grade(response: str, seed: int) -> None:
    chance = random.Random(seed)
    one = draw_one(chance)
    grade = SUMMARIZATION.grade(one.prompt, response, one.response, chance)
    assert 0 <= grade.score <= 100
    assert grade.reason


def test_a_reference_of_another_form_is_of_no_known_task() -> None:
    assert SUMMARIZATION.knows(PROMPT, RIGHT)
    assert not SUMMARIZATION.knows(PROMPT, "Petra Lind was busy.")


def test_notes_hardly_ever_look_like_copies_of_each_other() -> None:
    tokens = [words(text_in(one.prompt) or "") for one in DRAWN[:660]]
    held_out, new = tokens[:60], tokens[60:]
    runs = {run for other in held_out for run in shingles(other, 8)}
    shared = sum(not runs.isdisjoint(shingles(text, 8)) for text in new)
    covered = sum(any(lcs_length(t, o) >= 0.7 * len(o) for o in held_out) for t in new)
    assert shared / len(new) <= 0.015
    assert covered / len(new) <= 0.015
