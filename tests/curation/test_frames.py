"""What many train prompts share is found, shown, and does not count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.curation.frames import FEWEST, RUN, SHOWN, learn_frames
from llamaduo.curation.reading import read_text
from llamaduo.tasks.words import words

TOKENS = st.lists(st.sampled_from("abcd"), max_size=12)
CITIES = ("Lyon", "Oslo", "Rome", "Bern", "Kyiv")
FRAMED = [
    words(f"Say where {city} is. Answer with the country, and nothing else.") for city in CITIES
]


def test_a_frame_with_a_slot_leaves_what_stands_in_the_slot() -> None:
    frames = learn_frames(FRAMED, 0.05)
    text = read_text("Say where Quito is. Answer with the country, and nothing else.", frames)
    assert text.remaining == ("quito",)
    assert text.outside == (("quito",),)
    assert "is answer with the country and nothing else" in frames.shown
    assert "say where" in frames.shown


def test_a_text_that_is_all_frame_equals_only_itself() -> None:
    frames = learn_frames([["what", "is", "it"]] * 3 + [["what", "is", "that"]] * 3, 0.05)
    one, other = read_text("What is it?", frames), read_text("What is that?", frames)
    assert one.remaining == ("what is it",)
    assert one.remaining != other.remaining
    assert one.outside == ()


def test_a_text_of_symbols_is_its_own_word() -> None:
    frames = learn_frames([], 0.05)
    assert read_text(" 👍 ", frames).remaining == ("👍",)
    assert read_text("  ", frames).remaining == ()


def test_two_prompts_alike_make_no_frame() -> None:
    assert not learn_frames([["a", "b", "c"]] * 2, 0.05).runs


def test_the_share_must_be_exceeded_exactly() -> None:
    def found(prompts: int) -> bool:
        others = [[f"w{i}"] for i in range(prompts - 29)]
        return bool(learn_frames([["a", "b", "c"]] * 29 + others, 0.29).runs)

    assert not found(100)  # 29 of 100 is 29 %, not more; in floats 0.29 × 100 is below 29
    assert found(99)


def test_at_most_twenty_are_shown_the_longest_first() -> None:
    prompts = [[f"p{start}w{i}" for i in range(start % 5 + 3)] for start in range(40)] * FEWEST
    shown = learn_frames(prompts, 0.01).shown
    lengths = [len(text.split()) for text in shown]
    assert len(shown) == SHOWN
    assert lengths == sorted(lengths, reverse=True)


@given(st.lists(TOKENS, max_size=12), st.sampled_from([0.05, 0.3, 1.0]))
def test_the_runs_are_those_that_brute_force_counts(prompts: list[list[str]], share: float) -> None:
    padded = [["", "", *prompt, "", ""] for prompt in prompts]
    every = {tuple(p[i : i + RUN]) for p in padded for i in range(len(p) - RUN + 1)}
    expected = set()
    for run in every:
        holders = sum(
            any(tuple(p[i : i + RUN]) == run for i in range(len(p) - RUN + 1)) for p in padded
        )
        if holders >= FEWEST and holders / len(prompts) > share:
            expected.add(run)
    assert learn_frames(prompts, share).runs == expected


@given(st.lists(TOKENS, max_size=8), TOKENS)
def test_what_remains_is_part_of_the_text_in_order(
    prompts: list[list[str]], tokens: list[str]
) -> None:
    text = read_text(" ".join(tokens), learn_frames(prompts, 0.05))
    left = iter(tokens)
    assert all(word in left for stretch in text.outside for word in stretch)
    assert bool(text.remaining) == bool(tokens)
