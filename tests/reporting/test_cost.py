"""The arithmetic of what a run will ask, pay and work, with numbers checked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.records import Message, Question
from llamaduo.reporting.cost import (
    NOTHING,
    Answers,
    CallSize,
    Span,
    judging,
    measured_size,
    priced,
    sampled_size,
    together,
)
from llamaduo.reporting.local_work import CyclePlan, Lengths, Speed, finetuning, inference
from llamaduo.reporting.tables import calls_ahead, work_ahead
from llamaduo.service.pricing import most_usd, usd
from llamaduo.service.requests import canonical_request, most_input_tokens
from llamaduo.service.settings import Price, ServiceSettings

OWN = ServiceSettings(model="openai-chat:own", price=Price(input=1.0, output=10.0))
UNKNOWN = ServiceSettings(model="openai-chat:secret", base_url="https://llm.example.com/v1")
SIZE = CallSize(Span(1000, 4000), Span(100, 500))


def question(text: str) -> Question:
    return Question(stage="judge", messages=(Message("user", text),), max_tokens=500)


def test_a_judge_is_asked_about_every_answer_that_is_left() -> None:
    sets = [
        Answers("judge: base", Span(10, 10), {OWN.model: 15}),
        Answers("judge: cycles", Span(20, 40), {}),
    ]
    base, cycles = judging(sets, OWN, SIZE, repeats=Span(3, 8))
    assert base.calls == Span(15, 65)  # 10 · 3 - 15 and 10 · 8 - 15
    assert cycles.calls == Span(60, 320)
    assert base.usd is not None
    assert base.usd.expected == pytest.approx(15 * (1000 * 1 + 100 * 10) / 1e6)
    assert base.usd.at_most == pytest.approx(65 * (4000 * 1 + 500 * 10) / 1e6)


def test_what_is_answered_beyond_the_expected_is_not_owed_back() -> None:
    (one,) = judging([Answers("judge", Span(10, 10), {OWN.model: 70})], OWN, SIZE, Span(3, 8))
    assert one.calls == Span(0, 10)


def test_a_model_without_a_price_is_named_and_in_no_sum() -> None:
    found = [priced("a", OWN, Span(1, 1), SIZE), priced("b", UNKNOWN, Span(1, 1), SIZE)]
    dollars, unpriced = together(found)
    assert (dollars.expected, dollars.at_most) == pytest.approx((0.002, 0.009))
    assert unpriced == (UNKNOWN.model,)
    assert together([priced("b", UNKNOWN, NOTHING, SIZE)]) == (NOTHING, ())


def test_batches_are_expected_at_half_the_price_and_never_certain() -> None:
    settings = OWN.model_copy(update={"mode": "batch", "model": "openai:own"})
    each = priced("synthesize", settings, Span(100, 100), SIZE)
    calls = priced("synthesize", OWN, Span(100, 100), SIZE)
    assert each.usd is not None
    assert calls.usd is not None
    assert each.usd.expected == pytest.approx(calls.usd.expected / 2)
    assert each.usd.at_most == calls.usd.at_most
    few = priced("synthesize", settings, Span(9, 9), SIZE)
    assert few.usd is not None
    assert few.usd.expected == pytest.approx(9 * 0.002), "too few for a batch"
    chat = priced("synthesize", OWN.model_copy(update={"mode": "batch"}), Span(100, 100), SIZE)
    assert chat.usd == calls.usd, "chat completions have no batches"


def test_calls_that_were_made_are_counted_instead_of_guessed_at() -> None:
    size = measured_size(SIZE, given=900.0, cached=300.0, replied=40.0)
    assert size == CallSize(Span(900, 4000), Span(40, 500), 300.0, measured=True)
    longer = measured_size(SIZE, given=5000.0, cached=0.0, replied=600.0)
    assert (longer.input.at_most, longer.output.at_most) == (5000, 600)


@given(
    st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=5),
    st.integers(0, 999),
    st.sampled_from([OWN, ServiceSettings(model="anthropic:claude-sonnet-4-5")]),
)
def test_at_most_is_what_the_ledger_would_hold(
    texts: list[str], reply: int, settings: ServiceSettings
) -> None:
    asked = [question(text) for text in texts]
    size = sampled_size(asked, 0, reply)
    calls = priced("judge", settings, Span(len(asked), len(asked)), size)
    held = sum(
        most_usd(settings, most_input_tokens(canonical_request("", one)), 500) for one in asked
    )
    assert calls.usd is not None
    assert calls.usd.at_most == pytest.approx(held)
    assert calls.usd.expected <= calls.usd.at_most
    assert usd(settings, size.input.expected, size.output.expected) * len(asked) == pytest.approx(
        calls.usd.expected
    )


def test_no_question_has_no_size() -> None:
    assert sampled_size([], 10, 20.0) == CallSize(NOTHING, NOTHING)


# --- local work -----------------------------------------------------------------------------

LENGTHS = Lengths(pair=100.0, answer=10.0, longest_answer=40)
SPEED = Speed(training=50.0, writing=20.0, source="probe")


def test_fine_tuning_sees_every_pair_in_every_epoch() -> None:
    cycles = (CyclePlan(Span(10, 10), True), CyclePlan(Span(30, 30), False))
    stage = finetuning(cycles, LENGTHS, 3.0, SPEED)
    assert stage.tokens == Span(3000, 12_000)
    assert stage.seconds is not None
    assert (stage.seconds.expected, stage.seconds.at_most) == pytest.approx((60, 240))


def test_inference_writes_answers_as_long_as_references_and_at_most_as_long_as_may_be() -> None:
    stage = inference(Span(8, 16), LENGTHS, SPEED)
    assert stage.tokens == Span(80, 640)
    assert stage.seconds is not None
    assert (stage.seconds.expected, stage.seconds.at_most) == pytest.approx((4, 32))


def test_without_a_speed_there_are_tokens_and_no_time() -> None:
    stage = inference(Span(8, 16), LENGTHS, None)
    assert stage.seconds is None
    table = work_ahead([stage], None)
    assert table.rows == (("infer", "80", "640", "—", "—"),)
    assert "not measured" in table.note


# --- tables ---------------------------------------------------------------------------------


def test_the_tables_leave_out_what_is_done_and_add_up_the_rest() -> None:
    found = [
        priced("judge: base", OWN, NOTHING, SIZE),
        priced("judge: cycles", OWN, Span(10, 20), SIZE),
        priced("synthesize", UNKNOWN, Span(1, 3), SIZE),
    ]
    table = calls_ahead(found)
    assert [row[0] for row in table.rows] == ["judge: cycles", "synthesize", "Total"]
    assert table.rows[0][2:] == ("10", "20", "1,000 ≈", "100 ≈", "$0.0200", "$0.1800")
    assert table.rows[1][-2:] == ("—", "—")
    assert table.rows[2][2:4] == ("11", "23")
    assert table.rows[2][-2:] == ("at least $0.0200", "at least $0.1800")
    assert "set service.price" in table.note
    assert calls_ahead([]).rows == ()


def test_where_the_speed_comes_from_is_said() -> None:
    note = work_ahead([inference(Span(8, 16), LENGTHS, SPEED)], SPEED).note
    assert note.startswith("By a short probe of this machine: 50 tokens a second in training, 20")
