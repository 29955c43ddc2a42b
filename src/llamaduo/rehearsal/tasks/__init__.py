"""The tasks that the service knows, by kind. Any other is recombined and marked by its words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llamaduo.rehearsal.tasks.closed_qa import CLOSED_QA
from llamaduo.rehearsal.tasks.coding import CODING
from llamaduo.rehearsal.tasks.known import KnownTask
from llamaduo.rehearsal.tasks.summarization import SUMMARIZATION
from llamaduo.rehearsal.tasks.triage import TRIAGE
from llamaduo.tasks.settings import TaskKind

TASKS: Final[dict[TaskKind, KnownTask]] = {
    task.kind: task for task in (TRIAGE, CLOSED_QA, SUMMARIZATION, CODING)
}


def task_of(pairs: Iterable[tuple[str, str]]) -> KnownTask | None:
    """The task that all of these instructions with their responses are of, if it is known."""
    known = list(pairs)
    for task in TASKS.values():
        if all(task.knows(instruction, response) for instruction, response in known):
            return task
    return None


def task_of_prompt(prompt: str) -> KnownTask | None:
    """The task in whose frame ``prompt`` stands, if it is known."""
    return next((task for task in TASKS.values() if task.is_prompt(prompt)), None)
