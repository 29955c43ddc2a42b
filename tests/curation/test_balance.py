"""Caps per family and label: who comes first stays, and dropping again drops nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from llamaduo.curation.balance import Excess, over_caps
from llamaduo.curation.reading import Reading
from llamaduo.curation.settings import CurationSettings
from llamaduo.likeness.frames import discount, learn_frames
from llamaduo.likeness.texts import Vocabulary
from llamaduo.tasks.words import lcs_length

TEXT = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6).map(" ".join)
LABEL = st.sampled_from(["yes", "no", None])
PAIRS = st.lists(st.tuples(TEXT, LABEL), max_size=30)
CAP = st.none() | st.integers(1, 4)


def reading(raw: Sequence[str], known: Sequence[str] = ()) -> Reading:
    vocabulary = Vocabulary()
    frames = learn_frames(vocabulary.read(known), 0.05, vocabulary)
    field = discount(vocabulary.read([*known, *raw]), frames, vocabulary)
    return Reading(vocabulary, field, field, len(known), len(known), len(raw))


def caps(family: int | None = None, label: int | None = None) -> CurationSettings:
    return CurationSettings(max_per_family=family, max_per_label=label)


def one_by_one(
    texts: Sequence[str], kept: Sequence[int], labels: Sequence[str | None], caps: CurationSettings
) -> dict[int, int | None]:
    """The pairs beyond the caps and the leaders they lost to, by looking at one after the other."""
    over: dict[int, int | None] = {}
    with_label: Counter[str] = Counter()
    of_family: Counter[int] = Counter()
    for row in kept:
        label = labels[row]
        leader = next((lead for lead in of_family if alike(texts[lead], texts[row])), row)
        if label and caps.max_per_label and with_label[label] >= caps.max_per_label:
            over[row] = None
        elif caps.max_per_family and of_family[leader] >= caps.max_per_family:
            over[row] = leader
        else:
            of_family[leader] += 1
            with_label.update([label] if label else [])
    return over


def alike(a: str, b: str) -> bool:
    """ROUGE-L F of a half or more."""
    ours, others = a.split(), b.split()
    return Fraction(2 * lcs_length(ours, others), len(ours) + len(others)) >= Fraction(1, 2)


def lost(over: Mapping[int, Excess]) -> dict[int, int | None]:
    return {row: excess.lost_to for row, excess in over.items()}


@given(PAIRS, CAP, CAP)
@example(
    [("a", "yes"), ("b c d e", "yes"), ("b c f g", None), ("h", None), ("d e h a", None)], 1, 1
)
def test_it_drops_what_looking_at_one_after_the_other_drops(
    pairs: list[tuple[str, str | None]], family: int | None, label: int | None
) -> None:
    texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    kept = [row for row in range(len(pairs)) if row % 5 != 3]
    found = over_caps(reading(texts), kept, labels, caps(family, label))
    assert lost(found) == one_by_one(texts, kept, labels, caps(family, label))


@given(PAIRS, CAP, CAP)
def test_among_those_that_stay_nothing_is_beyond_a_cap(
    pairs: list[tuple[str, str | None]], family: int | None, label: int | None
) -> None:
    texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    read = reading(texts)
    over = over_caps(read, range(len(pairs)), labels, caps(family, label))
    stay = [row for row in range(len(pairs)) if row not in over]
    assert not over_caps(read, stay, labels, caps(family, label))
    uses = Counter(labels[row] for row in stay if labels[row])
    assert label is None or max(uses.values(), default=0) <= label


def test_the_first_of_a_family_stay_and_the_others_name_their_leader() -> None:
    texts = [f"write a haiku about {topic}" for topic in ("rain", "snow", "bread", "tea")]
    over = over_caps(reading(["name three rivers", *texts]), range(5), [None] * 5, caps(family=2))
    reason = "its template family has enough pairs (at most 2)"
    assert over == {3: Excess(reason, 1), 4: Excess(reason, 1)}


def test_the_first_of_a_label_stay() -> None:
    labels = ["billing", "bug", "billing", "billing", None, None]
    over = over_caps(reading(list("abcdef")), range(6), labels, caps(label=1))
    reason = "its label has enough pairs (billing, at most 1)"
    assert over == {2: Excess(reason), 3: Excess(reason)}


def test_a_pair_dropped_for_its_label_leads_no_family() -> None:
    texts = ["where is Lyon", "name a river", "name a river in Spain", "name a river of Asia"]
    labels = ["place", "place", None, None]
    over = over_caps(reading(texts), range(4), labels, caps(family=1, label=1))
    assert lost(over) == {1: None, 3: 2}


def test_frames_of_the_train_split_make_no_family() -> None:
    known = [f"Tell me, please, which category this ticket has: {word}" for word in "abcdefgh"]
    raw = [f"Tell me, please, which category this ticket has: {word}" for word in "klmn"]
    assert not over_caps(reading(raw, known), range(4), [None] * 4, caps(family=1))
    assert over_caps(reading(raw), range(4), [None] * 4, caps(family=1)).keys() == {1, 2, 3}


def test_without_caps_nothing_is_dropped() -> None:
    assert not over_caps(reading(["a b"] * 3), range(3), ["x"] * 3, caps())
    assert not over_caps(reading([]), [], [], caps(1, 1))
