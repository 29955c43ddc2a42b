"""The built-in task: distinct tickets, evenly spread, with answers that follow from the words."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest

from llamaduo.rehearsal.tasks.ticket_phrases import (
    DISTRACTORS,
    MISSPELLINGS,
    OPENERS,
    PLAIN_CONTEXTS,
    PROBLEMS,
    SIGN_OFFS,
    URGENCIES,
)
from llamaduo.rehearsal.tasks.tickets import LABELS, SYSTEM, draw, message_in, solve, tickets
from llamaduo.tasks.words import lcs_length, shingles, words

DRAWN = draw(5_000, random.Random(1))


def test_no_message_comes_twice() -> None:
    assert len({ticket.message for ticket in DRAWN}) == len(DRAWN)


def test_the_answer_follows_from_the_prompt_alone() -> None:
    assert [t for t in DRAWN if solve(t.prompt) != t.label] == []


def test_the_answer_follows_from_the_bare_message_too() -> None:
    assert all(solve(ticket.message) == ticket.label for ticket in DRAWN[:500])


def test_labels_are_spread_evenly() -> None:
    counts = Counter(ticket.label for ticket in DRAWN)
    assert set(counts) == set(LABELS)
    assert max(counts.values()) < 1.4 * min(counts.values())


def test_tickets_are_short() -> None:
    lengths = [len(ticket.message.split()) for ticket in DRAWN]
    assert max(lengths) <= 30
    assert sum(lengths) / len(lengths) < 20


def test_a_share_of_tickets_is_noisy_or_ambiguous() -> None:
    texts = [ticket.message for ticket in DRAWN]
    assert 0.1 < sum(text == text.lower() for text in texts) / len(texts) < 0.2
    assert 0.1 < sum("." not in text for text in texts) / len(texts) < 0.3
    distracted = sum(any(d in text.lower() for d in map(str.lower, DISTRACTORS)) for text in texts)
    assert 0.15 < distracted / len(texts) < 0.3


def test_rows_are_chat_messages_of_the_same_seed_and_count() -> None:
    rows = tickets(20, seed=7)
    assert rows == tickets(20, seed=7)
    assert rows != tickets(20, seed=8)
    assert tickets(10, seed=7) == rows[:10]
    assert [m["role"] for m in rows[0]["messages"]] == ["system", "user", "assistant"]
    assert rows[0]["messages"][0]["content"] == SYSTEM
    assert rows[0]["reference_source"] == "human"


def test_the_message_can_be_taken_out_of_its_frame() -> None:
    assert message_in(DRAWN[0].prompt) == DRAWN[0].message
    assert message_in("What is the capital of France?") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is the capital of France?",
        "My parcel has not arrived. My invoice is too high.",
    ],
    ids=["empty", "something else", "two problems"],
)
def test_what_is_no_single_ticket_has_no_answer(text: str) -> None:
    assert solve(text) is None


def test_a_distractor_does_not_change_the_answer() -> None:
    told = "Login works fine. The app crashes on start, #77. No rush."
    assert solve(told) == "bug, low"


def test_misspellings_can_be_undone() -> None:
    phrases = [p for parts in PROBLEMS.values() for part in parts for p in part]
    phrases += [p for cues in URGENCIES.values() for p in cues]
    phrases += [*DISTRACTORS, *PLAIN_CONTEXTS, *OPENERS, *SIGN_OFFS]
    spoken = {word for phrase in phrases for word in phrase.lower().split()}
    assert not spoken & set(MISSPELLINGS.values())
    assert len(set(MISSPELLINGS.values())) == len(MISSPELLINGS)


def test_no_cue_contains_another_of_a_different_priority() -> None:
    cues = [(cue.lower(), p) for p in ("high", "low") for cue in URGENCIES[p]]
    assert not [(a, b) for (a, p), (b, q) in permutations(cues, 2) if p != q and a in b]


def test_tickets_hardly_ever_look_like_copies_of_each_other() -> None:
    tokens = [words(ticket.message) for ticket in DRAWN[:660]]
    held_out, new = tokens[:60], tokens[60:]
    runs = {run for other in held_out for run in shingles(other, 8)}
    shared = sum(not runs.isdisjoint(shingles(text, 8)) for text in new)
    covered = sum(any(lcs_length(t, o) >= 0.7 * len(o) for o in held_out) for t in new)
    assert shared / len(new) <= 0.005
    assert covered / len(new) <= 0.015
