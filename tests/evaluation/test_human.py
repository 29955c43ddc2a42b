"""Reading a person's scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.errors import DataError
from llamaduo.evaluation.human import HumanScore, HumanScores, read_human_scores


def file_of(folder: Path, *lines: str) -> Path:
    path = folder / "human.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_one_line_is_one_response(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        '{"response_id": "a", "precision": 80, "similarity": 72.5}',
        "",
        '{"response_id": "b", "tone": 0}',
    )
    assert read_human_scores(path) == HumanScores(
        (
            HumanScore("a", {"precision": 80, "similarity": 72.5}),
            HumanScore("b", {"tone": 0}),
        )
    )


def test_what_is_not_filled_in_is_no_score_and_is_counted(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        '{"precision": null, "similarity": null, "response_id": "a"}',
        '{"precision": 70, "similarity": null, "response_id": "b"}',
        '{"precision": null, "response_id": "c"}',
    )
    assert read_human_scores(path) == HumanScores((HumanScore("b", {"precision": 70}),), 2)


def test_a_sheet_without_any_score_says_so(tmp_path: Path) -> None:
    path = file_of(tmp_path, *['{"precision": null, "response_id": "a"}'] * 3)
    with pytest.raises(DataError, match="none of its 3 lines is filled in"):
        read_human_scores(path)


def test_what_is_there_to_be_read_is_no_metric(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        '{"precision": 7, "prompt": "Why?", "reference": "So.", "response": "No.",'
        ' "response_id": "a"}',
    )
    (score,) = read_human_scores(path).scores
    assert score == HumanScore("a", {"precision": 7}, "No.")
    assert score.is_about_one_of({"a": "No."})
    assert not score.is_about_one_of({"a": "Yes."})
    assert not score.is_about_one_of({"b": "No."})


def test_a_byte_order_mark_and_other_line_ends_are_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "human.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"response_id": "a", "precision": 80}\r\n')
    assert read_human_scores(path).scores == (HumanScore("a", {"precision": 80}),)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("precision: 80", "line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
        ('["b", 80]', "line 2: no object with a response_id"),
        ('{"precision": 80}', "line 2: no object with a response_id"),
        ('{"response_id": 7, "precision": 80}', "line 2: no object with a response_id"),
        ('{"response_id": "b"}', "line 2: no score for any metric"),
        ('{"response_id": "b", "prompt": "Why?"}', "line 2: no score for any metric"),
        ('{"response_id": "b", "precision": null, "tone": 101}', "tone is not a number from 0"),
        ('{"response_id": "b", "precision": 101}', "precision is not a number from 0 to 100"),
        ('{"response_id": "b", "precision": -1}', "precision is not a number from 0 to 100"),
        ('{"response_id": "b", "precision": NaN}', "precision is not a number from 0 to 100"),
        ('{"response_id": "b", "precision": true}', "precision is not a number from 0 to 100"),
        ('{"response_id": "b", "precision": "80"}', "precision is not a number from 0 to 100"),
        ('{"response_id": "a", "precision": 80}', "line 2: a is scored a second time"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, line: str, problem: str) -> None:
    path = file_of(tmp_path, '{"response_id": "a", "precision": 1}', line)
    with pytest.raises(DataError, match=problem) as raised:
        read_human_scores(path)
    assert str(path) in raised.value.message
    assert raised.value.hint


def test_a_missing_empty_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.jsonl: No such file"):
        read_human_scores(tmp_path / "missing.jsonl")
    with pytest.raises(DataError, match="has no scores"):
        read_human_scores(file_of(tmp_path, "", " "))
    (tmp_path / "human.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read_human_scores(tmp_path / "human.jsonl")
