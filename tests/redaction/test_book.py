"""The table from values to stand-ins: durable first, for its owner alone, stable over restarts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamaduo.errors import RunError
from llamaduo.redaction.book import Book
from llamaduo.redaction.redactor import open_redactor, read_redactor
from llamaduo.redaction.settings import RedactionSettings

ON = RedactionSettings()
TEXT = "ada@lovelace.org called from +49 30 90182017"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "redaction.jsonl"


def test_only_the_owner_may_read_it(path: Path) -> None:
    open_redactor(ON, path).redact(TEXT)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    open_redactor(ON, path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_next_process_gives_the_same_stand_ins(path: Path) -> None:
    redacted = open_redactor(ON, path).redact(TEXT)
    before = path.read_bytes()
    again = open_redactor(ON, path)
    assert again.redact(TEXT) == redacted
    assert again.restore(redacted) == TEXT
    assert path.read_bytes() == before


def test_a_stand_in_is_on_the_disk_before_the_text_is_handed_on(path: Path) -> None:
    redacting = open_redactor(ON, path)
    redacted = redacting.redact(TEXT)
    stored = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert {entry["value"] for entry in stored} == {"ada@lovelace.org", "+49 30 90182017"}
    assert all(entry["stand_in"] in redacted for entry in stored)


def test_without_the_disk_no_text_is_handed_on(path: Path) -> None:
    redacting = open_redactor(ON, path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RunError, match="cannot be used") as caught:
        redacting.redact(TEXT)
    assert "ada" not in str(caught.value)


def test_lines_are_only_ever_added(path: Path) -> None:
    redacting = open_redactor(ON, path)
    redacting.redact("ada@lovelace.org")
    before = path.read_bytes()
    redacting.redact("grace@hopper.org")
    assert path.read_bytes().startswith(before)
    assert path.read_bytes() != before


def test_a_line_that_a_crash_cut_short_is_left_out(path: Path) -> None:
    redacted = open_redactor(ON, path).redact("ada@lovelace.org")
    with path.open("ab") as file:
        file.write(b'{"kind": "email", "value": "gra')
    resumed = open_redactor(ON, path)
    assert resumed.redact("ada@lovelace.org") == redacted
    other = resumed.redact("grace@hopper.org")
    assert open_redactor(ON, path).restore(f"{redacted}, {other}") == (
        "ada@lovelace.org, grace@hopper.org"
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{}\n", b'{"redaction": 2, "secret": "00"}\n', b'{"redaction": 1, "secret": "xy"}\n'],
)
def test_a_table_that_is_none_is_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(RunError, match="line 1: not what llamaduo wrote there"):
        Book.open(path)


def test_a_line_of_another_shape_is_named_and_not_shown(path: Path) -> None:
    open_redactor(ON, path).redact("ada@lovelace.org")
    with path.open("a") as file:
        file.write('{"value": "grace@hopper.org"}\n')
    with pytest.raises(RunError, match="line 3") as caught:
        Book.open(path)
    assert "grace" not in str(caught.value)


def test_looking_at_a_run_writes_nothing(path: Path) -> None:
    redacted = open_redactor(ON, path).redact(TEXT)
    path.chmod(0o400)
    before = path.read_bytes()
    looking = read_redactor(ON, path)
    assert looking.redact(TEXT) == redacted
    assert looking.redact("grace@hopper.org") == "grace@hopper.org"
    assert path.read_bytes() == before


def test_what_is_to_be_looked_at_must_be_there(path: Path) -> None:
    with pytest.raises(RunError, match="is missing"):
        read_redactor(ON, path)
