"""Who shares a pacer: one provider, project and model, whoever asks."""

from __future__ import annotations

from typing import Any

import pytest

from llamaduo.service import address
from llamaduo.service.pacing.pacers import Pacers
from llamaduo.service.settings import RateSettings, ServiceSettings
from tests.canary import CANARY


def settings(model: str = "openai-chat:gpt-test", **more: Any) -> ServiceSettings:
    return ServiceSettings(model=model, **more)


@pytest.mark.parametrize(
    ("other", "key", "shared"),
    [
        (settings(), "a", True),
        (settings("openai:gpt-test"), "a", True),  # another API of the same provider
        (settings(max_output_tokens=99, concurrency=3), "a", True),
        (settings(), "b", False),
        (settings("openai-chat:gpt-other"), "a", False),
        (settings(base_url="https://llm.example.com/v1"), "a", False),
        (settings("anthropic:gpt-test"), "a", False),
    ],
)
def test_who_shares(other: ServiceSettings, key: str, shared: bool) -> None:
    pacers = Pacers()
    assert (pacers.of(settings(), "a") is pacers.of(other, key)) is shared


def test_the_lower_of_two_configured_limits_holds() -> None:
    pacers = Pacers()
    pacers.of(settings(rates=RateSettings(requests=100, tokens=50)))
    pacer = pacers.of(settings(rates=RateSettings(requests=40, input_tokens=7)))
    assert pacer.limits == {"requests": 40, "tokens": 50, "input_tokens": 7}


def test_it_holds_no_key() -> None:
    pacers = Pacers()
    pacers.of(settings(), CANARY)
    assert CANARY not in repr(vars(pacers))


@pytest.mark.parametrize(
    ("more", "calls"),
    [
        ({}, 64),
        ({"base_url": "http://127.0.0.1:11434/v1"}, 8),
        ({"concurrency": 3}, 3),
        ({"base_url": "http://localhost:1/v1", "concurrency": 200}, 200),
    ],
)
def test_calls_in_flight(more: dict[str, Any], calls: int) -> None:
    assert address.in_flight(settings(**more)) == calls
