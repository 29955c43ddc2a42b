"""Whether dollars in the ledger are those of the tokens: cached, in a batch, written to a cache."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llamaduo.service.calls import CallRecord
from llamaduo.service.pricing import Tokens, usd, usd_of
from llamaduo.service.settings import ServiceSettings
from llamaduo.verification.money import _fits

CLAUDE = ServiceSettings(model="anthropic:claude-sonnet-4-5")
CALL = CallRecord(
    key="k",
    attempt=1,
    stage="judge",
    model=CLAUDE.model,
    state="answered",
    request="{}",
    status=200,
    content_type="application/json",
    reply=b"{}",
    error=None,
    snapshot="claude",
    input_tokens=1000,
    output_tokens=100,
    usd=usd(CLAUDE, 1000, 100),
    sent_at="",
    ended_at="",
)


def test_dollars_fit_the_tokens_that_were_paid_for() -> None:
    assert _fits(CALL, CLAUDE)
    assert not _fits(replace(CALL, usd=usd(CLAUDE, 1000, 101)), CLAUDE)


def test_cached_input_and_batches_have_their_own_price() -> None:
    cached = replace(CALL, cached_tokens=400, usd=usd(CLAUDE, 1000, 100, cached=400))
    assert _fits(cached, CLAUDE)
    assert not _fits(replace(cached, cached_tokens=None), CLAUDE)
    batched = replace(CALL, batch="b", usd=usd(CLAUDE, 1000, 100, batch=True))
    assert _fits(batched, CLAUDE)
    assert not _fits(replace(batched, batch=None), CLAUDE)


@pytest.mark.parametrize("written", [0, 1, 600, 1000])
def test_what_was_written_to_a_cache_may_cost_more_where_that_was_asked_for(written: int) -> None:
    asking = CLAUDE.model_copy(update={"options": {"anthropic_cache_instructions": True}})
    paid = replace(CALL, usd=usd_of(CLAUDE, Tokens(1000, 100, written=written)))
    assert _fits(paid, asking)
    assert _fits(paid, CLAUDE) == (written == 0)
    assert not _fits(replace(CALL, usd=1.0), asking)
    assert not _fits(replace(CALL, usd=0.001), asking)
