"""Every number in a table can be found in the run, and every share has its denominator."""

from dataclasses import replace
from pathlib import Path

from llamaduo.records import MetricScores
from llamaduo.reporting.answers import Answers
from llamaduo.reporting.evidence import Evidence, gather
from llamaduo.reporting.report import write_report
from llamaduo.reporting.setup import SynthesisFacts
from llamaduo.reporting.tables import (
    Table,
    drops_by_reason,
    funnel_table,
    parity_table,
    recipes,
    scores_by_cycle,
    spend,
    stage_counts,
    timings,
    token_statistics,
)
from llamaduo.storage.jsonl import write_record
from tests.finetuning.recipes.examples import recipe
from tests.reporting.runs import (
    SPEND,
    inference,
    parity,
    scores,
    start_run,
    training,
    whole_run,
    write_batch,
)

TABLE_4 = ("Pairs", "Min", "Max", "Avg.", "Std.")


def read(tmp_path: Path) -> Evidence:
    return gather(whole_run(tmp_path / "triage"), SPEND)


def row(table: Table, name: str) -> tuple[str, ...]:
    return next(row for row in table.rows if row[0] == name)[1:]


def test_scores_have_the_panel_first_then_each_judge_and_the_target_last(tmp_path: Path) -> None:
    tables = scores_by_cycle(read(tmp_path))

    assert [table.title for table in tables] == [
        "Panel of 2 judges",
        "Judge anthropic:judge-b",
        "Judge openai-chat:judge-a",
    ]
    for table in tables:
        names = [row[0] for row in table.rows]
        assert names == ["Base model", "Cycle 0", "Cycle 1 (best)", "Target"]
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_scores_of_a_cycle(tmp_path: Path) -> None:
    panel, lenient, strict = scores_by_cycle(read(tmp_path))

    assert [column.label for column in panel.columns] == [
        "Set",
        "Prompts",
        "Responses",
        "Similarity: mean",
        "Similarity: ≥ 50, %",
        "Similarity: ≥ 70, %",
        "Precision: mean",
        "Precision: ≥ 50, %",
        "Precision: ≥ 70, %",
        "Unscored",
    ]
    assert row(panel, "Cycle 1 (best)") == (
        "16",
        "64 of 64",
        *("84.0 [80.0, 88.0]", "88.0 [84.0, 92.0]", "75.0 [71.0, 79.0]"),
        *("91.5 [87.5, 95.5]", "95.5 [91.5, 99.5]", "85.5 [81.5, 89.5]"),
        "0 of 256",
    )
    assert row(panel, "Target") == ("—", "—", "—", "—", "—", "80.0", "—", "90.0", "—")
    assert row(panel, "Cycle 0")[-1] == "2 of 256"
    assert row(strict, "Cycle 0")[-1] == "2 of 128"
    assert row(lenient, "Base model")[5] == "15.0 [11.0, 19.0]"
    assert panel.emphasis == {2}


def test_unscored_judgements_bound_the_mean(tmp_path: Path) -> None:
    note = scores_by_cycle(read(tmp_path))[0].note

    assert "Cycle 0: had every unscored judgement been 0 or 100" in note
    assert "precision between 59.2 and 63.2" in note
    assert "Base model: had" not in note


def test_one_judge_needs_one_table(tmp_path: Path) -> None:
    evidence = gather(start_run(tmp_path))
    one = scores(50.0, 40.0)
    one = replace(one, judges={"openai-chat:judge-a": one.judges["openai-chat:judge-a"]})

    tables = scores_by_cycle(replace(evidence, base=Answers(scores=one)))

    assert [table.title for table in tables] == ["Scores by cycle"]


def test_nothing_scored_at_all_is_a_dash_not_a_zero(tmp_path: Path) -> None:
    nothing = MetricScores(
        mean_score=None,
        coverage_percentage={},
        responses=0,
        scored=0,
        unscored=256,
        lowest=0.0,
        highest=100.0,
    )
    none = replace(scores(0, 0), judges={}, panel={"similarity": nothing, "precision": nothing})
    evidence = replace(gather(start_run(tmp_path)), base=Answers(scores=none))

    base = row(scores_by_cycle(evidence)[0], "Base model")

    assert base[1:5] == ("0 of 64", "—", "—", "—")
    assert base[-1] == "256 of 256"


def test_a_final_split_has_a_row_of_its_own(tmp_path: Path) -> None:
    evidence = replace(read(tmp_path), final=Answers(scores=scores(88.0, 80.0)))

    assert row(scores_by_cycle(evidence)[0], "Final split")[5] == "88.0 [84.0, 92.0]"


def test_the_counts_of_every_stage(tmp_path: Path) -> None:
    coverage, cycles = stage_counts(read(tmp_path))

    assert coverage.rows == (
        ("Rows read", "1,100"),
        ("Duplicates left out", "3 of 1,100 (0.3 %)"),
        ("Rows refused", "3 of 1,100 (0.3 %)"),
        ("Pairs accepted", "80 of 1,100 (7.3 %)"),
        ("… in the train split", "64 of 80 (80.0 %)"),
        ("… in the test split", "16 of 80 (20.0 %)"),
        ("… in the final split", "0 of 80 (0.0 %)"),
    )
    dash = "—"
    assert cycles.rows == (
        ("Base model", dash, dash, "16", "1", "64", "256 of 256", dash, dash, dash),
        ("Cycle 0", "64", "2", "16", "1", "64", "254 of 256", "26", "2", "96 of 128"),
        ("Cycle 1", "160", "2", "16", "1", "64", "256 of 256", dash, dash, dash),
    )
    assert all(len(row) == len(cycles.columns) for row in cycles.rows)


def test_the_funnel_from_synthesized_to_kept(tmp_path: Path) -> None:
    table = funnel_table(read(tmp_path))

    assert table is not None
    assert [column.label for column in table.columns[1:]] == ["Batch made after: cycle 0"]
    assert table.rows == (
        ("Asked for", "128"),
        ("Readable", "128 of 128 (100.0 %)"),
        ("after exact duplicates", "119 of 128 (93.0 %)"),
        ("after quality rules", "119 of 128 (93.0 %)"),
        ("after near-duplicates", "119 of 128 (93.0 %)"),
        ("after novelty", "99 of 128 (77.3 %)"),
        ("Kept", "96 of 128 (75.0 %)"),
        ("Next fine-tuning, pairs", "160"),
    )
    assert table.emphasis == {6}


def test_a_step_of_another_version_has_its_place_in_the_funnel(tmp_path: Path) -> None:
    folder = whole_run(tmp_path)
    write_batch(folder / "cycles" / "000", 128, {("toxicity", "a slur"): 4, ("novelty", "x"): 1})

    table = funnel_table(gather(folder))

    assert table is not None
    assert table.rows[5:8] == (
        ("after novelty", "127 of 128 (99.2 %)"),
        ("after toxicity", "123 of 128 (96.1 %)"),
        ("Kept", "123 of 128 (96.1 %)"),
    )


def test_a_funnel_that_is_not_through_yet(tmp_path: Path) -> None:
    folder = whole_run(tmp_path)
    (folder / "cycles/000/curation.json").unlink()
    evidence = gather(folder)
    unknown = replace(evidence, setup=replace(evidence.setup, synthesis=SynthesisFacts()))

    waiting, silent = funnel_table(evidence), funnel_table(unknown)

    assert waiting is not None
    assert silent is not None
    assert waiting.rows[1:4] == (
        ("Readable", "128 of 128 (100.0 %)"),
        ("after exact duplicates", "—"),
        ("after quality rules", "—"),
    )
    assert silent.rows[:2] == (("Asked for", "—"), ("Readable", "128"))
    assert funnel_table(gather(start_run(tmp_path / "begun"))) is None


def test_batches_grow_as_they_were_asked_for() -> None:
    facts = SynthesisFacts(128, 2.0)

    assert [facts.asked(cycle) for cycle in range(3)] == [128, 256, 512]
    assert SynthesisFacts().asked(0) is None


def test_token_statistics_have_the_layout_of_table_4(tmp_path: Path) -> None:
    table = token_statistics(read(tmp_path))

    assert [column.name for column in table.columns] == ["Set", *TABLE_4]
    assert table.rows == (
        ("Train split", "64", "85", "2,386", "389.2", "256.0"),
        ("Test split", "16", "148", "1,150", "426.0", "245.5"),
        ("Synthetic, after cycle 0", "96", "10", "2,386", "95.0", "53.0"),
    )


def test_an_older_run_has_no_token_statistics_and_says_so(tmp_path: Path) -> None:
    table = token_statistics(gather(start_run(tmp_path)))

    assert table.rows == ()
    assert table.note == "Not measured in this run."


def test_parity_of_every_form() -> None:
    table = parity_table(parity())

    assert table is not None
    assert table.rows == (
        (
            *("merged", "passed", "16 of 16 (100.0 %)", "0.0", "—", "—", "equal"),
            "every answer is identical",
        ),
        (
            *("gguf Q8_0", "passed", "15 of 16 (93.8 %)", "−6.2", "+0.3", "−0.4"),
            *("no generation prompt", "scores within one point"),
        ),
    )
    assert "gguf Q8_0 first differs at prompt ab12, after 5 characters" in table.note
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert parity_table(None) is None


def test_a_batch_that_is_not_curated_yet(tmp_path: Path) -> None:
    folder = whole_run(tmp_path)
    (folder / "cycles/000/curation.json").unlink()
    (folder / "cycles/000/dropped.jsonl").unlink()

    assert row(stage_counts(gather(folder))[1], "Cycle 0")[-1] == "— of 128"


def test_losses_by_reason_with_what_they_were_part_of(tmp_path: Path) -> None:
    assert drops_by_reason(read(tmp_path)).rows == (
        ("Import", "duplicates", "the same pair was read before", "3 of 1,100 (0.3 %)"),
        ("Import", "refused", "tool calls are not supported", "2 of 1,100 (0.2 %)"),
        ("Import", "refused", "the response is empty", "1 of 1,100 (0.1 %)"),
        ("Curation after cycle 0", "novelty", "too like a kept pair", "20 of 128 (15.6 %)"),
        ("Curation after cycle 0", "decontamination", "like a held-out prompt", "3 of 128 (2.3 %)"),
        (
            "Curation after cycle 0",
            "exact duplicates",
            "the same pair is kept already",
            "9 of 128 (7.0 %)",
        ),
        ("Judging", "cycle 0", "score out of range", "2 of 256 (0.8 %)"),
    )


def test_many_reasons_are_summed_up_and_none_is_lost(tmp_path: Path) -> None:
    evidence = read(tmp_path)
    many = {("novelty", f"like pair {number}"): 1 for number in range(30)}
    evidence = replace(evidence, cycles=(replace(evidence.cycles[0], dropped=many),))

    rows = [row for row in drops_by_reason(evidence).rows if row[1] == "novelty"]

    assert len(rows) == 9
    assert rows[-1] == (
        "Curation after cycle 0",
        "novelty",
        "22 other reasons",
        "22 of 128 (17.2 %)",
    )


def test_spend_is_summed(tmp_path: Path) -> None:
    table = spend(read(tmp_path))

    assert table.rows[0][-1] == "$2.16"
    assert table.rows[1][-1] == "$0.3150"
    assert table.rows[2] == ("Total", "", "1,260", "1", "2", "510,000", "120,000", "$2.48")
    assert table.emphasis == {2}
    assert "in no sum" in table.note
    assert "rehearsal" not in table.note


def test_a_model_without_a_price_makes_the_total_a_lower_bound(tmp_path: Path) -> None:
    unpriced = replace(SPEND[1], usd=0.0, priced=False)
    table = spend(replace(read(tmp_path), spend=(SPEND[0], unpriced)))

    assert [row[-1] for row in table.rows] == ["$2.16", "—", "at least $2.16"]
    assert "service.price" in table.note


def test_a_rehearsal_is_free(tmp_path: Path) -> None:
    free = tuple(replace(row, usd=0.0, priced=False, in_doubt=0) for row in SPEND)
    table = spend(gather(whole_run(tmp_path, rehearsed=True), free))

    assert [row[-1] for row in table.rows] == ["$0", "$0", "$0"]
    assert table.note == "Free: this was a rehearsal, and its service LLM is a program."


def test_timings(tmp_path: Path) -> None:
    table = timings(read(tmp_path))

    speed = ("8.00 s", "128.0", "0.91 s", "1.42 s", "3", "1", "1.2 GB")
    assert row(table, "Base model") == ("—", "—", "—", *speed)
    assert row(table, "Cycle 1") == ("2 min 00 s", "200.0", "2.41 → 0.32", *speed)


def test_recipes_say_how_each_cycle_was_trained_and_what_it_came_to(tmp_path: Path) -> None:
    folder = whole_run(tmp_path / "triage")
    assert recipes(gather(folder)) is None, "an older run has none"

    first, second = (folder / "cycles" / name for name in ("000", "001"))
    write_record(first / "recipe.json", recipe(method="full", lora_rank=0, micro_batch=8))
    write_record(second / "recipe.json", recipe(packing=False, micro_batch=2, accumulation=2))
    validated = replace(
        training(160),
        validation=((10, 0.91), (20, 0.84), (30, 0.97)),
        best_step=20,
        peak_memory_bytes=1_400_000_000,
        resumed=1,
        halved=2,
    )
    write_record(second / "training.json", validated)
    table = recipes(gather(folder))

    assert table is not None
    all_weights = ("full, float32", "—", "1", "0.005", "8 rows", "256")
    assert row(table, "Cycle 0") == (*all_weights, "—", "16 of 16", "—")
    lora = ("lora, float32", "4, 8", "1", "0.005", "4 pairs", "256")
    assert row(table, "Cycle 1") == (*lora, "0.84", "20 of 40", "1.4 GB")
    assert table.note.endswith(
        "Cycle 1 went on from a checkpoint 1 time."
        " Cycle 1 ran out of memory, and halved its rows 2 times."
    )
    report = write_report(gather(folder), tmp_path).with_suffix(".md").read_text("utf-8")
    assert "## Fine-tuning" in report
    assert "lora, float32" in report


def test_no_time_measured_is_not_an_infinite_speed(tmp_path: Path) -> None:
    instant = replace(inference(), seconds=0.0)
    evidence = replace(gather(start_run(tmp_path)), base=Answers(inference=instant))

    assert row(timings(evidence), "Base model")[4] == "—"


def test_a_run_that_has_only_begun_has_tables_that_say_so(tmp_path: Path) -> None:
    evidence = gather(start_run(tmp_path))

    assert scores_by_cycle(evidence) == ()
    assert stage_counts(evidence) == ()
    for table in (drops_by_reason(evidence), spend(evidence), timings(evidence)):
        assert table.rows == ()
        assert table.note
