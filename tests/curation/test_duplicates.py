"""Steps 1 and 3: the same again, and nearly the same again."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.curation.duplicates import NearDuplicates
from llamaduo.curation.reading import reader_of
from llamaduo.tasks.words import jaccard, shingles
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


@given(st.lists(st.text("abc ", min_size=1, max_size=14), min_size=2, max_size=8))
def test_near_duplicates_are_those_whose_jaccard_index_reaches_the_limit(
    texts: list[str],
) -> None:
    reader = reader_of([], 0.05)
    readings = [reader.read(pair(text, "d e")) for text in texts]
    sets = [shingles(r.instruction.whole + r.response.whole) for r in readings]
    step = NearDuplicates(Fraction("0.5"))
    for reading in readings[:-1]:
        step.admit(reading)
    reaches = any(jaccard(sets[-1], other) >= 0.5 for other in sets[:-1])
    assert (step.objection(readings[-1]) is not None) == reaches
