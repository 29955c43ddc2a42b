"""What makes the suite the same on a busy machine as on an idle one, and fast on either.

One thread for torch, here and in child processes: tiny models gain nothing from more, and on
cores that others use too, two threads that wait for each other at every step collapse to a tenth
of the speed of one. And no time limit on each of hypothesis's examples.

Modules are out of the garbage collector's sight. Whatever lets a model go collects garbage, eight
times in a loop of two cycles, and looking through the 700,000 objects of torch and its like takes
a third of a second each time: nearly half of what a loop with a tiny model costs.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.canary"]

os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("llamaduo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("llamaduo")

_MANY_MODULES = 100
_modules_seen = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set the modules aside that were loaded since, if they are worth it: what is garbage by then
    is collected before, and what is made later is collected as ever."""
    loaded = len(sys.modules)
    if loaded - item.config.stash.get(_modules_seen, 0) > _MANY_MODULES:
        item.config.stash[_modules_seen] = loaded
        gc.collect()
        gc.freeze()


def pytest_sessionfinish() -> None:
    """What was set aside and is garbage by now may still have a warning to give."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of one whole small loop, for tests of what a run leaves behind. Copy it
    to change anything in it."""
    from llamaduo.rehearsal.process import running_rehearsal
    from tests.cycle.small_loop import configuration, prepare, run_loop

    folder = tmp_path_factory.mktemp("finished")
    prepare(folder)
    with running_rehearsal() as url:
        run_loop(configuration(folder, url), folder, "small")
    return folder / "runs" / "small"
