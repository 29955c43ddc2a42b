"""A process that runs the small loop again and again and is killed each time but the last.

``python -m tests.cycle.victim FOLDER BASE_URL NAME PLAN``: PLAN is a JSON list of deaths, each
``[stage, unit, n]``: at the nth event of that stage and unit since the life began, the process
kills itself with SIGKILL; ``*`` stands for any. What every life needs is imported once, in a
parent that forks one child a life and never computes itself. Prints one JSON list a life: the
death it was given, and how it ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from llamaduo.records import Event, Notify
from tests.cycle.small_loop import configuration, run_loop

Death = tuple[str, str, int]

HEAVY = (
    "altair",
    "llamaduo.cycle",
    "llamaduo.finetuning.training.trainer",
    "llamaduo.inference.engine",
    "pydantic_ai.models.openai",
    "transformers.models.llama.modeling_llama",
)
"""What a loop imports when it comes to need it. It takes seconds: too many for every life."""


def killing(death: Death) -> Notify:
    """A :data:`Notify` that dies at the given event."""
    stage, unit, n = death
    seen: Counter[tuple[str, str]] = Counter()

    def notify(event: Event) -> None:
        seen.update({(event.stage, event.unit), ("*", "*")})
        if seen[stage, unit] == n:
            os.kill(os.getpid(), signal.SIGKILL)

    return notify


def live(folder: Path, base_url: str, name: str, death: Death | None) -> int:
    """One life in a child process; its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    notify: Notify = killing(death) if death else lambda _: None
    run_loop(configuration(folder, base_url), folder, name, notify)
    os._exit(0)


def main() -> None:
    folder, base_url, name, plan = sys.argv[1:]
    for module in HEAVY:
        importlib.import_module(module)
    gc.freeze()  # the modules: no life need look through them when it lets its models go
    for death in [*json.loads(plan), None]:
        status = live(Path(folder), base_url, name, death)
        print(json.dumps([death, os.waitstatus_to_exitcode(status)]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
