"""What synthesis did to the data, and scores and drops by language, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from llamaduo.records import Dropped, Family, Portrait, Refused, Side, TokenStatistics, Wording
from llamaduo.reporting.evidence import gather
from llamaduo.reporting.report import write_report
from llamaduo.reporting.tables import (
    Table,
    drops_by_language,
    drops_of_batch,
    funnel_table,
    portrait_tables,
    portraits_of,
    refused_rows,
    scores_by_language,
    warnings_of,
)
from llamaduo.storage.jsonl import write_record, write_records
from tests.reporting.runs import judgements, pair, response, whole_run, write_batch, write_coverage

LENGTHS = TokenStatistics(pairs=10, shortest=1, longest=30, mean=12.5, deviation=3.0)


def wording(**scripts: int) -> Wording:
    return Wording(
        lengths=LENGTHS,
        scripts=scripts,
        languages=None,
        distinct=(0.5, None, 0.75),
        distinct_over=(100, 0, 80),
    )


def side(pairs: int, *, sampled: int = 10, labels: dict[str, int] | None = None) -> Side:
    return Side(
        pairs=pairs,
        sampled=sampled,
        lengths=LENGTHS,
        instruction=wording(latin=9, thai=1),
        response=wording(latin=10),
        labels=labels,
        refusals=1,
        templates=None if pairs == 10 else 4.2,
    )


PORTRAIT = Portrait(
    train=side(10, labels={"bug": 6, "praise": 4}),
    synthetic=side(20, labels={"bug": 15, "odd": 5}),
    unit="words",
    families=(Family("Ask \x1b[2J politely", 0.1, 0.4),),
    warnings=("The labels have shifted.",),
)


def named(found: Sequence[Table], title: str) -> Table:
    return next(table for table in found if table.title == title)


def cells(table: Table, first: str) -> tuple[str, ...]:
    return next(row[1:] for row in table.rows if row[0] == first)


def test_both_sides_stand_beside_each_other() -> None:
    found = portrait_tables([("after cycle 0", PORTRAIT), ("after cycle 1", PORTRAIT)])
    table = named(found, "The train split beside the synthetic pairs")
    assert cells(table, "Pairs") == ("10", "20", "20")
    assert cells(table, "… looked at") == ("10", "10", "10")
    assert cells(table, "Responses that refuse")[0] == "1 of 10 (10.0 %)"
    assert cells(table, "Scripts of the instructions")[0] == "latin 90.0 %, thai 10.0 %"
    assert cells(table, "Distinct-1 of the responses") == ("—", *["0.50 (train: 0.50)"] * 2)
    assert cells(table, "Distinct-2 of the responses") == ("—", "—", "—")
    assert cells(table, "Templates") == ("no two alike", "4", "4")
    assert all(len(row) == len(table.columns) for table in found for row in table.rows)


def test_labels_of_either_side_have_a_row() -> None:
    table = named(portrait_tables([("kept", PORTRAIT)]), "Labels")
    assert table.rows == (
        ("bug", "6 of 10 (60.0 %)", "15 of 20 (75.0 %)"),
        ("praise", "4 of 10 (40.0 %)", "0 of 20 (0.0 %)"),
        ("odd", "0 of 10 (0.0 %)", "5 of 20 (25.0 %)"),
    )


def test_examples_cannot_command_a_terminal() -> None:
    table = named(portrait_tables([("kept", PORTRAIT)]), "Largest template families, kept")
    assert table.rows == (("Ask ␛[2J politely", "10.0 %", "40.0 %"),)


def test_warnings_name_their_batch_where_there_are_several() -> None:
    assert warnings_of([("kept", PORTRAIT)]) == ("The labels have shifted.",)
    several = warnings_of([("after cycle 0", PORTRAIT), ("after cycle 1", PORTRAIT)])
    assert several[1] == "Batch after cycle 1: The labels have shifted."


def test_a_run_without_portraits_has_no_such_tables(tmp_path: Path) -> None:
    evidence = gather(whole_run(tmp_path))
    assert portraits_of(evidence) == ()
    assert portrait_tables([]) == ()


# --- by language ----------------------------------------------------------------------------


def by_first_letter(texts: Sequence[str]) -> Sequence[str]:
    """Tells languages for these tests."""
    return ["latin" if text[:1].isascii() else "cyrillic" for text in texts]


@pytest.fixture
def bilingual(tmp_path: Path) -> Path:
    """A run with two prompts in Latin letters and one in Cyrillic."""
    folder = whole_run(tmp_path)
    test = [pair(text, "label") for text in ("first", "second", "третий")]
    write_coverage(folder, test)
    found = [response(one, 0, "text") for one in test]
    write_records(
        folder / "cycles/000/judgements.jsonl",
        [
            judgement
            for one, score in zip(found, (40, 80, 100), strict=True)
            for judgement in judgements(one, score, 10, "why")
        ],
    )
    write_batch(folder / "cycles" / "000", 3, {("novelty", "x"): 2, ("balance", "enough"): 1})
    write_records(folder / "cycles/000/synthetic.jsonl", [pair("новый", "label")])
    return folder


def test_scores_by_language(bilingual: Path) -> None:
    table = scores_by_language(gather(bilingual, tell=by_first_letter))
    assert table is not None
    rows = {row[1]: row[2:] for row in table.rows if row[0] == "Cycle 0"}
    assert rows["latin"] == ("2", "2", "10.0", "0.0", "0.0", "60.0", "50.0", "50.0")
    assert rows["cyrillic"] == ("1", "1", "10.0", "0.0", "0.0", "100.0", "100.0", "100.0")
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_drops_by_language(bilingual: Path) -> None:
    cycle = gather(bilingual, tell=by_first_letter).cycles[0]
    table = drops_by_language([("after cycle 0", cycle.by_language)])
    assert table is not None
    names = [column.name for column in table.columns[3:]]
    assert names == [
        "exact duplicates",
        "quality rules",
        "near-duplicates",
        "novelty",
        "decontamination",
        "balance",
        "Kept",
    ]
    assert table.rows == (
        ("after cycle 0", "latin", "3", "0", "0", "0", "2", "0", "1", "0"),
        ("after cycle 0", "cyrillic", "1", "0", "0", "0", "0", "0", "0", "1"),
    )


def test_one_language_needs_no_table(bilingual: Path) -> None:
    def alike(texts: Sequence[str]) -> Sequence[str]:
        return ["latin"] * len(texts)

    evidence = gather(bilingual, tell=alike)
    assert scores_by_language(evidence) is None
    assert drops_by_language([("one", evidence.cycles[0].by_language)]) is None
    assert scores_by_language(gather(bilingual)) is None


def test_the_funnel_ends_with_the_caps_where_some_are_set(bilingual: Path) -> None:
    table = funnel_table(gather(bilingual))
    assert table is not None
    assert [row[0] for row in table.rows][-3:] == [
        "after decontamination",
        "Kept",
        "Next fine-tuning, pairs",
    ]
    assert "After balance, the last step" in table.note


def test_the_reports_show_all_of_it(bilingual: Path) -> None:
    write_record(bilingual / "cycles/000/portrait.json", PORTRAIT)
    html = write_report(gather(bilingual, tell=by_first_letter), bilingual / "report")
    for text in (html.read_text(), html.with_name("report.md").read_text()):
        assert "What synthesis did to the data" in text
        assert "The labels have shifted." in text
        assert "Scores by language or script of the prompt" in text
        assert "Drops by language or script" in text
        assert "\x1b" not in text


# --- a file on its own ----------------------------------------------------------------------


def test_drops_of_a_batch_come_in_the_order_of_the_steps() -> None:
    lost = pair("a", "b")
    dropped = [
        Dropped(pair=lost, step="novelty", reason="too close (0.9)"),
        Dropped(pair=lost, step="novelty", reason="too close (0.8)"),
        Dropped(pair=lost, step="exact duplicates", reason="same"),
    ]
    assert drops_of_batch(dropped, 10).rows == (
        ("exact duplicates", "same", "1 of 10 (10.0 %)"),
        ("novelty", "too close", "2 of 10 (20.0 %)"),
    )


def test_refused_rows_are_counted_and_the_first_are_named() -> None:
    refused = [Refused(f"a.jsonl:{n}", "tool calls") for n in range(1, 6)]
    assert refused_rows([*refused, Refused("b.csv:2", "empty")]).rows == (
        ("tool calls", "5", "a.jsonl:1, a.jsonl:2, a.jsonl:3, …"),
        ("empty", "1", "b.csv:2"),
    )
