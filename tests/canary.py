"""The one service key of the suite, and the search for it in all that the suite writes or says.

The search is a pytest plugin that ``tests/conftest.py`` loads. In every test process it looks at
each file under the temporary folder when the last test has ended, so the folders of tests that
passed must still be there then (``tmp_path_retention_policy`` is "all", pytest's own choice).
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

CANARY = "sk-canary-5d1f0a7c93be4428"
HOME = "key"
"""What a file is called in which a test keeps the key, for ``service.api_key_file``."""
_WEIGHTS = (".safetensors", ".gguf")


def _in_base64(key: bytes, behind: int) -> bytes:
    """What of ``key`` shows in the base64 of a text that has it behind so many bytes, modulo 3."""
    whole = base64.b64encode(bytes(behind) + key)
    return whole[-(-8 * behind // 6) : 8 * (behind + len(key)) // 6]


_SHAPES = (CANARY.encode(), *(_in_base64(CANARY.encode(), behind) for behind in range(3)))


def has_key(data: bytes | str) -> bool:
    raw = data.encode(errors="replace") if isinstance(data, str) else data
    return any(shape in raw for shape in _SHAPES)


def files_with_key(folder: Path) -> list[Path]:
    """The files under ``folder`` with the key in what they hold or are called, but for its homes
    and for weights, which are large."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix not in _WEIGHTS
        if path.name != HOME and (has_key(path.name) or has_key(path.read_bytes()))
    ]


@pytest.fixture(scope="session", autouse=True)
def _no_key_in_what_is_written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Set up before, and so torn down after, whatever else lasts for the session."""
    yield
    if found := files_with_key(tmp_path_factory.getbasetemp()):
        pytest.fail(f"The service key is in {', '.join(map(str, found))}.", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _no_key_in_what_a_test_reads_of_its_output() -> Iterator[None]:
    """What ``capsys`` and its like hand to a test is in no report."""
    read = pytest.CaptureFixture.readouterr

    def readouterr(captured: pytest.CaptureFixture[Any]) -> Any:
        shown = read(captured)
        assert not any(map(has_key, shown)), "The service key is in what the test has shown."
        return shown

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytest.CaptureFixture, "readouterr", readouterr)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """At its end a test's report has all that it said and logged; pytest also keeps its name."""
    report = yield
    if report.when == "teardown" and report.passed:
        holders = [name for name, text in report.sections if has_key(text)]
        if has_key(report.nodeid):
            holders.append("name of the test")
        if holders:
            report.outcome = "failed"
            report.longrepr = f"The service key is in: {', '.join(holders)}."
    return report
