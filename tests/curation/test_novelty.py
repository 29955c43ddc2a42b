"""Step 4: what is new. That it equals brute force is in ``test_exactness.py``."""

from __future__ import annotations

import pytest

from llamaduo.curation.novelty import Compared
from llamaduo.curation.settings import CurationSettings
from tests.curation.making import curated, pair, verdicts


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


LONG = " ".join(f"word{i}" for i in range(40))
OTHER = " ".join(f"else{i}" for i in range(60))


@pytest.mark.parametrize(
    ("field", "instruction", "response", "dropped"),
    [
        ("instruction", "Name three large rivers of Spain", OTHER, True),
        ("instruction", "Who painted the ceiling", LONG + " end", False),
        ("response", "Who painted the ceiling", LONG + " end", True),
        ("response", "Name three large rivers of Spain", OTHER, False),
        ("both", "Name three large rivers of Spain", LONG + " " + OTHER[:90], True),
        ("both", "Name three large rivers of Spain", OTHER, False),
    ],
)
def test_the_fields_that_are_compared(
    field: Compared, instruction: str, response: str, *, dropped: bool
) -> None:
    settings = CurationSettings(novelty_field=field, near_duplicate=1)
    known = pair("Name three long rivers of Spain", LONG)
    result = curated([pair(instruction, response)], [known], settings=settings)
    assert [d.step for d in result.dropped] == ["novelty"] * dropped


@pytest.mark.parametrize("field", ["response", "both"])
def test_a_short_response_says_nothing(field: Compared) -> None:
    settings = CurationSettings(novelty_field=field)
    pairs = [pair("Is water wet", "yes it is"), pair("Does iron float at sea", "yes it is")]
    assert not curated(pairs, settings=settings).dropped


def test_a_limit_of_many_digits_and_long_texts() -> None:
    """Both at once would not fit into 64 bits."""
    thirds = CurationSettings(novelty=2 / 3, near_duplicate=2 / 3, contamination=2 / 3)
    one, other, held = (
        pair(" ".join(f"{name}{i}" for i in range(2000)), name) for name in ("one", "other", "held")
    )
    nearly = pair(other.instruction.replace("other7", "new7"), "nearly")
    result = curated([one, other, nearly], held_out=[held], settings=thirds)
    assert result.kept == (one, other)
    assert [d.lost_to for d in result.dropped] == [other.id]


def test_stems_make_inflected_words_alike() -> None:
    pytest.importorskip("nltk")
    one, other = pair("List painted ceilings and walls"), pair("Listing painting ceiling and wall")
    assert not curated([one, other]).dropped
    result = curated([one, other], settings=CurationSettings(stemming=True))
    assert [d.step for d in result.dropped] == ["novelty"]
