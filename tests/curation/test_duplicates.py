"""Steps 1 and 3: the same again, and nearly the same again."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.curation.duplicates import normalised
from tests.curation.making import curated, pair, verdicts

STEP = "exact duplicates"


def test_a_copy_up_to_white_space_and_case_is_dropped() -> None:
    first = pair("Where is  Lyon?", "In France.")
    again = pair(" where is lyon?\n", "in FRANCE.")
    result = curated([first, again])
    assert result.kept == (first,)
    assert verdicts(result) == [(STEP, "same prompt and response as another pair", first.id)]


def test_the_same_prompt_with_another_response_is_dropped_and_says_so() -> None:
    known, other = pair("Where is Lyon?", "In France."), pair("Where is Lyon?", "In Spain.")
    for result in (curated([other], [known]), curated([other], earlier=[known])):
        assert verdicts(result) == [(STEP, "same prompt as another pair, other response", known.id)]


def test_a_dropped_pair_costs_no_other_its_place() -> None:
    refusal = pair("Where is Lyon?", "As an AI language model, I cannot travel.")
    answer = pair("Where is Lyon?", "In France.")
    assert curated([refusal, answer]).kept == (answer,)


def test_a_near_duplicate_names_the_pair_that_it_lost_to() -> None:
    long = " ".join(f"word{i}" for i in range(40))
    known, near = pair("Sum this up: " + long, long), pair("Sum this up: " + long + " end", long)
    result = curated([near], [known])
    assert verdicts(result) == [("near-duplicates", "nearly the same as another pair", known.id)]


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_takes_a_shorter_way_to_the_same(text: str) -> None:
    long_way = unicodedata.normalize("NFKC", text).casefold().split()
    assert normalised(text) == " ".join(long_way)


def test_characters_that_look_the_same_are_the_same() -> None:
    first, again = pair("What is ﬁne wine?", "red"), pair("what is fine\u00a0WINE?", "white")
    assert verdicts(curated([first, again]))[0][0] == STEP


def test_the_turns_before_count() -> None:
    first = pair("Where is Lyon?", "In France.", system="Answer briefly.")
    assert not curated([first, pair("Where is Paris?", "There.", system="At length.")]).dropped
    other = pair("Where is Lyon?", "In France.", system="Answer at length.")
    assert [d.step for d in curated([first, other]).dropped] != [STEP]
