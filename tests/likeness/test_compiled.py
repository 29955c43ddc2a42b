from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Lock

import pytest

from llamaduo.likeness import compiled
from llamaduo.likeness.compiled import Workers, cache_folder, cores, is_compiled


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


def test_a_few_rows_that_take_long_are_shared_too() -> None:
    """The bands of MinHash are fewer than the cores of a large machine."""
    both = Barrier(2, timeout=10)

    def work(first: int, last: int) -> None:
        assert last == first + 1
        both.wait()

    with Workers(8) as workers:
        workers.share(2, work)


@pytest.mark.parametrize("threads", [None, 0, -1])
def test_as_many_threads_as_cores_unless_said_otherwise(threads: int | None) -> None:
    with Workers(threads) as workers:
        assert workers.threads == cores()


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


def opened_to_all(folder: Path) -> None:
    folder.chmod(0o777)


def made_a_link(folder: Path) -> None:
    elsewhere = folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(elsewhere)


@pytest.mark.parametrize("spoil", [opened_to_all, made_a_link])
def test_what_others_could_change_is_not_run(
    spoil: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMADUO_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    own = cache_folder()
    assert own is not None
    assert own.parent == tmp_path / "own"
    spoil(own)
    cache_folder.cache_clear()
    temporary = cache_folder()
    assert temporary is not None
    assert temporary.parent == tmp_path / f"llamaduo-{compiled._user()}"
    assert temporary.parent.stat().st_mode & 0o077 == 0
    spoil(temporary.parent)
    cache_folder.cache_clear()
    assert cache_folder() is None


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
