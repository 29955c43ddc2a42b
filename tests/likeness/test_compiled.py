from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import pytest

from llamaduo.likeness import compiled
from llamaduo.likeness.compiled import Workers, cache_folder, is_compiled


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    cache_folder.cache_clear()
    yield
    cache_folder.cache_clear()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 5, 1000])
def test_every_row_is_worked_on_once(threads: int, count: int) -> None:
    rows: list[int] = []
    lock = Lock()

    def work(first: int, last: int) -> None:
        with lock:
            rows.extend(range(first, last))

    with Workers(threads) as workers:
        workers.share(count, work)
    assert sorted(rows) == list(range(count))


def test_what_a_worker_raises_is_raised() -> None:
    def work(first: int, last: int) -> None:
        raise ValueError(first)

    with Workers(2) as workers, pytest.raises(ValueError, match="0"):
        workers.share(10, work)


def test_kernels_are_kept_beside_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMADUO_CACHE", str(tmp_path))
    folder = cache_folder()
    assert folder is not None
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o077 == 0


def test_a_cache_that_cannot_be_made_gives_way_to_a_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LLAMADUO_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    folder = cache_folder()
    assert folder is not None
    assert folder.is_relative_to(tmp_path / f"llamaduo-{compiled._user()}")


def test_without_any_folder_kernels_are_compiled_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LLAMADUO_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    assert cache_folder() is None

    @compiled.kernel
    def twice(number: int) -> int:
        return 2 * number

    assert twice(21) == 42


def test_kernels_are_compiled_once_an_index_is_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMADUO_CACHE", str(tmp_path))
    assert not is_compiled()
    folder = cache_folder()
    assert folder is not None
    (folder / "likeness_1a").mkdir()
    (folder / "likeness_1a" / "lcs.lcs_length-12.py311.nbi").touch()
    assert is_compiled()
