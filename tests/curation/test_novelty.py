"""Step 4 equals brute force, and compares exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.curation.novelty import Novelty, RougeIndex
from llamaduo.curation.reading import Reading, Text, reader_of
from llamaduo.tasks.words import lcs_length, rouge_l
from tests.curation.making import curated, pair, verdicts

INSTRUCTIONS = st.lists(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9).map(" ".join), max_size=14
)


def text(tokens: list[str]) -> Text:
    return Text(tuple(tokens), (tuple(tokens),), tuple(tokens))


def reaches(a: Text, b: Text, tenths: int) -> bool:
    """ROUGE-L F ≥ tenths/10 in both views, in whole numbers."""
    views = ((a.whole, b.whole), (a.remaining, b.remaining))
    return all(20 * lcs_length(x, y) >= tenths * (len(x) + len(y)) for x, y in views)


@settings(max_examples=200)
@given(INSTRUCTIONS, INSTRUCTIONS, st.integers(3, 10))
def test_the_kept_set_equals_brute_force(train: list[str], raw: list[str], tenths: int) -> None:
    reader = reader_of([pair(instruction) for instruction in train], 0.05)
    known: list[Reading] = [reader.read(pair(instruction)) for instruction in train]
    step = Novelty(Fraction(tenths, 10))
    for reading in known:
        step.admit(reading)
    for reading in (reader.read(pair(instruction)) for instruction in raw):
        objection = step.objection(reading)
        close = [k for k in known if reaches(k.instruction, reading.instruction, tenths)]
        assert (objection is not None) == bool(close)
        if objection is None:
            known.append(reading)
            step.admit(reading)
        else:
            assert objection.lost_to in {k.pair.id for k in close}


@pytest.mark.parametrize(
    ("common", "n", "m"), [(7 * k, 10 * k + d, 10 * k - d) for k in (1, 2, 3, 9) for d in (0, 1, 2)]
)
def test_exactly_at_the_limit_is_at_the_limit(common: int, n: int, m: int) -> None:
    shared = [f"s{i}" for i in range(common)]
    a = shared + [f"a{i}" for i in range(n - common)]
    b = shared + [f"b{i}" for i in range(m - common)]
    index = RougeIndex(Fraction("0.7"))
    index.add(text(a), "a")
    assert rouge_l(a, b) == pytest.approx(0.7)
    assert index.like(text(b)) == (Fraction(7, 10), "a")
    assert index.like(text([*b, "one", "more"])) is None


def test_the_drop_says_how_close_it_was_and_to_what() -> None:
    known = pair("Name three rivers that flow through the north of Spain")
    close = pair("Name three rivers that flow through the south of Spain", "Ebro, Tajo, Duero")
    new = pair("Which mountain is the highest in Portugal")
    result = curated([close, new], [known])
    assert result.kept == (new,)
    assert verdicts(result) == [("novelty", "instruction too close to another pair's", known.id)]
    assert result.dropped[0].reason.endswith("(ROUGE-L 0.90, limit 0.7)")


def test_prompts_in_a_shared_frame_are_compared_by_what_they_put_in_it() -> None:
    frame = "Classify the message below as praise or complaint and give one word: {}"
    train = [pair(frame.format(m), "praise") for m in ("love it", "well done", "great staff")]
    fresh = pair(frame.format("the soup was cold"), "complaint")
    again = pair(frame.format("the soup was so cold"), "complaint")
    result = curated([fresh, again], train)
    assert result.kept == (fresh,)
    assert result.dropped[0].lost_to == fresh.id
    assert "classify the message below as praise or complaint and give one word" in (
        result.discounted
    )


def test_prompts_that_differ_only_in_which_frame_they_use_are_not_alike() -> None:
    bodies = ("cannot log in since Monday", "was charged twice for one month", "never arrived")
    train = [
        pair(f"{who}: {body} and then some words for {i}")
        for i, who in enumerate(("Ana", "Ben", "Cy", "Dora", "Eve", "Finn"))
        for body in bodies
    ]
    one, other = (pair(f"Zoe: {body} today") for body in bodies[:2])
    assert curated([one, other], train).kept == (one, other)
