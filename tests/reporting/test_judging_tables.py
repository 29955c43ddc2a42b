"""What stands around the scores: the ceiling and P-Match, free metrics, differences, win rates,
weak slices, and what the judges are worth."""

from dataclasses import replace
from pathlib import Path

import pytest

from llamaduo.records import JudgeFinding, Pair, PanelReport, Scores
from llamaduo.reporting.answers import Answers
from llamaduo.reporting.ceiling import performance_match
from llamaduo.reporting.evidence import Evidence, gather
from llamaduo.reporting.tables import (
    Table,
    differences,
    drops_by_reason,
    finding_words,
    findings,
    free_scores,
    judge_report,
    judging_effort,
    scores_by_cycle,
    timings,
    weakness,
    win_rates,
)
from llamaduo.storage.jsonl import read_records, write_record, write_records
from tests.reporting.runs import (
    JUDGES,
    panel_report,
    rich_run,
    rich_scores,
    scores,
    start_run,
    whole_run,
)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return gather(rich_run(tmp_path_factory.mktemp("rich") / "rich"))


def rows(table: Table | None) -> dict[str, tuple[str, ...]]:
    assert table is not None
    assert all(len(row) == len(table.columns) for row in table.rows)
    return {row[0]: row[1:] for row in table.rows}


# --- the ceiling --------------------------------------------------------------------------


def test_the_layout_of_table_1(evidence: Evidence) -> None:
    panel, *by_judge = scores_by_cycle(evidence)

    assert panel.title == "Panel of 2 judges (median)"
    for table in (panel, *by_judge):
        assert [row[0] for row in table.rows] == [
            "Base model",
            "Cycle 0",
            "Cycle 1 (best)",
            "Service LLM",
            "Final split",
            "Service LLM, final split",
            "P-Match, %",
            "P-Match, final split, %",
            "Target",
        ]
    groups = [column.group for column in panel.columns if column.group]
    assert groups == ["Similarity"] * 3 + ["Precision"] * 3 + ["Tone of voice"] * 3
    assert all(column.ranged == bool(column.group) for column in panel.columns)


def test_p_match_is_the_best_local_score_over_the_services(evidence: Evidence) -> None:
    panel, *by_judge = scores_by_cycle(evidence)

    # 84 / 80, 88 / 84, 75 / 71; 91.5 / 95, 95.5 / 99, 85.5 / 89; 81.5 / 85, and equal shares.
    expected = ("105.0", "104.8", "105.6", "96.3", "96.5", "96.1", "95.9", "100.0", "100.0")
    assert rows(panel)["P-Match, %"] == ("—", "—", *expected, "—")
    assert rows(panel)["P-Match, final split, %"][5] == "93.6"  # 88 / 94
    assert rows(by_judge[0])["P-Match, %"][2] == "104.8"  # 87 / 83, the lenient judge's own
    assert "P-Match: the best cycle’s score in percent" in panel.note


def test_without_a_ceiling_there_is_no_p_match(tmp_path: Path) -> None:
    panel = scores_by_cycle(gather(whole_run(tmp_path)))[0]

    assert not [row for row in panel.rows if row[0].startswith(("P-Match", "Service"))]
    assert "P-Match" not in panel.note
    assert performance_match(50.0, 0.0) is None
    assert performance_match(None, 80.0) is None
    assert performance_match(60.0, 80.0) == 75.0


def test_references_by_the_service_llm_turn_similarity_into_agreement(tmp_path: Path) -> None:
    evidence = gather(rich_run(tmp_path, references="service"))
    panel = scores_by_cycle(evidence)[0]

    assert [c.group for c in panel.columns[3:12]][::3] == [
        "Agreement",
        "Precision",
        "Tone of voice",
    ]
    assert "Service LLM (favoured)" in rows(panel)
    assert "Service LLM, final split (favoured)" in rows(panel)
    assert "Every reference is the service LLM’s own reply" in panel.note
    assert "and the service LLM’s row is favoured by that." in panel.note


def test_some_references_by_the_service_llm_favour_it_in_part(tmp_path: Path) -> None:
    folder = rich_run(tmp_path)
    path = folder / "coverage" / "test.jsonl"
    pairs = read_records(path, Pair)
    write_records(path, [replace(pairs[0], reference_source="service"), *pairs[1:]])

    panel = scores_by_cycle(gather(folder))[0]

    assert panel.columns[3].group == "Similarity"
    assert "Service LLM (favoured)" in rows(panel)
    assert "1 of 24 (4.2 %) references are the service LLM’s own replies" in panel.note


def test_references_by_people_favour_nobody(evidence: Evidence) -> None:
    panel = scores_by_cycle(evidence)[0]

    assert "Service LLM" in rows(panel)
    assert "favour" not in panel.note


def test_a_run_that_has_judged_only_the_service_llm(tmp_path: Path) -> None:
    folder = start_run(tmp_path)
    write_record(folder / "service" / "scores.json", scores(95.0, 90.0))
    found = gather(folder)

    assert [row[0] for row in scores_by_cycle(found)[0].rows] == ["Service LLM", "Target"]
    assert timings(found).rows == ()  # nothing of ours ran
    assert weakness(found).weakest is None
    assert judge_report(found) == ()
    for table in (differences, win_rates, judging_effort):
        assert table(found) is None


def test_intervals_of_adaptive_judging_are_called_what_they_are(
    evidence: Evidence, tmp_path: Path
) -> None:
    together = "In brackets the interval (95 %; where judging was adaptive, 95 % for all its looks"
    by_difference = differences(evidence)
    assert by_difference is not None
    for table in (scores_by_cycle(evidence)[0], by_difference):
        assert together in table.note
    fixed = scores_by_cycle(gather(whole_run(tmp_path)))[0]
    assert "In brackets the 95 % interval, clustered by prompt." in fixed.note


# --- free metrics, differences, win rates -------------------------------------------------


def test_free_metrics_have_intervals_and_what_they_rest_on(evidence: Evidence) -> None:
    table = free_scores(evidence)

    found = rows(table)
    assert table is not None
    assert [column.name for column in table.columns] == [
        *("Set", "Exact match, %", "Label accuracy, %", "ROUGE-L", "Prompts", "Responses")
    ]
    assert found["Cycle 1"] == (
        *("45.8 [41.8, 49.8]", "89.5 [85.5, 93.5]", "84.0 [80.0, 88.0]"),
        *("15–16", "60–64"),
    )
    assert found["Target"] == ("—", "95.0", "—", "—", "—")


def test_a_set_without_free_metrics_has_no_table(tmp_path: Path) -> None:
    none = replace(scores(50.0, 40.0), free={})

    assert free_scores(replace(gather(start_run(tmp_path)), base=Answers(scores=none))) is None


def test_differences_are_signed_and_the_service_has_none(evidence: Evidence) -> None:
    found = rows(differences(evidence))

    assert [*found] == ["Base model", "Cycle 0", "Cycle 1", "Final split"]
    assert found["Cycle 1"] == (
        *("+4.0 [+1.0, +7.0]", "−3.5 [−9.0, +2.0]", "−1.8 [−10.8, +7.2]", "16", "64"),
    )


def test_win_rates_have_the_panel_first(evidence: Evidence) -> None:
    table = win_rates(evidence)

    assert table is not None
    assert [row[1] for row in table.rows[:3]] == ["the panel", *JUDGES]
    assert table.rows[0][2:] == ("20, 24, 20", "50.0 [38.5, 61.5]", "16", "2")
    assert table.rows[-1] == ("Target", "—", "—", "45.0", "—", "—")


def test_comparisons_that_did_not_count_are_told_with_their_denominator(
    evidence: Evidence,
) -> None:
    lost = [row for row in drops_by_reason(evidence).rows if row[0] == "Comparing"]

    assert lost[0] == ("Comparing", "base model", "refused", "1 of 33 (3.0 %)")
    assert len(lost) == 4


# --- where it is weak ---------------------------------------------------------------------


def test_the_weakest_slices_come_first_and_all_are_kept(evidence: Evidence) -> None:
    found = weakness(evidence)

    assert found.weakest is not None
    assert found.every is not None
    assert found.weakest.title == "The weakest slices of cycle 1"
    assert (len(found.weakest.rows), len(found.every.rows)) == (10, 12)
    assert found.every.rows[:10] == found.weakest.rows
    assert found.weakest.rows[0] == (
        *("label", "label 6", "28", "112", "73.5 [64.5, 82.5]", "89.5 [80.5, 98.5]"),
    )
    assert "4 of these rest on fewer than 10 prompts." in found.weakest.note


def test_what_is_confused_with_what(evidence: Evidence) -> None:
    table = weakness(evidence).confusion

    assert table is not None
    assert [c.name for c in table.columns] == [
        *("Reference", "billing", "login", "shipping", "none, or several"),
    ]
    assert rows(table)["shipping"] == ("3", "·", "16", "3")


# --- the judges ---------------------------------------------------------------------------


def test_findings_are_said_once_and_the_worst_first(evidence: Evidence) -> None:
    found = findings(evidence)

    assert [one.kind for one in found] == ["constant", "related"]
    assert finding_words(found[0]).startswith("Unfit: openai-chat:judge-a gives 100")
    assert finding_words(found[1]) == found[1].words


def test_findings_of_a_set_that_is_not_scored_are_there(tmp_path: Path) -> None:
    """An unfit judge ends the stage before it has scores."""
    folder = start_run(tmp_path)
    blind = JudgeFinding("blind", "judge-a cannot tell right from wrong.", unfit=True)
    write_record(folder / "base" / "judges.json", panel_report(blind))

    assert findings(gather(folder)) == (blind,)


def test_each_judge_has_its_column(evidence: Evidence) -> None:
    table, human = judge_report(evidence)
    found = rows(table)

    assert table.title == "The judges of cycle 1"
    assert [column.name for column in table.columns[1:]] == [*JUDGES]
    assert found["Related to the generator"] == ("yes", "no")
    assert found["Judgements scored"] == ("128 of 132", "128 of 132")
    assert found["Deviation between repeats, tone of voice"][0] == "9.0"
    assert found["Length, points"][0] == "+1.5 [+0.5, +2.5]"
    assert found["Position, points"][0] == "−4.0 [−10.0, +2.0]"
    assert found["Family, points"][0] == "+3.2 [+1.2, +5.2]"
    assert "precision 0.81, similarity 0.77." in table.note
    assert "judge-a-2026-01 (100), judge-a-2026-02 (28)" in table.note
    assert human.rows == (("the panel", "Precision", "40", "0.75", "−0.12"),)


def test_a_report_of_no_judge_is_no_table(tmp_path: Path) -> None:
    folder = start_run(tmp_path)
    write_record(folder / "base" / "judges.json", PanelReport(judges=(), alpha={}))

    assert judge_report(gather(folder)) == ()


def test_what_adaptive_judging_saved_and_left_undecided(evidence: Evidence) -> None:
    table = judging_effort(evidence)

    assert rows(table)["Cycle 1"] == ("adaptive", "3", "64 of 256", "75.0", "undecided")
    assert rows(table)["Service LLM"][-1] == "—"
    assert table is not None
    assert "384 judgements were asked for" in table.note
    assert (
        "1,536: 75.0 % saved. Left undecided: 4 of 4 (100.0 %) sets that have a target."
        in table.note
    )


def test_the_service_llms_own_answers_alone_leave_no_target_undecided(evidence: Evidence) -> None:
    alone = replace(evidence, base=Answers(), cycles=(), final=Answers())

    table = judging_effort(alone)

    assert table is not None
    assert table.note.endswith("% saved.")


# --- any number of metrics ----------------------------------------------------------------


def test_a_metric_that_the_configuration_does_not_name_is_not_lost(tmp_path: Path) -> None:
    folder = whole_run(tmp_path)
    more: Scores = rich_scores(91.5, 84.0, "001")
    write_record(folder / "cycles" / "001" / "scores.json", more)
    found = gather(folder)

    assert found.metrics == ("similarity", "precision", "tone_of_voice")
    panel = scores_by_cycle(found)[0]
    assert rows(panel)["Cycle 1 (best)"][8] == "81.5 [77.5, 85.5]"
    assert rows(panel)["Base model"][8:11] == ("—", "—", "—")


def test_repeats_and_judges_are_put_together_as_configured(evidence: Evidence) -> None:
    """Three marks by one judge and one by another: the median of each, then of both."""
    from llamaduo.reporting.panel import JudgementScore, MarkScore, panel_scores

    marks = [("a", 10), ("a", 20), ("a", 90), ("b", 60)]
    found = [JudgementScore("r", judge, {"x": MarkScore(score)}) for judge, score in marks]

    assert evidence.setup.judging.aggregate == "median"
    assert panel_scores(found, "median")["r"].of("x") == 40.0  # of 20 and 60
    assert panel_scores(found)["r"].of("x") == 50.0  # of 40 and 60
    assert panel_scores(found)["r"].of("precision") is None
