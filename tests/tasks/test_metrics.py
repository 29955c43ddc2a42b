"""Exact match."""

from __future__ import annotations

import pytest

from llamaduo.tasks.metrics import exact_match


@pytest.mark.parametrize("response", ["billing, high", " billing,  high\n", "billing,\u00a0high"])
def test_white_space_does_not_matter(response: str) -> None:
    assert exact_match(response, "billing, high")


@pytest.mark.parametrize("response", ["", "Billing, high", "billing,high", "billing, high."])
def test_everything_else_does(response: str) -> None:
    assert not exact_match(response, "billing, high")
