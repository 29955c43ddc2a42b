"""A training in a process of its own: ``python -P -m llamaduo.finetuning.child FOLDER``.

``FOLDER`` holds the job. Standard output is for events, one JSON line each; what libraries print
goes to standard error, which is the log. Standard input is the line of life: nothing is read
from it, and when it closes, the parent is gone and this process ends too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from llamaduo.errors import LlamaduoError
from llamaduo.finetuning.said import Said
from llamaduo.finetuning.training.job import Job, Stopped, read_job
from llamaduo.records import Notify, Recipe, silent
from llamaduo.storage.jsonl import dump_record
from llamaduo.storage.lock import locked

_PR_SET_PDEATHSIG = 1
_IMPORTED_FOR_NOTHING = ("boto3", "datasets", "pandas", "scipy", "sklearn")
"""What transformers, peft and accelerate import wherever it is installed, and no training here
uses."""


def main() -> int:
    say = _claim_output()
    _die_with_the_parent()
    rank = int(os.environ.get("RANK", "0"))
    try:
        job = read_job(Path(sys.argv[1]))
        with locked(job.path) if rank == 0 else nullcontext():
            return _work(job, say, rank)
    except LlamaduoError as error:
        say(Said(error=type(error).__name__, message=error.message, hint=error.hint))
        return 1
    except Exception as error:
        say(Said(message=f"{type(error).__name__}: {error}"))
        raise  # for the log


def _work(job: Job, say: Callable[[Said], None], rank: int) -> int:
    _leave_out(job.recipe)
    from llamaduo.finetuning.training.memory import is_out_of_memory
    from llamaduo.finetuning.training.work import carry_out, leave_the_others

    notify: Notify = (lambda event: say(Said(event=event))) if rank == 0 else silent
    # Not 0 is a failure to a launcher, which then ends the others: one may be writing still.
    try:
        carry_out(job, notify, rank=rank)
    except Stopped as stopped:
        say(Said(stopped_after=stopped.step))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        say(Said(out_of_memory=True, message=str(error)))
        return 1
    leave_the_others()
    return 0


def _leave_out(recipe: Recipe) -> None:
    """Have the libraries believe that what this training does not need is not installed: a
    third of the seconds that it takes to import them. A tracker may need anything."""
    unused = () if recipe.report_to else _IMPORTED_FOR_NOTHING
    for name in (*unused, *(() if recipe.method == "qlora" else ("bitsandbytes",))):
        sys.modules.setdefault(name, cast("Any", None))


def _claim_output() -> Callable[[Said], None]:
    """Keep standard output for :class:`Said`, and send what others print there to the log."""
    ours = os.dup(1)
    os.dup2(2, 1)

    def say(said: Said) -> None:
        os.write(ours, f"{dump_record(said)}\n".encode())  # one write: lines stay whole

    return say


def _die_with_the_parent() -> None:
    """End when the parent does, however it ends: the kernel sees to it on Linux, a closed
    standard input everywhere, also where a launcher stands in between."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_await_the_end, daemon=True).start()


def _await_the_end() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
