"""The simulated limiters: what they let pass, and what their refusals and headers say."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.rehearsal.limits import (
    Admission,
    AnthropicLimiter,
    Asked,
    GeminiLimiter,
    Limiter,
    OpenAILimiter,
    go_duration,
    read_limit,
)

SMALL = Asked(input_tokens=100, max_tokens=50)


@dataclass
class Hand:
    """A clock that is moved by hand."""

    now: float = 1_000_000_020.0

    def __call__(self) -> float:
        return self.now


def passed(limiter: Limiter, asked: Asked, times: int) -> int:
    return sum(limiter.admit(asked).allowed for _ in range(times))


def refusal(limiter: Limiter, asked: Asked) -> Admission:
    for _ in range(10_000):
        if not (answer := limiter.admit(asked)).allowed:
            return answer
    raise AssertionError("nothing is refused")


def test_openai_charges_input_and_the_whole_limit_of_the_reply() -> None:
    clock = Hand()
    limiter = OpenAILimiter({"requests": 1000, "tokens": 1500}, clock)
    assert passed(limiter, SMALL, 20) == 10
    clock.now += 6.0  # a tenth of a minute: 150 tokens
    assert passed(limiter, SMALL, 20) == 1


def test_openai_says_what_is_left_and_when_to_come_back() -> None:
    clock = Hand()
    limiter = OpenAILimiter({"requests": 60, "tokens": 100_000}, clock)
    headers = limiter.admit(SMALL).headers
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "59"
    assert headers["x-ratelimit-reset-requests"] == "1s"
    assert headers["x-ratelimit-remaining-tokens"] == "99850"
    refused = refusal(limiter, SMALL)
    assert refused.status == 429
    assert (refused.headers["retry-after"], refused.headers["retry-after-ms"]) == ("1", "1000")
    assert json.loads(refused.body)["error"]["code"] == "rate_limit_exceeded"
    clock.now += 1.0
    assert limiter.admit(SMALL).allowed


def test_a_refused_request_counts_as_a_request_at_openai() -> None:
    limiter = OpenAILimiter({"requests": 10, "tokens": 150}, Hand())
    answers = [limiter.admit(SMALL) for _ in range(4)]
    assert [a.allowed for a in answers] == [True, False, False, False]
    assert answers[-1].headers["x-ratelimit-remaining-requests"] == "6"


def test_anthropic_charges_output_as_it_is_written_and_no_cached_input() -> None:
    clock = Hand()
    limiter = AnthropicLimiter({"requests": 100, "input_tokens": 1000, "output_tokens": 600}, clock)
    assert passed(limiter, Asked(1000, 4096, cached_tokens=990), 5) == 5
    limiter.delivered(700)
    refused = refusal(limiter, Asked(1, 1))
    assert refused.headers["retry-after"] == "10"  # 100 tokens at 10 a second
    assert "600 output tokens per minute" in json.loads(refused.body)["error"]["message"]
    assert refused.headers["anthropic-ratelimit-output-tokens-remaining"] == "0"
    clock.now += 10.0
    assert limiter.admit(Asked(1, 1)).allowed


def test_anthropic_names_times() -> None:
    limiter = AnthropicLimiter({"requests": 60, "input_tokens": 30_000}, Hand(1_760_000_000.0))
    limiter.change({"output_tokens": 8_000})
    headers = limiter.admit(Asked(15_000, 1)).headers
    assert headers["anthropic-ratelimit-tokens-limit"] == "38000"
    assert headers["anthropic-ratelimit-tokens-remaining"] == "23000"
    assert headers["anthropic-ratelimit-input-tokens-limit"] == "30000"
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "15000"
    assert headers["anthropic-ratelimit-input-tokens-reset"] == "2025-10-09T08:53:50Z"


@pytest.mark.parametrize(("window", "later"), [("sliding", 60.0), ("fixed", 20.0)])
def test_gemini_counts_a_minute_and_says_so_in_the_body_alone(window: str, later: float) -> None:
    clock = Hand(1_000_000_000.0)  # 40 s past a full minute
    limiter = GeminiLimiter({"requests": 3}, clock, window=window)  # type: ignore[arg-type]
    assert passed(limiter, SMALL, 3) == 3
    refused = limiter.admit(SMALL)
    assert (refused.allowed, refused.status) == (False, 429)
    assert set(refused.headers) == {"content-type"}
    quota, retry = json.loads(refused.body)["error"]["details"]
    assert retry["retryDelay"] == f"{later:.0f}s"
    assert "RequestsPerMinutePerProject" in quota["violations"][0]["quotaId"]
    assert quota["violations"][0]["quotaValue"] == "3"
    clock.now += later - 0.5
    assert not limiter.admit(SMALL).allowed
    clock.now += 0.5
    assert limiter.admit(SMALL).allowed


@pytest.mark.parametrize(("says", "details"), [("delay", 1), ("nothing", 0)])
def test_gemini_may_say_less(says: str, details: int) -> None:
    limiter = GeminiLimiter({"input_tokens": 150}, Hand(), says=says)  # type: ignore[arg-type]
    body = json.loads(refusal(limiter, SMALL).body)
    assert len(body["error"].get("details", [])) == details


@pytest.mark.parametrize("make", [OpenAILimiter, AnthropicLimiter, GeminiLimiter])
def test_a_limit_can_change(make: type[Limiter]) -> None:
    clock = Hand()
    limiter = make({"requests": 10}, clock)  # type: ignore[call-arg]
    assert passed(limiter, SMALL, 20) == 10
    limiter.change({"requests": 2})
    clock.now += 61.0
    assert passed(limiter, SMALL, 20) == 2


@given(
    st.sampled_from([OpenAILimiter, AnthropicLimiter, GeminiLimiter]),
    st.integers(1, 50),
    st.lists(st.floats(0.0, 20.0), max_size=80),
)
def test_never_more_than_the_limit_and_what_was_saved_up(
    make: type[Limiter], limit: int, gaps: list[float]
) -> None:
    clock = Hand()
    limiter = make({"requests": limit}, clock)  # type: ignore[call-arg]
    began, count = clock.now, 0
    for gap in gaps:
        clock.now += gap
        count += limiter.admit(SMALL).allowed
    minutes = (clock.now - began) / 60.0
    assert count <= limit + limit * math.ceil(minutes)


@pytest.mark.parametrize(
    "text",
    ["openai:requests=500,tokens=30000", "anthropic:output_tokens=8000", "gemini:requests=5"],
)
def test_limits_are_read(text: str) -> None:
    assert read_limit(text).admit(SMALL).allowed


@pytest.mark.parametrize(
    "text", ["", "openai", "openai:", "openai:requests=0", "gemini:tokens=5", "azure:requests=5"]
)
def test_what_is_no_limit_is_answered_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="openai:requests=N,tokens=N"):
        read_limit(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0ms"), (0.0201, "21ms"), (1.5, "1.5s"), (360.0, "6m0s")]
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
