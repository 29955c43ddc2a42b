"""Finding things in a run: what fits is found, whole and in a useful order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import UsageError
from llamaduo.records import METRICS, Judgement, Metric, Unscored
from llamaduo.reporting.inside import (
    CallsWanted,
    SplitName,
    Wanted,
    dropped,
    find_calls,
    judgements,
    pairs,
    responses,
    whole_response,
)
from llamaduo.reporting.inside_tables import (
    CallSums,
    call_table,
    judgement_table,
    more_than,
    one_line,
    response_table,
)
from llamaduo.reporting.sets import set_folder, set_words
from llamaduo.service.calls import CallRecord, open_calls
from llamaduo.storage.jsonl import write_records
from tests.reporting.runs import JUDGES, panel_score, rich_run, whole_run

SCORE = st.floats(0, 100)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A made-up run: the nth test prompt of cycle 1 scores 5n for precision, 4n similarity."""
    return whole_run(tmp_path / "whole")


# --- which set ----------------------------------------------------------------------------


def test_the_best_cycle_is_what_is_shown_first(run: Path) -> None:
    assert set_folder(run, None) == set_folder(run, "1") == set_folder(run, "001") == "cycles/001"
    (run / "verdict.json").unlink()
    assert set_folder(run, None) == "cycles/001"


def test_a_set_that_is_not_there(run: Path) -> None:
    with pytest.raises(UsageError, match="no responses of cycle 7") as refused:
        set_folder(run, "7")
    assert refused.value.hint == "It has: 1."
    with pytest.raises(UsageError, match="no responses of the base model"):
        set_folder(run, "base")
    with pytest.raises(UsageError, match=r"no responses of cycle \.\./x"):
        set_folder(run, "../x")


def test_a_set_of_a_finished_run(finished_run: Path) -> None:
    assert set_folder(finished_run, "base") == "base"
    assert set_folder(finished_run, "final") == "final/000"
    assert [set_words(w) for w in ("base", "cycles/001", "final/000")] == [
        "the base model",
        "cycle 1",
        "the final split",
    ]


# --- responses and judgements -------------------------------------------------------------


def test_the_worst_response_comes_first(run: Path) -> None:
    found = responses(run, "cycles/001", Wanted())
    assert len(found) == 16
    assert [one.response.text for one in found[:2]] == ["answer 0", "answer 1"]
    assert found[1].scores == panel_score(similarity=4.0, precision=5.0)
    assert found[1].pair is not None
    assert found[1].pair.instruction == "test prompt 1"


def test_what_was_not_scored_comes_last(run: Path) -> None:
    path = run / "cycles/001/judgements.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[4:]))  # the worst response loses its judgements
    found = responses(run, "cycles/001", Wanted())
    assert found[-1].response.text == "answer 0"
    assert found[-1].scores is None


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(below=10), {0, 1, 2}),  # the mean of 5n and 4n
        (Wanted(below=10, metric="precision"), {0, 1}),
        (Wanted(above=55, metric="similarity"), {14, 15}),
        (Wanted(above=10, below=20, metric="precision"), {3}),
        (Wanted(contains="ANSWER 7"), {7}),
        (Wanted(contains="prompt 12"), {12}),
        (Wanted(contains="nowhere"), set()),
    ],
)
def test_responses_that_fit(run: Path, wanted: Wanted, numbers: set[int]) -> None:
    found = responses(run, "cycles/001", wanted)
    assert {int(one.response.text.removeprefix("answer ")) for one in found} == numbers


def test_responses_to_one_prompt(run: Path) -> None:
    one = responses(run, "cycles/001", Wanted())[3].response
    found = responses(run, "cycles/001", Wanted(prompt=one.pair_id[:6]))
    assert [response.response.id for response in found] == [one.id]


def test_judgements_of_one_judge_lowest_first_unscored_last(run: Path) -> None:
    lost = Unscored(
        response_id="r", pair_id="p", judge=JUDGES[0], index=0, kind="malformed", reason="cut off"
    )
    write_records(run / "cycles/001/unscored.jsonl", [lost])
    found = judgements(run, "cycles/001", Wanted(judge="judge-a"))
    assert {one.judge for one in found} == {JUDGES[0]}
    assert isinstance(found[0], Judgement)
    assert found[0].marks["precision"].score == 0
    assert found[-1] == lost
    assert lost not in judgements(run, "cycles/001", Wanted(judge="judge-b"))
    assert lost not in judgements(run, "cycles/001", Wanted(below=101))
    assert judgements(run, "cycles/001", Wanted(contains="CUT OFF")) == [lost]


@given(SCORE, SCORE, SCORE, SCORE, st.sampled_from([None, *METRICS]))
def test_bounds_part_what_lies_inside_from_what_does_not(
    similarity: float, precision: float, low: float, high: float, metric: Metric | None
) -> None:
    scores = panel_score(similarity=similarity, precision=precision)
    score = Wanted(metric=metric).score(scores)
    assert score is not None
    inside = Wanted(metric=metric, above=low, below=high).bounds(scores)
    assert inside == (low < score < high)
    assert Wanted(metric=metric).bounds(scores)
    assert Wanted(metric=metric).bounds(None)
    assert not Wanted(metric=metric, above=low).bounds(None)


@given(st.text(), st.text(), st.text())
def test_a_part_of_a_text_is_found_in_any_case(before: str, part: str, after: str) -> None:
    assert Wanted(contains=part.upper()).has("", before + part.upper() + after)
    assert Wanted(contains=part.casefold()).has(before + part + after)
    assert Wanted(contains="").has(before)


def test_another_metric_narrows_and_orders_and_has_its_column(tmp_path: Path) -> None:
    run = rich_run(tmp_path)
    found = responses(run, "service", Wanted(metric="tone_of_voice", above=83))
    assert [one.scores and one.scores.of("tone_of_voice") for one in found] == [84, 85]
    table = response_table("Responses", found, 5, None)
    assert [c.name for c in table.columns[1:4]] == ["Similarity", "Precision", "Tone of voice"]
    judged = judgements(run, "service-final", Wanted(metric="tone_of_voice"))
    drawn = judgement_table("Judgements", judged, 1, None)
    assert drawn.rows[0][3:6] == ("0", "0", "70")
    assert drawn.rows[0][6].endswith("/ Reason 0. / Plain.")


def test_a_metric_that_nobody_was_asked_about(run: Path) -> None:
    for find in (responses, judgements):
        with pytest.raises(UsageError, match="No judge was asked about 'recall'") as refused:
            find(run, "cycles/001", Wanted(metric="recall"))
        assert refused.value.hint == "The metrics are: similarity, precision."


# --- one response in full -----------------------------------------------------------------


def test_everything_about_one_response(finished_run: Path) -> None:
    first = responses(finished_run, "base", Wanted())[0].response
    with open_calls(finished_run / "ledger.sqlite") as calls:
        whole = whole_response(finished_run, "base", first.id, calls)
    assert whole.found.response == first
    assert whole.found.pair is not None
    assert len(whole.judgements) == 2
    for one in whole.judgements:
        assert one.call is not None
        assert one.call.key == one.judgement.call
        content = json.loads(one.call.raw)["choices"][0]["message"]["content"]
        assert isinstance(one.judgement, Judgement)
        assert json.loads(content)["precision"]["score"] == one.judgement.marks["precision"].score


def test_a_response_without_a_ledger(run: Path) -> None:
    first = responses(run, "cycles/001", Wanted())[0].response
    whole = whole_response(run, "cycles/001", first.id, None)
    assert [one.call for one in whole.judgements] == [None] * 4


def test_an_id_that_fits_none_or_several(run: Path) -> None:
    with pytest.raises(UsageError, match="begins with 'zz'"):
        whole_response(run, "cycles/001", "zz", None)
    with pytest.raises(UsageError, match="16 responses of cycles/001"):
        whole_response(run, "cycles/001", "", None)


# --- pairs, drops, calls ------------------------------------------------------------------


@pytest.mark.parametrize("split", ["accepted", "train", "test", "final", "synthetic"])
def test_pairs_of_every_split(finished_run: Path, split: SplitName) -> None:
    folder = "cycles/000" if split == "synthetic" else "coverage"
    path = finished_run / folder / f"{split}.jsonl"
    found = pairs(finished_run, split, None, Wanted())
    assert len(found) == path.read_text().count("\n") > 0
    only = pairs(finished_run, split, None, Wanted(prompt=found[-1].id))
    assert only == [found[-1]]


def test_synthetic_pairs_of_one_cycle(finished_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    shutil.copy(run / "cycles/000/synthetic.jsonl", run / "cycles/001/synthetic.jsonl")
    both = pairs(run, "synthetic", None, Wanted())
    assert len(both) == 2 * len(pairs(run, "synthetic", 1, Wanted()))
    with pytest.raises(UsageError, match="no curated batch after cycle 5") as refused:
        pairs(run, "synthetic", 5, Wanted())
    assert refused.value.hint == "It has one after: 0, 1."


def test_drops_by_step_and_reason(run: Path) -> None:
    assert len(dropped(run, None, "", "", Wanted())) == 32
    novelty = dropped(run, None, "NOVEL", "too like", Wanted())
    assert {(cycle, one.step) for cycle, one in novelty} == {(0, "novelty")}
    assert len(novelty) == 20
    with pytest.raises(UsageError, match="no curated batch after cycle 1"):
        dropped(run, 1, "", "", Wanted())
    assert len(dropped(run, None, "", "", Wanted(contains="decontamination 2"))) == 1


def test_calls_that_fit(finished_run: Path) -> None:
    with open_calls(finished_run / "ledger.sqlite") as calls:
        every = list(calls)
        judged = list(find_calls(calls, CallsWanted(stage="judge")))
        answered = list(find_calls(calls, CallsWanted(stage="answer")))
        others = list(find_calls(calls, CallsWanted(stage="synth", state="answered")))
        assert judged
        assert others
        assert len(judged) + len(answered) + len(others) == len(every)
        one = every[3]
        assert list(find_calls(calls, CallsWanted(key=one.key[:12]))) == [one]
        assert list(find_calls(calls, CallsWanted(model="no-such"))) == []
        said = json.loads(one.raw)["choices"][0]["message"]["content"][:30]
        assert one in find_calls(calls, CallsWanted(contains=json.dumps(said)[1:-1].upper()))


# --- tables -------------------------------------------------------------------------------


def call(number: int, usd: float | None) -> CallRecord:
    return CallRecord(
        f"{number:064x}", 1, "judge", "m", "answered", "{}", 200, "application/json", b"{}",
        None, "snapshot", 10, 5, usd, "2026-11-22T10:00:00.000+00:00", None,
    )  # fmt: skip


def test_sums_are_of_all_calls_not_of_those_shown() -> None:
    sums = CallSums()
    found = list(sums.watch([call(1, 0.25), call(2, None), call(3, 0.5)]))
    table = call_table("Calls", found[:1], sums.words(1))
    assert table.rows[0][0] == "0" * 12
    assert table.note == (
        "1 of 3 calls; --limit 0 shows all. All of them: 30 tokens in, 15 out, $0.7500."
    )


def test_how_many_more_there_are() -> None:
    assert more_than(20, 64, "responses") == "20 of 64 responses; --limit 0 shows all."
    assert more_than(3, 3, "pairs") == "3 pairs."


@given(st.text(st.characters(max_codepoint=0x3000)))
def test_no_cell_holds_a_control_character(text: str) -> None:
    line = one_line(text, 40)
    assert len(line) <= 40
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in line)


def test_tables_show_as_many_rows_as_asked(run: Path) -> None:
    found = responses(run, "cycles/001", Wanted())
    table = response_table("Responses", found, 5, 10)
    assert len(table.rows) == 5
    assert "5 of 16" in table.note
    assert table.rows[0][3] == "test prom…"
    lost = Unscored(
        response_id="r", pair_id="p", judge="j", index=0, kind="malformed", reason="\x1b[31mred"
    )
    row = judgement_table("Judgements", [lost], 5, None).rows[0]
    assert row[5] == "unscored: ␛[31mred"
