"""What was found in the data, and what left this machine, as tables and in words."""

from __future__ import annotations

from pathlib import Path

from llamaduo.records import ImportFigures, Redacted
from llamaduo.reporting.evidence import gather
from llamaduo.reporting.method import method_facts
from llamaduo.reporting.tables import egress, personal_data, stage_counts
from llamaduo.service.egress import EgressRow
from llamaduo.storage.jsonl import write_record
from tests.reporting.runs import whole_run

FOUND = (Redacted("email", 7, 3), Redacted("customer", 2, 2))


def facts(folder: Path) -> str:
    return dict(method_facts(gather(folder)))["Personal data"]


def test_found_by_kind_and_in_how_many_of_the_pairs() -> None:
    table = personal_data(ImportFigures(12, 2, (), FOUND))
    assert table.rows == (
        ("email addresses", "7", "3 of 10 (30.0 %)"),
        ("customer", "2", "2 of 10 (20.0 %)"),
    )
    assert "Names and postal addresses are not looked for." in table.note


def test_the_table_is_among_the_counts_where_there_is_something_to_count(tmp_path: Path) -> None:
    folder = whole_run(tmp_path)
    assert "Personal data" not in [table.title for table in stage_counts(gather(folder))]
    assert facts(folder) == "redaction was off: nothing was looked for"
    write_record(folder / "coverage/import.json", ImportFigures(12, 2, (), FOUND))
    assert "Personal data" in [table.title for table in stage_counts(gather(folder))]
    assert facts(folder).startswith("9 pieces replaced by stand-ins. Names and postal")
    write_record(folder / "coverage/import.json", ImportFigures(12, 2, (), ()))
    assert facts(folder).startswith("none was found. Names and postal addresses")


def test_what_left_by_host() -> None:
    table = egress((EgressRow("api.openai.com", 1200, 0, 5_000_000, 40),))
    assert table.rows == (("api.openai.com", "1,200", "5,000,000", "40"),)
    assert "may not have left" not in table.note


def test_what_may_have_left_is_said() -> None:
    table = egress((EgressRow("api.openai.com", 5, 2, 10, 1), EgressRow("b", 1, 1, 0, 0)))
    assert "3 of the requests may not have left" in table.note


def test_what_went_to_this_machine_itself_is_told_apart() -> None:
    rows = [EgressRow(host, 1, 0, 10, 1) for host in ("127.0.0.1:8000", "[::1]:80", "api.b.com")]
    assert "127.0.0.1:8000, [::1]:80: this machine itself" in egress(rows).note


def test_nothing_left() -> None:
    assert egress(()).note == "Nothing was sent."
