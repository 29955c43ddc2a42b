"""Prices from the settings, from the table, or unknown; what a call cost, and the most it can."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import UsageError
from llamaduo.service.pricing import Tokens, most_usd, price_of, usd, usd_of, usd_of_calls
from llamaduo.service.settings import Price, ServiceSettings

CLAUDE = ServiceSettings(model="anthropic:claude-sonnet-4-5")
"""$3 in and $15 out; from 200,000 tokens of input on $6 and $22.50 for the whole call."""
GPT = ServiceSettings(model="openai-chat:gpt-4o")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a price was looked up on the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize(
    "model", ["openai-chat:gpt-4o", "openai:gpt-4o", "openai:gpt-4o-2024-08-06"]
)
def test_a_known_model_has_its_list_price(model: str) -> None:
    settings = ServiceSettings(model=model)
    assert price_of(settings) == Price(input=2.5, output=10.0, cached_input=1.25)
    assert usd(settings, 1_000_000, 100_000) == pytest.approx(3.5)


def test_a_price_of_ones_own_wins() -> None:
    settings = ServiceSettings(price=Price(input=1.0, output=2.0))
    assert usd(settings, 500_000, 250_000) == pytest.approx(1.0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://localhost:1", "http://[::1]:1"])
def test_loopback_costs_nothing_unless_a_price_is_set(url: str) -> None:
    free = ServiceSettings(model="openai-chat:gpt-4o", base_url=url)
    assert price_of(free) == Price(input=0.0, output=0.0)
    assert usd(free, 10**9, 10**9) == most_usd(free, 10**9, 10**9) == 0.0
    priced = free.model_copy(update={"price": Price(input=1.0, output=1.0)})
    assert usd(priced, 10**6, 0) == pytest.approx(1.0)


def test_an_unknown_model_has_no_price() -> None:
    settings = ServiceSettings(model="openai-chat:our-own", base_url="https://llm.example.com/v1")
    assert price_of(settings) is None
    assert usd(settings, 10**6, 10**6) == most_usd(settings, 10**6, 10**6) == 0.0


def test_an_unknown_provider_is_an_error() -> None:
    with pytest.raises(UsageError, match="nobody is not a provider"):
        price_of(ServiceSettings(model="nobody:model"))


# --- what a reply says about its tokens -----------------------------------------------------


def test_cached_input_has_its_own_price() -> None:
    assert usd(GPT, 1000, 0, cached=400) == pytest.approx((600 * 2.5 + 400 * 1.25) / 1e6)
    own = ServiceSettings(price=Price(input=2.0, output=8.0, cached_input=0.5))
    assert usd(own, 1000, 100, cached=400) == pytest.approx((600 * 2 + 400 * 0.5 + 800) / 1e6)
    without = ServiceSettings(price=Price(input=2.0, output=8.0))
    assert usd(without, 1000, 100, cached=400) == pytest.approx((1000 * 2 + 800) / 1e6)


def test_what_is_written_to_a_cache_costs_more_and_more_if_it_is_kept_for_an_hour() -> None:
    assert usd_of(CLAUDE, Tokens(1000, 0, written=1000)) == pytest.approx(1000 * 3.75 / 1e6)
    kept = Tokens(1000, 0, written=1000, kept_an_hour=1000)
    assert usd_of(CLAUDE, kept) == pytest.approx(1000 * 6 / 1e6)
    part = Tokens(1000, 0, cached=300, written=200, kept_an_hour=50)
    expected = 500 * 3 + 300 * 0.3 + 150 * 3.75 + 50 * 6
    assert usd_of(CLAUDE, part) == pytest.approx(expected / 1e6)


def test_a_long_context_has_its_price_for_the_whole_call() -> None:
    assert usd(CLAUDE, 200_000, 1000) == pytest.approx(0.6 + 0.015)
    assert usd(CLAUDE, 200_001, 1000) == pytest.approx(1.200006 + 0.0225)


def test_many_short_calls_are_not_one_long_one() -> None:
    together = usd_of_calls(CLAUDE, 1000, 1_000_000, 100_500, cached=400_000)
    assert together == pytest.approx((600_000 * 3 + 400_000 * 0.3 + 100_500 * 15) / 1e6)
    assert usd_of_calls(CLAUDE, 0, 0, 0) == 0.0


@pytest.mark.parametrize("settings", [CLAUDE, GPT, ServiceSettings(price=Price(input=2, output=8))])
def test_a_batch_costs_half(settings: ServiceSettings) -> None:
    """Listed for Anthropic and OpenAI, taken for granted where the price is the user's own."""
    alone = usd(settings, 1000, 500)
    assert usd(settings, 1000, 500, batch=True) == pytest.approx(alone / 2)
    assert most_usd(settings, 1000, 500, batch=True) == pytest.approx(
        most_usd(settings, 1000, 500) / 2
    )


def test_the_service_at_the_address_is_asked_for_before_the_provider() -> None:
    elsewhere = ServiceSettings(
        model="openai-chat:deepseek-chat", base_url="https://api.deepseek.com"
    )
    assert price_of(elsewhere) is not None
    assert price_of(elsewhere.model_copy(update={"base_url": None})) is None
    passed_on = ServiceSettings(model="openai-chat:gpt-4o", base_url="https://llm.example.com/v1")
    assert price_of(passed_on) == price_of(GPT)


def test_claude_in_a_cloud_has_the_price_of_the_cloud() -> None:
    name = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    bedrock = price_of(ServiceSettings(model=f"anthropic-bedrock:{name}"))
    vertex = price_of(ServiceSettings(model="anthropic-vertex:claude-sonnet-4-5@20250929"))
    assert bedrock is not None
    assert vertex is not None
    assert bedrock.input > vertex.input == 3.0


# --- the most -------------------------------------------------------------------------------

_COUNTS = st.integers(0, 500_000)


@given(
    settings=st.sampled_from(
        [
            CLAUDE,
            GPT,
            ServiceSettings(model="google:gemini-2.5-pro"),
            ServiceSettings(model="openai-chat:deepseek-chat", base_url="https://api.deepseek.com"),
            ServiceSettings(price=Price(input=1.0, output=2.0, cached_input=3.0)),
        ]
    ),
    tokens=st.builds(Tokens, *[_COUNTS] * 5),
    batch=st.booleans(),
)
def test_no_call_costs_more_than_the_most(
    settings: ServiceSettings, tokens: Tokens, batch: bool
) -> None:
    cost = usd_of(settings, tokens, batch=batch)
    most = most_usd(settings, tokens.input, tokens.output, batch=batch)
    assert 0 <= cost <= most * (1 + 1e-12)


@given(st.builds(Tokens, *[st.integers(-10, 10)] * 5))
def test_whatever_a_reply_says_is_priced_without_an_error(tokens: Tokens) -> None:
    sound = tokens.plausible()
    assert sound.cached + sound.written <= sound.input
    assert sound.kept_an_hour <= sound.written
    assert usd_of(CLAUDE, tokens) >= 0
