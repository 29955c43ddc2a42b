"""The line before a model, asked from several threads."""

from __future__ import annotations

from threading import Thread

import pytest

from llamaduo.serving.jobs import Delivery, Ended, Failed, Job, Sampling, Unavailable
from llamaduo.serving.line import Line

JOB = Job(model="a", tokens=(1,), choices=2, limit=1, sampling=Sampling(0, 1), seed="")


def test_the_last_choice_does_not_overtake_the_one_before() -> None:
    """Else the job would be over before all of it was told, and its client wait for ever."""
    line = Line(1, 2)
    heard: list[Delivery] = []
    second = Thread(target=lambda: line.end_choice(entry, Ended(1, "stop", 1)))

    def deliver(delivery: Delivery) -> None:
        if not heard:
            second.start()
            second.join(0.1)
            assert second.is_alive()  # it waits for its turn
        heard.append(delivery)

    entry = line.join(JOB, deliver)
    assert line.take_choice() == (entry, 0)
    assert line.take_choice() == (entry, 1)
    line.end_choice(entry, Ended(0, "stop", 1))
    second.join()
    assert heard == [Ended(0, "stop", 1), Ended(1, "stop", 1)]
    assert line.load.running == 0


def test_a_closed_line_says_why() -> None:
    line = Line(1, 1)
    line.close(Failed("It broke."))
    with pytest.raises(Unavailable, match="It broke"):
        line.check_room()
