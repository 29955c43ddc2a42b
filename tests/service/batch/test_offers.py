"""What batch mode means for each provider is said before it is used."""

from __future__ import annotations

import pytest

from llamaduo.service.address import PROVIDERS
from llamaduo.service.batch.offers import is_offered, notice, notices
from llamaduo.service.settings import ServiceSettings

KEPT = {"openai": "30 days", "anthropic": "29 days", "google": "48 hours"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_has_batches_with_a_warning_or_a_reason_why_not(provider: str) -> None:
    settings = ServiceSettings(model=f"{provider}:m", mode="batch")
    said = notice(settings)
    assert is_offered(settings) == (provider in KEPT)
    if provider in KEPT:
        assert KEPT[provider] in said
        assert "zero-retention agreement" in said
    else:
        assert "ordinary calls, at full price" in said
        assert "its API has no batches" not in said  # each has a reason of its own


def test_nothing_is_said_of_calls_and_nothing_twice() -> None:
    calls = ServiceSettings(model="openai:m")
    batch = ServiceSettings(model="openai:m", mode="batch")
    assert not is_offered(calls)
    assert notices([calls, batch, batch]) == [notice(batch)]
