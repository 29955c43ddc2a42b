"""Keys come from a variable or a file, and are seen nowhere but in the header of a request."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from llamaduo.errors import KeyMissing, LlamaduoError
from llamaduo.service import credentials
from llamaduo.service.address import find_key
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.masking import install, masked
from llamaduo.service.secrets import Secret, is_open_to_others
from llamaduo.service.settings import ServiceSettings
from tests.canary import CANARY
from tests.service.loopback import Answer, serving
from tests.service.test_client import question

AWAY = "https://api.example/v1"


def in_file(path: Path) -> ServiceSettings:
    return ServiceSettings(model="openai-chat:m", base_url=AWAY, api_key_file=path)


# --- where a key is kept ------------------------------------------------------------------


@pytest.mark.parametrize("frame", ["{}", "{}\n", "  {}\r\n\n"])
def test_a_key_in_a_file_is_found_and_the_variable_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    path = tmp_path / "key"
    path.write_text(frame.format(CANARY))
    assert find_key(in_file(path)).reveal() == CANARY
    monkeypatch.chdir(tmp_path)
    assert find_key(in_file(Path("key"))) == Secret(CANARY)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_key(in_file(Path("~/key"))) == Secret(CANARY)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "it cannot be read"),
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (f"{CANARY}\n{CANARY}".encode(), "several lines"),
        (f"OPENAI_API_KEY {CANARY}".encode(), "characters that no API key has"),
        (f"{CANARY}\xe4".encode(), "characters that no API key has"),
        (CANARY.encode() * 1000, "characters that no API key has"),
    ],
    ids=["missing", "empty", "blank", "twice", "with its name", "not ASCII", "long"],
)
def test_a_file_without_one_key_is_refused_and_its_text_not_repeated(
    tmp_path: Path, content: bytes | None, what: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyMissing, match=what) as caught:
        find_key(in_file(path))
    assert CANARY not in caught.value.message + caught.value.hint


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing, match="cannot be read"):
        find_key(in_file(tmp_path))


def test_one_key_is_named_once() -> None:
    with pytest.raises(ValidationError, match="there is one key"):
        ServiceSettings(api_key_env="A", api_key_file=Path("b"))


def test_a_key_in_the_place_of_its_files_path_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError, match="never the key") as caught:
        ServiceSettings(api_key_file=Path(CANARY))
    assert CANARY not in str(caught.value)


def test_others_being_able_to_read_the_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(CANARY)
    for mode, open_to_others in ((0o600, False), (0o640, True), (0o604, True), (0o400, False)):
        path.chmod(mode)
        assert is_open_to_others(path) is open_to_others
        assert ("chmod 600" in credentials.found_in(in_file(path))) is open_to_others
    assert not is_open_to_others(tmp_path / "missing")


def test_a_variable_with_what_is_no_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{CANARY}\nx")
    with pytest.raises(KeyMissing, match="OPENAI_API_KEY holds characters") as caught:
        find_key(ServiceSettings(base_url=AWAY))
    assert CANARY not in caught.value.message


@pytest.fixture
def masking() -> Iterator[None]:
    """What the command line does before anything else."""
    before = logging.getLogRecordFactory()
    install()
    yield
    logging.setLogRecordFactory(before)
    threading.excepthook = threading.__excepthook__


# --- it is shown nowhere ------------------------------------------------------------------


def test_a_secret_does_not_show_what_it_is() -> None:
    secret = Secret(CANARY)
    shown = (repr(secret), str(secret), f"{secret}", f"{secret:>40}", str([secret]))
    assert all(CANARY not in text and "[secret]" in text for text in shown)
    assert secret == Secret(CANARY)
    assert secret != CANARY
    for keep in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            keep(secret)


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer abcdefgh123",
        "{'authorization': 'Basic abcdefgh123', 'accept': 'x'}",
        '{"X-Api-Key": "abcdefgh123"}',
        "(b'x-goog-api-key', b'abcdefgh123')",
        r"{\"x-api-key\": \"abcdefgh123\"}",
        "api-key=abcdefgh123",
        "authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=abcdefgh123",
        "X-Amz-Security-Token: abcdefgh123",
    ],
)
def test_the_value_of_a_header_that_carries_a_key_is_masked(line: str) -> None:
    found = masked(f"sent {line} to api.example")
    assert "abcdefgh123" not in found
    assert "[secret]" in found


def test_other_text_is_left_as_it_is() -> None:
    text = "HTTP 401: Incorrect API key provided. The author of this: unknown, x-api: 3."
    assert masked(text) == text


def _refuse(key: str) -> None:
    raise ValueError(f"bad header {key}")


def test_every_log_record_is_masked_with_its_traceback(
    caplog: pytest.LogCaptureFixture, masking: None
) -> None:
    install()  # twice is once
    key = Secret(CANARY).reveal()
    log = logging.getLogger("somebody.elses")
    log.setLevel(logging.DEBUG)
    log.warning("with %s and %(a)s", key)  # arguments that do not fit
    log.debug("key %s in %d", key, 3)
    try:
        _refuse(key)
    except ValueError:
        log.exception("failed with %r", {"key": key}, stack_info=True)
    assert "key [secret] in 3" in caplog.text
    assert "ValueError: bad header [secret]" in caplog.text
    assert CANARY not in caplog.text


CRASH = """
import logging, os, sys, threading
from llamaduo.cli import app
from llamaduo.service.secrets import from_variable

def crash():
    key = from_variable("CANARY").reveal()
    def die(): raise RuntimeError(f"in a thread: {key}")
    thread = threading.Thread(target=die); thread.start(); thread.join()
    raise RuntimeError(f"the header was Bearer {key}")

app.app.command("crash")(crash)
sys.argv = ["llamaduo", "crash"]
app.main()
"""


def test_a_bug_keeps_its_traceback_but_shows_no_key(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CRASH],
        env=os.environ | {"CANARY": CANARY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "RuntimeError: the header was Bearer [secret]" in ended.stderr
    assert "RuntimeError: in a thread: [secret]" in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr


# --- a run with a canary ------------------------------------------------------------------

ASK = """
import asyncio, logging, sys
from pathlib import Path
from llamaduo.errors import LlamaduoError
from llamaduo.records import Message, Question
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.masking import install
from llamaduo.service.settings import ServiceSettings

model, url, path = sys.argv[1:]
install()
logging.basicConfig(level=logging.DEBUG)

async def main():
    settings = ServiceSettings(model=model, base_url=url, api_key_env="CANARY", deadline_seconds=1)
    with Ledger.open(Path(path)) as ledger:
        async with connect(settings, ledger) as client:
            try:
                await client.ask(Question(stage="s", messages=(Message("user", "q"),)))
            except LlamaduoError as error:
                print(error)

asyncio.run(main())
"""
ECHO = Answer(
    401, b'{"error": {"message": "Incorrect API key provided: ' + CANARY.encode() + b'"}}'
)


@pytest.mark.parametrize(
    ("model", "header"),
    [
        ("openai-chat:m", "authorization"),
        ("openai:m", "authorization"),
        ("anthropic:m", "authorization"),
        ("google:m", "x-goog-api-key"),
    ],
)
async def test_a_key_is_in_one_header_and_in_nothing_that_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    masking: None,
    model: str,
    header: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "anthropic", "google_genai", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, name)
    monkeypatch.setenv("CANARY", CANARY)
    async with serving(*[ECHO] * 3) as service:
        settings = ServiceSettings(model=model, base_url=service.base_url, api_key_env="CANARY")
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger, pytest.raises(LlamaduoError) as end:
            async with connect(settings, ledger) as client:
                await client.ask(question())
    assert "refused (HTTP 401" in end.value.message
    assert caplog.records  # it was as talkative as it can be
    assert CANARY not in caplog.text + end.value.message + end.value.hint
    assert all(CANARY not in path for path in service.paths)
    carrying = [name for name, value in service.headers[-1].items() if CANARY in value]
    assert carrying == [header]
    _check_files(tmp_path)


async def test_a_debug_log_that_is_asked_for_by_a_variable_is_masked_too(tmp_path: Path) -> None:
    async with serving(*[ECHO] * 3) as service:
        output, status = await _run(
            ASK, "openai-chat:m", service.base_url, str(tmp_path / "ledger.sqlite"),
            CANARY=CANARY, OPENAI_LOG="debug",
        )  # fmt: skip
    assert status == 0, output
    assert "refused (HTTP 401" in output
    assert "DEBUG" in output
    assert CANARY not in output
    _check_files(tmp_path)


def _check_files(folder: Path) -> None:
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if CANARY.encode() in path.read_bytes()]


async def _run(code: str, *arguments: str, **environment: str) -> tuple[str, int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=os.environ | environment | {"PYTHONPATH": "src"},
    )  # fmt: skip
    output, _ = await process.communicate()
    return output.decode(), process.returncode or 0


async def test_nothing_that_stays_open_shows_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    async with serving() as service:
        settings = ServiceSettings(base_url=service.base_url, api_key_env="CANARY")
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            async with connect(settings, ledger) as client:
                await client.ask(question())
                shown = [repr(settings), repr(client), repr(vars(client)), repr(ledger)]
    assert all(CANARY not in text for text in shown)
