"""What makes the suite the same on a busy machine as on an idle one.

One thread for torch, here and in child processes: tiny models gain nothing from more, and on
cores that others use too, two threads that wait for each other at every step collapse to a tenth
of the speed of one. And no time limit on each of hypothesis's examples.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.canary"]

os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("llamaduo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("llamaduo")


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
