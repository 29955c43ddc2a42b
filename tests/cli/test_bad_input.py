"""What goes wrong before anything runs: one clear message, the right exit code, nothing left."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.cli.app import main
from tests.canary import CANARY

PAIRS = [
    {"instruction": f"Say the number {n} in words, please.", "response": f"n{n}"} for n in range(40)
]


def llamaduo(*arguments: str) -> int:
    """Run the command in this process; its exit code."""
    sys.argv = ["llamaduo", *arguments]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def write(data: str, extra: str = "") -> None:
    Path("pairs.jsonl").write_text(data, encoding="utf-8")
    Path("llamaduo.yaml").write_text(f"coverage: {{data: pairs.jsonl}}\n{extra}", encoding="utf-8")


def lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "pairs.jsonl"),
        (lines(PAIRS[:1]), "1 pair"),
        (lines(PAIRS[:3]) + "not json\n", "pairs.jsonl:4"),
        (lines([{"prompt": "a", "completion": ""}] * 2), "empty response"),
        (lines([{"question": "a", "reply": "b"}]), "question"),
    ],
)
def test_data_that_cannot_be_used(data: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(data)
    code = llamaduo("coverage", "import")
    code = llamaduo("coverage", "split") if code == 0 else code
    assert code == 2
    shown = capsys.readouterr().err
    assert says in shown
    assert "Error:" in shown
    assert "Next:" in shown
    assert "Traceback" not in shown


def test_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert llamaduo("run") == 2
    assert "llamaduo init" in capsys.readouterr().err


def test_every_problem_of_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    write(lines(PAIRS), "finetunning: {}\njudging: {judgements_per_response: 0}\n")
    assert llamaduo("run") == 2
    shown = capsys.readouterr().err
    assert "llamaduo.yaml, line 2: unknown key finetunning" in shown
    assert "Did you mean finetuning?" in shown
    assert "llamaduo.yaml, line 3: judging.judgements_per_response" in shown


def test_a_missing_key_is_named_before_anything_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(lines(PAIRS), "limits: {budget_usd: 1}\n")
    assert llamaduo("run") == 2
    assert "OPENAI_API_KEY" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_money_is_not_spent_from_a_pipe_without_leave(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    write(lines(PAIRS))
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert llamaduo("run") == 2
    shown = capsys.readouterr().err
    assert "together $" in shown
    assert "--yes" in shown
    assert CANARY not in shown
    assert not Path("runs").exists()


def test_a_stage_out_of_turn_names_the_next_one(capsys: pytest.CaptureFixture[str]) -> None:
    write(lines(PAIRS))
    assert llamaduo("finetune") == 2
    assert "is import" in capsys.readouterr().err
    assert llamaduo("coverage", "import", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["done"] == ["import"]
    assert shown["next"] == "split"


def test_a_changed_configuration_is_another_run(capsys: pytest.CaptureFixture[str]) -> None:
    write(lines(PAIRS))
    assert llamaduo("coverage", "import") == 0
    assert llamaduo("coverage", "split", "--set", "coverage.reference_source=human") == 1
    shown = capsys.readouterr().err
    assert "coverage.reference_source: the run has 'service', the configuration 'human'" in shown
    assert "--name" in shown


def test_status_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    write(lines(PAIRS))
    assert llamaduo("status") == 2
    assert "no run" in capsys.readouterr().err


@pytest.mark.parametrize("limit", [0, 3000, 30_000])
def test_a_full_disk_leaves_a_run_that_goes_on(limit: int) -> None:
    """A limit on file sizes stands in for a full disk: both fail inside write()."""
    write(lines([row | {"note": "x" * 1000} for row in PAIRS]))
    command = [sys.executable, "-m", "llamaduo", "coverage", "import"]
    full = subprocess.run(
        command,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert full.returncode == 1, full.stderr
    assert "Error:" in full.stderr
    assert "Traceback" not in full.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_place_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    write(lines(PAIRS))
    Path("runs").write_text("in the way")
    assert llamaduo("coverage", "import") == 1
    assert "runs" in capsys.readouterr().err


def test_a_mended_mistake_does_not_cost_the_name_of_the_run() -> None:
    write(lines(PAIRS))
    assert llamaduo("coverage", "import", "--set", "coverage.data=[wrong.jsonl]") == 2
    assert llamaduo("coverage", "import") == 0


def test_the_run_keeps_the_configuration_it_was_carried_on_with() -> None:
    write(lines(PAIRS))
    assert llamaduo("coverage", "import") == 0
    assert llamaduo("finetune", "--set", "target.precision.mean_score=11") == 2, "out of turn"
    assert "mean_score: 11" in Path("runs/main/run.yaml").read_text()


def test_leave_to_spend_is_asked_for_by_every_command_that_spends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    write(lines(PAIRS))
    assert llamaduo("coverage", "import") == 0
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        for command in ("run", "answer", "judge", "synthesize"):
            assert llamaduo(command) == 2
            assert "nothing says that it may" in capsys.readouterr().err


def test_the_next_command_names_the_same_run(capsys: pytest.CaptureFixture[str]) -> None:
    write(lines(PAIRS))
    assert llamaduo("coverage", "import", "--name", "other", "--rehearse") == 0
    assert "Next: llamaduo coverage split --name other --rehearse" in capsys.readouterr().out
    assert llamaduo("status") == 2


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("run.yaml", b""),
        ("run.yaml", b"\xff\xfe"),
        ("run.yaml", b"coverage: [1"),
        ("manifest.json", b"{}"),
        ("manifest.json", b'{"format": 2, "version": "x", "stages": {"cycles/x": 3}}'),
        ("ledger.sqlite", b"not a database, and long enough to be read as one" * 99),
    ],
)
def test_a_damaged_run_is_named(
    name: str, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    write(lines(PAIRS))
    assert llamaduo("coverage", "import") == 0
    Path("runs/main", name).write_bytes(damage)
    for suffix in ("-wal", "-shm"):
        Path(f"runs/main/{name}{suffix}").unlink(missing_ok=True)
    assert llamaduo("coverage", "split") == 1
    shown = capsys.readouterr().err
    assert name in shown
    assert "Next:" in shown


@pytest.mark.parametrize(
    "extra",
    ["name: 2020-13-45\n", "synthesis: {growth: .inf}\n", "finetuning: {seed: -1}\n"],
)
def test_odd_values_are_problems_not_tracebacks(
    extra: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(lines(PAIRS), extra)
    assert llamaduo("coverage", "import") == 2
    assert "llamaduo.yaml" in capsys.readouterr().err


def spend_nothing(config: str) -> None:
    """A configuration whose service LLM is at an address of this machine that nobody serves,
    with a price: it may spend, and every call is refused at once."""
    address = "base_url: 'http://127.0.0.1:9/v1', deadline_seconds: 0.1"
    service = f"service: {{{address}, price: {{input: 1, output: 1}}}}"
    write(lines(PAIRS), f"{service}\n{config}")


def test_leave_is_asked_for_again_when_what_decides_the_cost_has_changed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spend_nothing("limits: {cycles: 2}\n")
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert llamaduo("judge", "--yes") == 2, "leave is given; the stage is out of turn"
        assert "together $" in capsys.readouterr().err
        assert llamaduo("judge") == 2
        assert "together $" not in capsys.readouterr().err
        assert llamaduo("judge", "--set", "synthesis.pairs=100000") == 2
        assert "nothing says that it may" in capsys.readouterr().err


def test_the_estimate_of_a_run_that_goes_on_is_from_its_own_split(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spend_nothing("")
    assert llamaduo("coverage", "import") == 0
    assert llamaduo("coverage", "split", "--set", "local.model=./nowhere") == 2
    Path("pairs.jsonl").unlink()
    capsys.readouterr()
    assert llamaduo("judge", "--yes") == 2
    shown = capsys.readouterr().err
    assert "together $" in shown
    assert "is answer (service/answer), not judge" in shown
