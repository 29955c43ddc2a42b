"""A whole loop over coverage data full of personal data: none of it leaves, none of it stays in
the run but in the one file that says what stands for what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamaduo.config import Config, parse_config
from llamaduo.records import ImportFigures, Pair
from llamaduo.redaction.find import KINDS, find
from llamaduo.redaction.redactor import read_redactor
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.service.egress import read_egress
from llamaduo.storage.jsonl import read_record, read_records
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.verification.verify import verify
from tests.canary import CANARY
from tests.cycle.small_loop import run_loop
from tests.redaction.planted import planted
from tests.tiny_llama import build_tiny_llama
from tests.wiretap import tapped

VALUES = planted(1_000)
ROWS = 50
CONFIGURATION = """
task: {{kind: classification, topic: support tickets}}
coverage: {{data: tickets.jsonl, train_fraction: 0.6, final_fraction: 0.1}}
service: {{model: "openai-chat:rehearsal", base_url: "{base_url}", egress_hosts: []}}
local: {{model: "{model}"}}
finetuning: {{epochs: 1, batch_size: 8, max_tokens: 1024, processes: 0}}
inference: {{responses_per_prompt: 1, max_new_tokens: 4, batch_size: 8}}
judging: {{judgements_per_response: 1}}
synthesis: {{pairs: 10}}
target: {{precision: {{mean_score: 99}}}}
limits: {{cycles: 2}}
"""


def _configuration(folder: Path, base_url: str) -> Config:
    text = CONFIGURATION.format(base_url=base_url, model=folder / "model")
    return parse_config(text, "redacted_loop")


def _rows() -> Iterator[dict[str, object]]:
    """Tickets with 20 values each: 18 in the prompt, one in the response, one beside them."""
    for number, row in enumerate(tickets(ROWS, seed=2)):
        values = VALUES[number * 20 : number * 20 + 20]
        *turns, prompt, answer = row["messages"]
        prompt = {"role": "user", "content": f"{prompt['content']}\n{' , '.join(values[:18])}"}
        answer = {"role": "assistant", "content": f"{answer['content']} ({values[18]})"}
        yield row | {"messages": [*turns, prompt, answer], "customer": values[19]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("redacted")
    lines = "".join(json.dumps(row) + "\n" for row in _rows())
    (folder / "tickets.jsonl").write_text(lines, encoding="utf-8")
    build_tiny_llama(folder / "model", window=1024)
    return folder


@pytest.fixture(scope="module")
def sent(folder: Path) -> bytes:
    """All that reached the service, of a loop that has ended, but for the line with the key."""
    with pytest.MonkeyPatch.context() as patch, running_rehearsal() as url, tapped(url) as tap:
        patch.setenv("OPENAI_API_KEY", CANARY)
        run_loop(_configuration(folder, tap.url), folder, "redacted")
        lines = tap.everything.split(b"\r\n")
    with_key = [line for line in lines if CANARY.encode() in line]
    assert with_key
    assert {line.split(b":")[0].lower() for line in with_key} == {b"authorization"}
    return b"\r\n".join(line for line in lines if line not in with_key)


@pytest.fixture(scope="module")
def run(folder: Path, sent: bytes) -> RunDirectory:
    assert sent
    return RunDirectory(folder / "runs" / "redacted")


def test_every_planted_value_is_one_that_is_found() -> None:
    assert len(set(VALUES)) == 1_000
    assert {finding.kind for value in VALUES for finding in find(value)} == set(KINDS)
    assert all(find(value) for value in VALUES)


def test_nothing_planted_leaves(sent: bytes) -> None:
    assert sent.count(b"POST ") > 30
    assert [value for value in VALUES if value.encode() in sent] == []


def test_nothing_planted_stays_in_the_run_but_in_its_table(run: RunDirectory) -> None:
    wanted = [value.encode() for value in [*VALUES, CANARY]]
    holders = {
        path.relative_to(run.root).as_posix()
        for path in run.root.rglob("*")
        if path.is_file() and any(value in path.read_bytes() for value in wanted)
    }
    assert holders == {"redaction.jsonl"}
    assert CANARY not in run.redaction.read_text()
    assert run.redaction.stat().st_mode & 0o777 == 0o600


def test_the_pairs_turn_back_into_what_was_imported(folder: Path, run: RunDirectory) -> None:
    pairs = read_records(run.coverage / "accepted.jsonl", Pair)
    redactor = read_redactor(
        _configuration(folder, "http://127.0.0.1:1/v1").redaction, run.redaction
    )
    restored = {redactor.restore(pair.instruction) for pair in pairs}
    assert restored == {row["messages"][-2]["content"] for row in _rows()}  # type: ignore[index]


def test_the_counts_are_in_the_records_and_the_report(run: RunDirectory) -> None:
    figures = read_record(run.coverage / "import.json", ImportFigures)
    assert figures.redacted is not None
    assert sum(one.found for one in figures.redacted) == 1_000
    assert {one.kind for one in figures.redacted} == set(KINDS)
    report = (run.report / "report.md").read_text()
    assert "email addresses" in report
    assert "Names and postal addresses are not looked for." in report


def test_what_left_is_recorded_with_the_pairs_it_was_about(run: RunDirectory) -> None:
    (row,) = read_egress(run.ledger)
    assert row.host.startswith("127.0.0.1:")
    assert row.requests > 30
    assert row.bytes_out > 10_000
    assert 20 < row.pairs <= ROWS
    assert "What left this machine" in (run.report / "report.md").read_text()


def test_verification_derives_the_same_keys(run: RunDirectory) -> None:
    assert [(check.name, check.detail) for check in verify(run) if check.ok is False] == []


def test_no_bundle_and_no_dataset_takes_the_table_along(run: RunDirectory) -> None:
    names = {path.name for path in run.bundle.rglob("*")}
    assert names
    assert run.redaction.name not in names
