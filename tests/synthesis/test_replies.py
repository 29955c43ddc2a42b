"""Synthesis replies: whole ones, cut ones, and pairs that are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.synthesis.replies import NewPair, read_pairs
from tests.scripted_service import reply

THREE = [{"instruction": f"ask {i}", "response": f"answer {i}"} for i in range(3)]
WHOLE = json.dumps({"pairs": THREE})


def test_a_whole_reply_gives_its_pairs_in_order() -> None:
    got = read_pairs(reply(WHOLE))
    assert got.pairs == tuple(NewPair(f"ask {i}", f"answer {i}") for i in range(3))
    assert (got.salvaged, got.malformed, got.problem) == (0, 0, "")


def test_a_reply_cut_off_in_its_last_pair_gives_the_others() -> None:
    got = read_pairs(reply(WHOLE[:-8], finish="length"))
    assert [p.instruction for p in got.pairs] == ["ask 0", "ask 1"]
    assert (got.salvaged, got.malformed) == (2, 1)
    assert got.problem == "the reply was cut off at its token limit"


def test_a_reply_without_json_gives_nothing_and_is_counted() -> None:
    got = read_pairs(reply("I cannot help with that."))
    assert (got.pairs, got.salvaged, got.malformed) == ((), 0, 1)
    assert got.problem


@pytest.mark.parametrize(
    "bad",
    [
        {"instruction": "ask"},
        {"instruction": "ask", "response": ""},
        {"instruction": " \n", "response": "answer"},
        {"instruction": "ask", "response": 3},
        {"instruction": "ask", "response": None},
        {"instruction": "ask", "response": "answer", "category": "x"},
        {"question": "ask", "answer": "answer"},
        "ask",
        None,
        [],
    ],
)
def test_a_bad_pair_costs_only_itself(bad: object) -> None:
    got = read_pairs(reply(json.dumps({"pairs": [THREE[0], bad, THREE[2]]})))
    assert [p.instruction for p in got.pairs] == ["ask 0", "ask 2"]
    assert (got.salvaged, got.malformed) == (0, 1)


def test_an_extra_key_beside_the_pairs_loses_the_reply_but_not_the_pairs() -> None:
    got = read_pairs(reply(json.dumps({"note": "done", "pairs": THREE})))
    assert (len(got.pairs), got.salvaged, got.malformed) == (3, 3, 1)


@given(st.integers(0, len(WHOLE)))
def test_a_reply_cut_anywhere_gives_a_head_of_its_pairs(length: int) -> None:
    got = read_pairs(reply(WHOLE[:length], finish="length"))
    assert list(got.pairs) == list(read_pairs(reply(WHOLE)).pairs)[: len(got.pairs)]
    complete = sum(WHOLE.find(json.dumps(p)) + len(json.dumps(p)) <= length for p in THREE)
    assert len(got.pairs) == complete


@given(st.text())
def test_no_text_makes_reading_fail(text: str) -> None:
    got = read_pairs(reply(text))
    assert got.malformed >= 1 or got.pairs == ()
