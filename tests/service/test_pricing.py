"""Prices from the settings, from the table, or unknown."""

from __future__ import annotations

import socket

import pytest

from llamaduo.errors import UsageError
from llamaduo.service.pricing import price_of, usd
from llamaduo.service.settings import Price, ServiceSettings


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
    assert price_of(settings) == Price(input=2.5, output=10.0)
    assert usd(settings, 1_000_000, 100_000) == pytest.approx(3.5)


def test_a_price_of_ones_own_wins() -> None:
    settings = ServiceSettings(price=Price(input=1.0, output=2.0))
    assert usd(settings, 500_000, 250_000) == pytest.approx(1.0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://localhost:1", "http://[::1]:1"])
def test_loopback_costs_nothing_unless_a_price_is_set(url: str) -> None:
    free = ServiceSettings(model="openai-chat:gpt-4o", base_url=url)
    assert price_of(free) == Price(input=0.0, output=0.0)
    assert usd(free, 10**9, 10**9) == 0.0
    priced = free.model_copy(update={"price": Price(input=1.0, output=1.0)})
    assert usd(priced, 10**6, 0) == pytest.approx(1.0)


def test_an_unknown_model_has_no_price() -> None:
    settings = ServiceSettings(model="openai-chat:our-own", base_url="https://llm.example.com/v1")
    assert price_of(settings) is None
    assert usd(settings, 10**6, 10**6) == 0.0


def test_long_contexts_do_not_change_the_list_price() -> None:
    settings = ServiceSettings(model="anthropic:claude-sonnet-4-5")
    assert usd(settings, 10**6, 0) == pytest.approx(3.0)


def test_an_unknown_provider_is_an_error() -> None:
    with pytest.raises(UsageError, match="nobody is not a provider"):
        price_of(ServiceSettings(model="nobody:model"))
