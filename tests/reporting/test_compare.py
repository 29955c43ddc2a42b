"""Two runs side by side: what cannot be compared is said first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import UsageError
from llamaduo.evaluation.intervals import difference_of
from llamaduo.records import Judgement, Response
from llamaduo.reporting.compare import Chosen, Comparison, compare_sides
from llamaduo.reporting.compare_json import as_json
from llamaduo.reporting.compare_tables import comparison_tables
from llamaduo.reporting.compare_values import Figure
from llamaduo.reporting.tables import Table
from llamaduo.storage.jsonl import read_records, write_records
from tests.reporting.runs import marked, pair, rich_run, whole_run


def compared(left: Chosen, right: Chosen) -> Comparison:
    return compare_sides(left, right, difference_of)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    return whole_run(tmp_path / "left")


@pytest.fixture
def right(tmp_path: Path) -> Path:
    return whole_run(tmp_path / "right")


def better(run: Path, points: int, first: int) -> None:
    """Raise the precision of the first responses of the best cycle, lower the last one's."""
    path = run / "cycles/001/judgements.jsonl"
    found = read_records(path, Judgement)
    ids = [one.id for one in read_records(run / "cycles/001/responses.jsonl", Response)]

    def changed(one: Judgement) -> Judgement:
        gain = points if one.response_id in ids[:first] else 0
        gain -= points if one.response_id == ids[-1] else 0
        return marked(one, precision=one.marks["precision"].score + gain)

    write_records(path, [changed(one) for one in found])


def table(comparison: Comparison, title: str) -> Table:
    return next(one for one in comparison_tables(comparison) if one.title == title)


def rows(comparison: Comparison, title: str) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for row in table(comparison, title).rows}


def test_a_run_against_itself(left: Path) -> None:
    same = compared((left, None), (left, None))
    assert same.warnings == ()
    assert same.settings == ()
    assert same.changes == ()
    assert {tally.equal for tally in same.tallies.values()} == {16}
    assert rows(same, "Scores")["precision, mean"] == (
        *["91.5 [87.5, 95.5]"] * 2,
        "0.0 [−11.8, +11.8]",
    )
    assert "Every setting is the same." in table(same, "Data, effort, money").note


def test_prompts_that_got_better_and_worse(left: Path, right: Path) -> None:
    better(right, 20, first=3)
    found = compared((left, None), (right, None))
    precision = found.tallies["precision"]
    assert (precision.better, precision.worse, precision.equal) == (3, 1, 12)
    assert found.tallies["similarity"].equal == 16
    gains = sorted(one.difference for one in found.changes)
    assert gains == pytest.approx([-10, 10, 10, 10])
    assert {one.prompt for one in found.changes} == {
        "test prompt 0", "test prompt 1", "test prompt 2", "test prompt 15",
    }  # fmt: skip


def test_cycles_of_one_run(finished_run: Path) -> None:
    found = compared((finished_run, "base"), (finished_run, "1"))
    assert found.same_prompts
    assert found.left.name == f"{finished_run.name}, the base model"
    trained = rows(found, "Data, effort, money")["Pairs trained on"]
    assert trained[0] == "—"
    assert int(trained[1]) > 0
    assert rows(found, "Verdict of the run")["Outcome"] == ("stopped", "stopped")


def test_a_cycle_has_its_own_verdict(left: Path) -> None:
    found = compared((left, "1"), (left, None))
    assert rows(found, "Verdict of the run")["Outcome"] == ("passed", "passed")


def test_other_test_splits_are_said_first(left: Path, right: Path) -> None:
    path = right / "coverage/test.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    write_records(path.with_name("more.jsonl"), [pair("another", "label")])
    path.write_text(path.read_text() + path.with_name("more.jsonl").read_text())
    found = compared((left, None), (right, None))
    assert found.warnings[0] == (
        "The test splits differ, so the scores are not comparable: 16 prompts against 16, 15 in"
        " common."
    )
    assert found.tallies == {}
    assert found.changes == ()
    assert "mean little" in table(found, "Scores").note
    assert as_json(found)["same_prompts"] is False


def test_test_against_final(finished_run: Path) -> None:
    found = compared((finished_run, "0"), (finished_run, "final"))
    assert found.warnings[0].startswith("One side answers its test split, the other its final")


def test_settings_and_judges_and_versions_that_differ(left: Path, right: Path) -> None:
    path = right / "run.yaml"
    text = path.read_text().replace("temperature: 0.7", "temperature: 0.2, future: 3")
    path.write_text(text.replace("version: 0.1.0", "version: 9.9.9"))
    scores = right / "cycles/001/scores.json"
    scores.write_text(scores.read_text().replace("anthropic:judge-b", "google:judge-c"))
    found = compared((left, None), (right, None))
    assert [(one.key, one.left, one.right) for one in found.settings] == [
        ("inference.future", None, 3),
        ("inference.temperature", 0.7, 0.2),
    ]
    assert any("The judges differ" in one and "google:judge-c" in one for one in found.warnings)
    assert any("9.9.9" in one for one in found.warnings)
    assert "anthropic:judge-b: precision, mean" in rows(found, "Scores")
    assert rows(found, "Scores")["google:judge-c: precision, mean"][0] == "—"
    assert rows(found, "Settings that differ")["inference.future"] == ("—", "3")


def test_a_rehearsal_against_a_real_run(left: Path, tmp_path: Path) -> None:
    rehearsal = whole_run(tmp_path / "rehearsal", rehearsed=True)
    found = compared((left, None), (rehearsal, None))
    assert found.warnings == ("rehearsal, cycle 1, is a rehearsal: its judge is a program.",)
    assert found.settings == ()


def test_json_has_what_the_tables_have(left: Path, right: Path) -> None:
    better(right, 20, first=3)
    found: dict[str, Any] = json.loads(json.dumps(as_json(compared((left, None), (right, "1")))))
    assert found["same_split"] is True
    assert found["prompts"]["precision"] == {"better": 3, "worse": 1, "equal": 12}
    assert found["differences"]["precision"]["mean_score"] == 0.0
    assert [side["name"] for side in found["sides"]] == ["left, cycle 1", "right, cycle 1"]
    assert len(found["changes"]) == 4


def test_a_run_that_has_no_scores_yet(left: Path, right: Path) -> None:
    for name in ("scores.json", "judgements.jsonl", "verdict.json", "training.json"):
        (right / "cycles/001" / name).unlink()
    (right / "verdict.json").unlink()
    found = compared((left, None), (right, "1"))
    assert rows(found, "Scores")["precision, mean"] == ("91.5 [87.5, 95.5]", "—", "—")
    assert found.tallies == {}


def test_metrics_intervals_and_the_service_llm_of_both_sides(left: Path, tmp_path: Path) -> None:
    rich = rich_run(tmp_path / "rich")
    found = compared((left, "1"), (rich, "1"))
    table_of = rows(found, "Scores")
    assert table_of["tone of voice, mean"] == ("—", "81.5 [77.5, 85.5]", "—")
    assert table_of["Exact match, %"] == (*["45.8 [41.8, 49.8]"] * 2, "0.0")
    assert table_of["ROUGE-L"] == ("—", "84.0 [80.0, 88.0]", "—")
    assert table_of["precision, above the service LLM"] == ("—", "−3.5 [−9.0, +2.0]", "—")
    assert table_of["win rate against the service LLM, %"][1] == "50.0 [38.5, 61.5]"
    assert as_json(found)["free"] == {"exact_match": 0.0}


def test_the_service_llm_is_a_side(tmp_path: Path) -> None:
    run = rich_run(tmp_path / "rich")
    found = compared((run, "1"), (run, "service"))
    assert found.right.name == "rich, the service LLM"
    assert found.same_prompts
    assert as_json(found)["differences"]["precision"]["mean_score"] == 3.5
    assert rows(found, "Scores")["precision, mean"][2] == "0.0 [−11.8, +11.8]"  # same judgements
    assert set(found.tallies) == {"similarity", "precision", "tone_of_voice"}
    final = compared((run, "final"), (run, "service-final"))
    assert (final.right.held_out, final.same_prompts) == ("final", True)


def test_a_set_that_is_not_there(left: Path, right: Path) -> None:
    shutil.rmtree(right / "cycles/001")
    with pytest.raises(UsageError, match="no responses"):
        compared((left, None), (right, "1"))


# --- how sure a difference is -------------------------------------------------------------


def test_a_difference_has_an_interval_prompt_by_prompt(left: Path, right: Path) -> None:
    better(right, 20, first=3)
    found = compared((left, None), (right, None))
    gains = [20.0] * 3 + [0.0] * 12 + [-20.0]
    value, interval, prompts = difference_of(gains, range(16), [0.0] * 16, range(16))
    precision = found.paired[Figure("", "precision"), None]
    assert (precision.value, precision.prompts, precision.responses) == (2.5, prompts, 16)
    assert precision.value == value
    assert precision.interval == interval
    assert interval.low < 0 < interval.high
    assert rows(found, "Scores")["precision, mean"][2] == (
        f"+2.5 [−{-interval.low:.1f}, +{interval.high:.1f}]"
    )


def test_shares_judges_and_free_metrics_have_one_too(left: Path, right: Path) -> None:
    better(right, 40, first=16)  # all but the last one, which stays as it is
    found = compared((left, None), (right, None))
    reached = found.paired[Figure("", "precision"), 50]
    assert reached.value == pytest.approx(100 * 8 / 16)  # prompts 2 to 9 come to reach 50
    assert reached.interval is not None
    assert reached.interval.low > 0
    by_judge = {figure.judge for figure, _ in found.paired}
    assert by_judge == {"", "openai-chat:judge-a", "anthropic:judge-b"}
    exact = found.paired[Figure("", "exact_match"), None]
    assert (exact.value, exact.prompts) == (0.0, 16)
    assert exact.interval is not None
    assert exact.interval.low < 0 < exact.interval.high


def test_a_prompt_without_a_score_on_one_side_is_in_no_difference(left: Path, right: Path) -> None:
    path = right / "cycles/001/judgements.jsonl"
    found = read_records(path, Judgement)
    write_records(path, [one for one in found if one.pair_id != found[0].pair_id])
    assert compared((left, None), (right, None)).paired[Figure("", "precision"), None].prompts == 15


def test_where_the_prompts_differ_there_is_no_interval(left: Path, right: Path) -> None:
    path = right / "coverage/test.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    found = compared((left, None), (right, None))
    assert found.paired == {}
    assert rows(found, "Scores")["precision, mean"][2] == "0.0"
    assert "have no interval" in table(found, "Scores").note


def test_another_versions_task_leaves_only_free_metrics_without_one(
    left: Path, right: Path
) -> None:
    path = right / "run.yaml"
    path.write_text(path.read_text().replace("kind: classification", "kind: divination"))
    found = compared((left, None), (right, None))
    assert Figure("", "exact_match") not in {figure for figure, _ in found.paired}
    assert rows(found, "Scores")["Exact match, %"][2] == "0.0"
    assert (Figure("", "precision"), None) in found.paired


def test_a_program_gets_the_intervals_too(left: Path, right: Path) -> None:
    better(right, 20, first=3)
    found = json.loads(json.dumps(as_json(compared((left, None), (right, None)))))
    (precision,) = [
        one
        for one in found["paired"]
        if (one["judge"], one["metric"], one["threshold"]) == (None, "precision", None)
    ]
    assert (precision["value"], precision["prompts"]) == (2.5, 16)
    assert precision["interval"]["low"] < 0 < precision["interval"]["high"]
