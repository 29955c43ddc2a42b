"""A process that fine-tunes and is killed.

``python -m tests.finetuning.training.victim FOLDER PROCESSES PLAN``

PLAN is a JSON list of steps. With PROCESSES 0 torch is imported once, in a parent that forks one
life for each of them and never computes itself; the life kills itself with SIGKILL at that step.
An empty plan is a life of its own, without a fork, that says every event.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from llamaduo.finetuning.finetune import finetune
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Event, Notify
from tests.finetuning.made import HUNDRED_STEPS, checkpoint_of, tickets

PAIRS = 80


def train(folder: Path, into: Path, settings: FinetuningSettings, notify: Notify) -> None:
    """A hundred steps on the model in ``folder/model``."""
    finetune(
        tickets(PAIRS),
        settings,
        start=checkpoint_of(folder / "model"),
        cycle=0,
        into=into,
        notify=notify,
    )


def killing(step: int) -> Notify:
    def notify(event: Event) -> None:
        if event.unit == "steps" and event.done >= step:
            os.kill(os.getpid(), signal.SIGKILL)

    return notify


def live(folder: Path, settings: FinetuningSettings, step: int) -> int:
    """One life in a child process; how it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    train(folder, folder / "cycle" / "checkpoint", settings, killing(step))
    os._exit(0)


def say(event: Event) -> None:
    print(json.dumps([event.unit, event.done, event.detail]), flush=True)  # noqa: T201


def main() -> None:
    folder, processes, plan = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    settings = HUNDRED_STEPS.model_copy(update={"processes": processes})
    if not plan:
        train(folder, folder / "cycle" / "checkpoint", settings, say)
        return
    import llamaduo.finetuning.training.work  # noqa: F401  # torch and all the rest, once

    for step in plan:
        print(live(folder, settings, step), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
