"""How the batch APIs are told to behave. What they do is in tests/service/batch."""

from __future__ import annotations

import pytest

from llamaduo.rehearsal.batches.plan import BatchPlan


def test_a_plan_is_read_from_one_line() -> None:
    plan = BatchPlan.parse("seconds=0.2,expired=0.1,hold=after,stumbles=3")
    assert plan == BatchPlan(seconds=0.2, expired=0.1, hold="after", stumbles=3)
    assert BatchPlan.parse("") == BatchPlan()


@pytest.mark.parametrize("text", ["speed=3", "hold=never", "seconds=soon", "expired"])
def test_what_has_no_meaning_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        BatchPlan.parse(text)
