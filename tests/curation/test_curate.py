"""What holds for every batch: nothing is lost, kept pairs stay kept, nothing held out gets in."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.curation.curate import NO_LABELS, curate
from llamaduo.curation.settings import CurationSettings
from llamaduo.records import Event, FinalSplit, Message, Pair, TestSplit, TrainSplit
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import SETTINGS, curated, pair

STEPS = ("exact duplicates", "quality rules", "near-duplicates", "novelty", "decontamination")
WORDS = ("please", "sum", "this", "text", "about", "bread", "and", "rain", "in", "two", "lines")
TEXT = st.lists(st.sampled_from(WORDS), min_size=0, max_size=14).map(" ".join)
ODD = st.sampled_from(["", "...", "As an AI, I rest.", "да нет", "```\ncode", "👍"])
PAIRS = st.lists(st.builds(pair, TEXT, TEXT | ODD), max_size=12)


@settings(max_examples=150)
@given(PAIRS, PAIRS, PAIRS, PAIRS, PAIRS)
def test_invariants(
    raw: list[Pair], train: list[Pair], earlier: list[Pair], test: list[Pair], final: list[Pair]
) -> None:
    result = curated(raw, train, test, earlier=earlier, final=final)

    in_order = iter(raw)
    assert all(any(kept is r for r in in_order) for kept in result.kept)
    assert sorted(p.id for p in raw) == sorted(
        p.id for p in (*result.kept, *(d.pair for d in result.dropped))
    )
    assert all(drop.step in STEPS and drop.reason for drop in result.dropped)

    there = {p.id for p in (*train, *earlier, *result.kept)}
    held_out = {p.id for p in (*test, *final)}
    for drop in result.dropped:
        if drop.step == "quality rules":
            assert drop.lost_to is None
        else:
            assert drop.lost_to in (held_out if drop.step == "decontamination" else there)

    again = curated(result.kept, train, test, earlier=earlier, final=final)
    assert again.kept == result.kept
    assert not again.dropped
    assert not curated(result.kept, train, test, earlier=[*earlier, *result.kept]).kept


@given(PAIRS, PAIRS)
def test_each_pair_of_the_held_out_splits_is_dropped(train: list[Pair], held: list[Pair]) -> None:
    assert not curated(held, train, held).kept


def test_the_first_step_that_objects_is_named() -> None:
    known = pair("Name three rivers that flow through the north of Spain", "Ebro")
    refusal = pair("Name three rivers that flow through the north of Italy", "As an AI, I rest.")
    result = curated([known, refusal], [known], [known])
    assert [drop.step for drop in result.dropped] == ["exact duplicates", "quality rules"]


def test_a_new_question_in_a_seeds_conversation_is_new() -> None:
    seed, other = pair("Where is it?", "On the Ebro."), pair("Who founded the town?", "Romans.")
    turns = (Message("user", "Tell me of Zaragoza " * 20), Message("assistant", "Gladly. " * 20))
    seed, other = (replace(p, messages=(*turns, *p.messages)) for p in (seed, other))
    assert curated([other], [seed]).kept == (other,)


def test_an_empty_batch_and_empty_splits_are_fine() -> None:
    result = curated([])
    assert (result.kept, result.dropped, result.discounted) == ((), (), ())


def test_every_pair_is_reported_as_done() -> None:
    events: list[Event] = []
    raw = [pair("Where is Lyon?"), pair("Where is Lyon?"), pair("Who wrote Faust?")]
    curate(
        raw,
        train=TrainSplit(()),
        earlier=(),
        test=TestSplit(()),
        final=FinalSplit(()),
        settings=SETTINGS,
        task=TaskSettings(),
        notify=events.append,
    )
    done = [(e.stage, e.done, e.total, e.unit) for e in events if e.total]
    assert done[-1] == ("curate", 3, 3, "pairs")


def test_a_label_cap_without_labels_is_warned_of() -> None:
    def warned(train: list[Pair]) -> list[str]:
        events: list[Event] = []
        curate(
            [],
            train=TrainSplit(tuple(train)),
            earlier=(),
            test=TestSplit(()),
            final=FinalSplit(()),
            settings=CurationSettings(max_per_label=1),
            task=TaskSettings(kind="classification"),
            notify=events.append,
        )
        return [event.detail for event in events if event.unit == "warning"]

    open_set = [pair(f"Message {n}", f"answer {n}") for n in range(9)]
    assert warned(open_set) == [NO_LABELS]
    assert not warned([pair(f"Message {n}", "praise") for n in range(9)])


def test_threads_change_nothing() -> None:
    raw = [pair(f"Write {n} lines about bread and rain", "x " * n) for n in range(1, 40)]
    alone, together = (curated(raw, raw[:2], threads=threads) for threads in (1, 3))
    assert alone == together
