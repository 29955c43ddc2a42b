"""The line before a model: a bounded queue, the jobs at work, and how long they take."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from threading import Condition

from llamaduo.serving.jobs import Deliver, Delivery, Ended, Failed, Job, Load, Unavailable

_LONGEST_WAIT = 600
_WEIGHT = 0.2
"""Of the latest job in the running mean of how long jobs take."""


class Entry:
    """A job in the line. Only its line changes it."""

    def __init__(self, job: Job, deliver: Deliver) -> None:
        self.job = job
        self.over = False
        """Complete, failed or cancelled: whoever works on it stops."""
        self.begun = 0.0
        self.handed = 0
        self.left = job.choices
        self._deliver = deliver

    def send(self, delivery: Delivery) -> None:
        """Deliver, unless the client has gone."""
        if not self.over:
            self._deliver(delivery)


class Line:
    """Jobs in the order in which they came. Every method may be called from any thread.

    Args:
        most: how many may wait, at least 1.
        width: how many are worked on at once, for the estimate of a wait.
    """

    def __init__(self, most: int, width: int) -> None:
        self._most = most
        self._width = width
        self._waiting: deque[Entry] = deque()
        self._running: set[Entry] = set()
        self._changed = Condition()
        self._seconds = 1.0
        self._closed: Failed | None = None

    @property
    def load(self) -> Load:
        with self._changed:
            untouched = sum(not entry.handed for entry in self._waiting)
            return Load(len(self._running), untouched)

    # --- from the HTTP side ---------------------------------------------------------------

    def check_room(self) -> None:
        """See :class:`~llamaduo.serving.jobs.Engine`."""
        with self._changed:
            self._require_room()

    def join(self, job: Job, deliver: Deliver) -> Entry:
        """Queue ``job`` at the end.

        Raises:
            Unavailable: as many wait as may, or the line is closed.
        """
        with self._changed:
            self._require_room()
            entry = Entry(job, deliver)
            self._waiting.append(entry)
            self._changed.notify_all()
            return entry

    def _require_room(self) -> None:
        if self._closed:
            raise Unavailable(self._closed.message, None)
        if len(self._waiting) >= self._most:
            jobs = len(self._waiting) + len(self._running)
            seconds = math.ceil(self._seconds * jobs / self._width)
            raise Unavailable(
                f"{len(self._waiting)} requests wait already, which is as many as may.",
                max(1, min(_LONGEST_WAIT, seconds)),
            )

    def cancel(self, entry: Entry) -> None:
        """End ``entry`` wherever it stands, and tell nobody: its client has gone.

        Whoever works on it still counts as running until :meth:`leave`.
        """
        with self._changed:
            entry.over = True
            if entry in self._waiting:
                self._waiting.remove(entry)
            self._changed.notify_all()

    def close(self, failure: Failed, *, waiting_only: bool = False) -> None:
        """Take no more; end those that wait, or all, with ``failure``."""
        with self._changed:
            self._closed = failure
            ended = [*self._waiting, *([] if waiting_only else self._running)]
            self._waiting.clear()
            for entry in ended:
                entry.send(failure)
                entry.over = True
            self._changed.notify_all()

    # --- from the engine's side -----------------------------------------------------------

    def wait(self, *, busy: bool = False) -> bool:
        """Wait until there is work, which there is when ``busy``. False: the line is closed and
        nothing is left to do."""
        with self._changed:
            self._changed.wait_for(lambda: busy or self._waiting or self._closed)
            return busy or bool(self._waiting) or self._closed is None

    def take(self, fits: Callable[[Job], bool]) -> Entry | None:
        """The first in the line, if it ``fits``; it is running from now on."""
        with self._changed:
            if not self._waiting or not fits(self._waiting[0].job):
                return None
            entry = self._waiting.popleft()
            self._start(entry)
            return entry

    def take_choice(self) -> tuple[Entry, int] | None:
        """The next choice to be worked on; waits for one. None: the line is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            entry, choice = self._waiting[0], self._waiting[0].handed
            entry.handed += 1
            self._start(entry)
            if entry.handed == entry.job.choices:
                self._waiting.popleft()
            return entry, choice

    def _start(self, entry: Entry) -> None:
        if entry not in self._running:
            entry.begun = time.monotonic()
            self._running.add(entry)

    def end_choice(self, entry: Entry, ended: Ended) -> None:
        """Deliver the end of one choice; with the last one the job is complete.

        Counted and told under one lock: the end of another choice may not come in between, and
        make the job complete before all of it was told.
        """
        with self._changed:
            entry.left -= 1
            entry.send(ended)
            if entry.left == 0:
                self._note(time.monotonic() - entry.begun)
                self.leave(entry)

    def fail(self, entry: Entry, failure: Failed) -> None:
        """End ``entry`` with ``failure``, unless it is over."""
        with self._changed:
            entry.send(failure)
            self.leave(entry)

    def leave(self, entry: Entry) -> None:
        """Nobody works on ``entry`` any more."""
        with self._changed:
            entry.over = True
            self._running.discard(entry)
            if entry in self._waiting:  # some of its choices were never begun
                self._waiting.remove(entry)
            self._changed.notify_all()

    def _note(self, seconds: float) -> None:
        self._seconds += _WEIGHT * (seconds - self._seconds)
