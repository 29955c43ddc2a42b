"""Progress in a pipe: few lines, and none that repeats itself."""

from __future__ import annotations

import pytest

from llamaduo.cli.progress import showing_progress
from llamaduo.records import Event


def test_a_stage_says_when_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with showing_progress() as notify:
        notify(Event("cycles/001/judge", 0, 1, "stage"))
        for done in range(1, 9):
            notify(Event("cycle 1: judge", done, 8, "judgements"))
        notify(Event("cycles/001/judge", 1, 1, "stage"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cycle 1: judge: done in ")


def test_a_batch_says_when_it_began_and_when_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with showing_progress() as notify:
        for done in (0, 0, 3, 7):
            notify(Event("batch 1a2b3c", done, 10, "requests", f"batch 1a2b3c: {done} of 10 done"))
        notify(Event("batch 1a2b3c", 10, 10, "requests", "batch 1a2b3c: ended"))
    said = capsys.readouterr().err.splitlines()
    assert said == ["batch 1a2b3c: 0 of 10 done", "batch 1a2b3c: ended"]


def test_a_warning_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with showing_progress() as notify:
        notify(Event("service", 0, None, "warning", "the name moves"))
    assert capsys.readouterr().err == "Warning: the name moves\n"


def test_a_notice_is_a_line_under_the_name_of_its_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with showing_progress() as notify:
        notify(Event("cycle 0: curate", 0, None, "notice", "compiling"))
        notify(Event("cycle 0: curate", 0, None, "pairs", "reading"))
    assert capsys.readouterr().err == "cycle 0: curate: compiling\n"


RECIPE = Event("cycle 0: finetune", 0, None, "recipe", "LoRA: 2 min\nmethod\tlora [x]\tfast")


def test_a_recipe_has_its_reasons_in_a_pipe_too(capsys: pytest.CaptureFixture[str]) -> None:
    with showing_progress() as notify:
        notify(RECIPE)
    summary, row = capsys.readouterr().err.splitlines()
    assert summary == "cycle 0: finetune: LoRA: 2 min"
    assert row.split() == ["method", "lora", "[x]", "fast"]


def test_what_the_end_of_a_stage_has_to_say_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with showing_progress() as notify:
        notify(Event("base model", 0, 1, "stage"))
        notify(Event("base model", 1, 1, "stage", "it is at commit 1a2b"))
    assert capsys.readouterr().err.endswith(" s; it is at commit 1a2b\n")


def test_a_long_training_says_how_it_stands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("llamaduo.cli.progress.time.monotonic", lambda: now)
    with showing_progress() as notify:
        for step in (1, 2):
            notify(Event("cycle 0: finetune", step, 9, "steps", f"loss 0.{step}, 1.4 GB"))
            now += 20
    assert capsys.readouterr().err == "cycle 0: finetune: 2 of 9 steps, loss 0.2, 1.4 GB\n"


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 80 columns, which standard error goes to."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


def test_a_narrow_terminal_has_room_for_counts_and_details(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch)
    detail = "loss 0.351, 111 tokens/s, 1.4 GB, 3 min left"
    with showing_progress() as notify:
        notify(Event("cycles/001/finetune", 0, 1, "stage"))
        notify(Event("cycle 1: finetune", 160, 1760, "steps", detail))
    bar, below = [line for line in capsys.readouterr().err.splitlines() if line.strip()][-2:]
    assert " 160/1760 steps 0:00:0" in bar
    assert below.strip() == detail


def test_a_stage_that_has_ended_is_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars of every stage of a long run would push what is under way off the screen."""
    use_terminal(monkeypatch)
    with showing_progress() as notify:
        for cycle in range(30):
            notify(Event(f"cycles/{cycle:03d}/judge", 0, 1, "stage"))
            notify(Event(f"cycle {cycle}: judge", 8, 8, "judgements"))
            notify(Event(f"cycles/{cycle:03d}/judge", 1, 1, "stage", "told"))
        notify(Event("report", 1, 9, "files"))
    *ended, bar = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert [line.split() for line in ended] == [
        ["✓", "cycle", f"{cycle}:", "judge", "0:00:00", "8", "judgements", "told"]
        for cycle in range(30)
    ]
    assert "report" in bar


def test_a_recipe_is_a_table_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch)
    with showing_progress() as notify:
        notify(RECIPE)
    said = capsys.readouterr().err
    assert "cycle 0: finetune: LoRA: 2 min" in said
    assert [line.split() for line in said.splitlines() if "lora" in line] == [
        ["method", "lora", "[x]", "fast"]
    ]


def test_what_is_left_is_told_by_the_pace_since_counting_began(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading took 100 s, then ten of a hundred pairs took as many seconds."""
    now = 0.0
    monkeypatch.setattr("llamaduo.cli.progress.time.monotonic", lambda: now)
    with showing_progress() as notify:
        notify(Event("curate", 0, 1, "stage"))
        notify(Event("curate", 0, None, "pairs", "reading"))
        now = 100.0
        notify(Event("curate", 10, 100, "pairs"))
        now = 110.0
        notify(Event("curate", 20, 100, "pairs"))
    assert capsys.readouterr().err == "curate: 20 of 100 pairs, about 80 s left\n"


def test_what_is_left_of_one_thing_is_not_told_by_the_pace_of_another(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("llamaduo.cli.progress.time.monotonic", lambda: now)
    with showing_progress() as notify:
        notify(Event("merge", 0, 1, "stage"))
        now = 100.0
        for done in (0, 1, 2):
            notify(Event("gguf Q8_0", done, 12, "tensors"))
            now += 10.0
    assert capsys.readouterr().err == "gguf Q8_0: 1 of 12 tensors, about 110 s left\n"
