"""The split: near-duplicates and groups stay together, frames do not glue, order is nothing."""

from __future__ import annotations

import random
import re
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.coverage.settings import CoverageSettings
from llamaduo.coverage.splitting import split
from llamaduo.errors import DataError
from llamaduo.records import CoverageDataset, Message, Pair, Provenance, Split, pair_id
from llamaduo.tasks.words import jaccard, shingles, words

FRAME = (
    "You triage tickets. Answer with one category out of billing, shipping, account and technical,"
    " and with a priority out of low, normal and high. Write nothing else. The ticket reads: "
)


def pair(instruction: str, response: str = "yes", **metadata: str) -> Pair:
    messages = (Message("user", instruction),)
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source="human",
        provenance=Provenance(origin="coverage", source="pairs.jsonl:1"),
        metadata=metadata,
    )


def options(
    train_fraction: float = 0.8,
    final_fraction: float = 0.0,
    group_key: str | None = None,
    seed: int = 0,
) -> CoverageSettings:
    return CoverageSettings(
        data=("pairs.jsonl",),
        train_fraction=train_fraction,
        final_fraction=final_fraction,
        group_key=group_key,
        seed=seed,
    )


def dataset(*pairs: Pair) -> CoverageDataset:
    return CoverageDataset(pairs)


def places(parts: Split) -> dict[str, str]:
    named = {"train": parts.train.pairs, "test": parts.test.pairs, "final": parts.final.pairs}
    return {pair.id: name for name, pairs in named.items() for pair in pairs}


def sizes(parts: Split) -> tuple[int, int, int]:
    return len(parts.train.pairs), len(parts.test.pairs), len(parts.final.pairs)


def sentence(rng: random.Random, length: int) -> str:
    return " ".join(f"w{rng.randrange(400)}" for _ in range(length))


def unlike(count: int, seed: int = 0) -> list[Pair]:
    rng = random.Random(seed)
    return [pair(sentence(rng, 12)) for _ in range(count)]


# --- what must stay together --------------------------------------------------------------


def test_fractions_are_met_to_the_pair_where_prompts_are_unlike() -> None:
    parts = split(dataset(*unlike(100)), options(0.7, 0.1))
    assert sizes(parts) == (70, 20, 10)
    assert (parts.clusters, parts.leaks) == (100, ())


@pytest.mark.parametrize(("families", "members"), [(100, 2), (10, 5), (20, 4)])
def test_paraphrases_stay_in_one_split(families: int, members: int) -> None:
    rng = random.Random(1)
    pairs = []
    for family in range(families):
        body = sentence(rng, 30)
        pairs += [pair(f"{body} {family}v{version}") for version in range(members)]
    parts = split(dataset(*pairs), options(0.6, 0.2))
    assert parts.clusters == families
    where = places(parts)
    for start in range(0, len(pairs), members):
        assert len({where[p.id] for p in pairs[start : start + members]}) == 1


def test_one_prompt_with_many_responses_is_one_cluster() -> None:
    repeated = [pair("What does the blue light on the modem mean?", str(n)) for n in range(30)]
    parts = split(dataset(*repeated, *unlike(70)), options())
    assert parts.clusters == 71
    assert len({places(parts)[p.id] for p in repeated}) == 1


def test_one_customer_stays_in_one_split() -> None:
    pairs = [
        pair(p.instruction, customer=f"c{n % 20}") if n % 3 else p
        for n, p in enumerate(unlike(120))
    ]
    parts = split(dataset(*pairs), options(0.5, 0.2, group_key="customer"))
    seen: dict[str, set[str]] = {}
    for p in pairs:
        if "customer" in p.metadata:
            seen.setdefault(p.metadata["customer"], set()).add(places(parts)[p.id])
    assert all(len(names) == 1 for names in seen.values())
    assert parts.clusters == 40 + 20


# --- what must not ------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 8, 30, 300])
def test_a_shared_frame_does_not_glue_unlike_tickets(count: int) -> None:
    rng = random.Random(2)
    pairs = [pair(FRAME + sentence(rng, 10) + " Thank you!") for _ in range(count)]
    first, second = (shingles(words(p.instruction)) for p in pairs[:2])
    assert jaccard(first, second) > 0.5  # measured whole they are alike
    parts = split(dataset(*pairs), options())
    assert parts.clusters == count
    assert parts.leaks == ()


def test_near_duplicate_tickets_are_found_within_the_frame() -> None:
    rng = random.Random(3)
    pairs = [pair(FRAME + sentence(rng, 20)) for _ in range(100)]
    twins = [pair(p.instruction + " please") for p in pairs[:40]]
    parts = split(dataset(*pairs, *twins), options())
    assert parts.clusters == 100
    assert all(
        places(parts)[p.id] == places(parts)[t.id] for p, t in zip(pairs, twins, strict=False)
    )


def test_prompts_that_are_nothing_but_frame_are_compared_exactly() -> None:
    def asks(history: str, response: str) -> Pair:
        messages = (
            Message("user", history),
            Message("assistant", "ok"),
            Message("user", "and then what?"),
        )
        return Pair(
            id=pair_id(messages, response),
            messages=messages,
            response=response,
            reference_source="human",
            provenance=Provenance(origin="coverage", source="pairs.jsonl:1"),
        )

    same = [asks("the first", str(n)) for n in range(5)]
    others = [asks(sentence(random.Random(n), 5), "x") for n in range(20)]
    symbols = [pair("???"), pair("!!!"), pair("???", "no")]
    # "and then what" is one distinct instruction here: it counts once and stays a prompt.
    assert split(dataset(*same, *others, *symbols, *unlike(10)), options()).clusters == 1 + 2 + 10
    # With other instructions around it, its words are a frame, and what precedes them decides.
    framed = [pair(f"and then what? w{n}") for n in range(10)]
    assert split(dataset(*same, *others, *framed), options()).clusters == 1 + 20 + 10


def test_leaks_are_what_words_in_order_still_show() -> None:
    rng = random.Random(4)
    originals = [sentence(rng, 24).split() for _ in range(30)]
    # Every fourth word differs: few shared runs of three words, but three quarters in order.
    edited = [[w if n % 4 else f"x{n}" for n, w in enumerate(tokens)] for tokens in originals]
    pairs = [pair(" ".join(tokens)) for tokens in originals + edited]
    parts = split(dataset(*pairs), options(0.5))
    assert parts.clusters == 60
    where = places(parts)
    apart = {
        frozenset((a.id, b.id))
        for a, b in zip(pairs[:30], pairs[30:], strict=True)
        if where[a.id] != where[b.id]
    }
    assert apart
    assert {frozenset(leak) for leak in parts.leaks} == apart
    assert all(
        (where[train], where[held_out]) == ("train", "test") for train, held_out in parts.leaks
    )


# --- sizes --------------------------------------------------------------------------------


def test_a_cluster_larger_than_the_test_share_goes_to_train() -> None:
    large = [pair("the same long question about the invoice", str(n)) for n in range(50)]
    parts = split(dataset(*large, *unlike(50)), options())
    assert sizes(parts) == (80, 20, 0)
    assert {places(parts)[p.id] for p in large} == {"train"}


def test_the_smallest_cluster_is_tested_where_none_fits() -> None:
    groups = {"a": 30, "b": 20, "c": 50}
    names = [name for name, size in groups.items() for _ in range(size)]
    pairs = [pair(p.instruction, g=g) for p, g in zip(unlike(100), names, strict=True)]
    parts = split(dataset(*pairs), options(0.9, group_key="g"))
    assert sizes(parts) == (80, 20, 0)
    assert {p.metadata["g"] for p in parts.test.pairs} == {"b"}


@pytest.mark.parametrize(
    ("count", "final_fraction", "expected"), [(2, 0.0, (1, 1, 0)), (3, 0.1, (1, 1, 1))]
)
def test_the_fewest_pairs_that_can_be_split(
    count: int, final_fraction: float, expected: tuple[int, int, int]
) -> None:
    assert sizes(split(dataset(*unlike(count)), options(0.5, final_fraction))) == expected


@pytest.mark.parametrize(
    ("pairs", "given_options", "message", "hint"),
    [
        ([], options(), "no train pair: 0 pairs", "Add pairs"),
        (unlike(1), options(), "no test pair: 1 pair in 1 cluster", "Add pairs that ask other"),
        (unlike(2), options(0.5, 0.2), "no final pair: 2 pairs in 2 clusters", "final_fraction"),
        (
            [pair("the same question", str(n)) for n in range(9)],
            options(),
            "no test pair: 9 pairs in 1 cluster of near-duplicate prompts",
            "near_duplicate",
        ),
        (
            [pair(p.instruction, customer="one") for p in unlike(9)],
            options(group_key="customer"),
            "near-duplicate prompts or equal customer",
            "group_key",
        ),
        (
            [pair(p.instruction, customer="one") for p in unlike(9)],
            options(group_key="costumer"),
            "No pair has the field 'costumer'",
            "customer",
        ),
    ],
)
def test_a_split_that_would_stay_empty_is_an_error(
    pairs: list[Pair], given_options: CoverageSettings, message: str, hint: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        split(dataset(*pairs), given_options)
    assert hint in caught.value.hint


# --- stability ----------------------------------------------------------------------------


def test_another_seed_is_another_split() -> None:
    pairs = dataset(*unlike(60))
    assert split(pairs, options(seed=0)).sha256 != split(pairs, options(seed=1)).sha256


def test_the_hash_is_the_same_on_every_machine() -> None:
    parts = split(dataset(*(pair(f"question number {n}") for n in range(10))), options())
    assert parts.sha256 == "ee746f756d0042602fe4444d344fbe0971fae07ef27d5e76f55aa15823375f30"


def test_a_few_more_pairs_move_only_a_few() -> None:
    pairs = unlike(200)
    before = places(split(dataset(*pairs), options(0.7, 0.1)))
    after = places(split(dataset(*pairs, *unlike(10, seed=9)), options(0.7, 0.1)))
    assert sum(before[i] != after[i] for i in before) <= 10


TOPICS = [sentence(random.Random(n), 9) for n in range(6)]


@st.composite
def messy(draw: st.DrawFn) -> tuple[list[Pair], CoverageSettings]:
    """Pairs with repeats, paraphrases and groups, and settings to split them with."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(TOPICS), st.text("ab", max_size=3), st.sampled_from("xyz123")
            ),
            min_size=1,
            max_size=40,
        )
    )
    keyed = draw(st.booleans())
    framed = draw(st.sampled_from(["", FRAME]))
    pairs = {
        (made := pair(f"{framed}{topic} {tail}", tail, **({"g": group} if keyed else {}))).id: made
        for topic, tail, group in rows
    }
    return list(pairs.values()), options(
        draw(st.sampled_from([0.2, 0.5, 0.8])),
        draw(st.sampled_from([0.0, 0.1])),
        "g" if keyed else None,
        draw(st.integers(0, 3)),
    )


@settings(deadline=None)
@given(messy(), st.randoms(use_true_random=False))
def test_any_split_is_a_partition_of_whole_clusters_whatever_the_order(
    given_data: tuple[list[Pair], CoverageSettings], rng: random.Random
) -> None:
    pairs, given_options = given_data
    try:
        parts = split(dataset(*pairs), given_options)
    except DataError:
        return  # too few clusters, which has its own tests
    where = places(parts)
    assert Counter(where.keys()) == Counter(p.id for p in pairs)
    assert sum(sizes(parts)) == len(pairs)
    assert sizes(parts)[0]
    assert sizes(parts)[1]
    assert bool(sizes(parts)[2]) == (given_options.final_fraction > 0)

    for a, b in combinations(pairs, 2):
        grouped = given_options.group_key and a.metadata["g"] == b.metadata["g"]
        if a.messages == b.messages or grouped:
            assert where[a.id] == where[b.id]

    shuffled = rng.sample(pairs, len(pairs))
    assert split(dataset(*shuffled), given_options) == parts
