"""What replies say about limits: the real forms, and that nothing malformed raises."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.pacing.replies import Said, read

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def said(status: int = 200, body: bytes = b"", /, **headers: str) -> Said:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read(status, named, body, NOW)


def google(*details: Any) -> bytes:
    return json.dumps({"error": {"code": 429, "details": details}}).encode()


def quota(quota_id: object, value: object) -> dict[str, Any]:
    return {"violations": [{"quotaId": quota_id, "quotaValue": value}]}


def test_openai() -> None:
    found = said(
        x_ratelimit_limit_requests="500",
        x_ratelimit_remaining_requests="499",
        x_ratelimit_reset_requests="120ms",
        x_ratelimit_limit_tokens="30000",
        x_ratelimit_remaining_tokens="28500",
        x_ratelimit_reset_tokens="3s",
    )
    assert found.limits == {"requests": 500, "tokens": 30_000}
    assert found.remaining == {"requests": 499, "tokens": 28_500}
    assert found.wait is None


def test_anthropic_and_its_tokens_which_only_repeat_the_others() -> None:
    start = "anthropic_ratelimit"
    found = said(
        **{
            f"{start}_requests_limit": "50",
            f"{start}_requests_remaining": "49",
            f"{start}_requests_reset": "2026-01-01T12:00:01Z",
            f"{start}_input_tokens_limit": "30000",
            f"{start}_output_tokens_limit": "8000",
            f"{start}_tokens_limit": "38000",
        }
    )
    assert found.limits == {"requests": 50, "input_tokens": 30_000, "output_tokens": 8_000}
    assert found.remaining == {"requests": 49}


def test_anthropic_tokens_alone() -> None:
    assert said(anthropic_ratelimit_tokens_limit="38000").limits == {"tokens": 38_000}


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "minute"),
    [
        ("500", "499", "120ms", True),
        ("500", "0", "1m0s", True),
        ("500", "500", "0s", True),
        ("10000", "9999", "8.64s", False),
        ("14400", "14370", "2m59.56s", False),
        ("200", "199", "7m12s", False),
    ],
)
def test_requests_a_day_are_no_requests_a_minute(
    limit: str, remaining: str, reset: str, minute: bool
) -> None:
    found = said(
        x_ratelimit_limit_requests=limit,
        x_ratelimit_remaining_requests=remaining,
        x_ratelimit_reset_requests=reset,
    )
    assert bool(found.limits) is minute


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "7", "retry_after_ms": "6400"}, 6.4),
        ({"retry_after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        (
            {
                "retry_after": "Thu, 01 Jan 2026 12:00:30 GMT",
                "date": "Thu, 01 Jan 2026 12:00:20 GMT",
            },
            10.0,
        ),
        (
            {
                "anthropic_ratelimit_requests_limit": "5",
                "anthropic_ratelimit_requests_remaining": "0",
                "anthropic_ratelimit_requests_reset": "2026-01-01T12:00:12Z",
            },
            12.0,
        ),
        (
            {
                "x_ratelimit_limit_tokens": "5",
                "x_ratelimit_remaining_tokens": "0",
                "x_ratelimit_reset_tokens": "6m0s",
            },
            360.0,
        ),
        ({}, None),
    ],
)
def test_how_long_a_429_wants_to_be_left_alone(headers: dict[str, str], wait: float | None) -> None:
    assert said(429, **headers).wait == wait
    assert said(200, **headers).wait is None


@pytest.mark.parametrize(
    ("delay", "wait"),
    [("34s", 34.0), ("34.074824224s", 34.074824224), ({"seconds": 20}, 20.0), ("0s", 0.0)],
)
def test_google_says_it_in_the_body(delay: object, wait: float) -> None:
    assert said(429, google({"retryDelay": delay})).wait == wait


@pytest.mark.parametrize(
    "delay", ["soon", "", "-3s", "nan", None, True, [], {"seconds": []}, {"seconds": -1}, 34]
)
def test_or_says_something_else(delay: object) -> None:
    assert said(429, google({"retryDelay": delay})).wait is None


@pytest.mark.parametrize(
    ("detail", "limits"),
    [
        (quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "10"), {"requests": 10}),
        (
            quota("GenerateContentInputTokensPerModelPerMinute-FreeTier", "250000"),
            {"input_tokens": 250_000},
        ),
        (quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "50"), {}),
        (quota("GenerateRequestsPerMinutePerProjectPerModel", "0"), {}),
        (quota("GenerateRequestsPerMinutePerProjectPerModel", "many"), {}),
        (quota("SomethingPerMinute", "10"), {}),
        (quota(None, "10"), {}),
        (quota(["PerMinute"], {}), {}),
        ({"violations": "none"}, {}),
        ({"violations": [1, None]}, {}),
    ],
)
def test_google_names_quotas(detail: dict[str, Any], limits: dict[str, float]) -> None:
    assert said(429, google(detail)).quotas == limits


@pytest.mark.parametrize("value", ["", "-1", "nan", "inf", "1e999", "ten", "0x10", "0"])
def test_what_is_no_number_is_no_limit(value: str) -> None:
    assert said(x_ratelimit_limit_requests=value).limits == {}


NAMES = [
    f"{form}"
    for word in ("requests", "tokens", "input-tokens", "output-tokens")
    for kind in ("limit", "remaining", "reset")
    for form in (f"x-ratelimit-{kind}-{word}", f"anthropic-ratelimit-{word}-{kind}")
] + ["retry-after", "retry-after-ms", "date"]
VALUES = st.text(max_size=30) | st.from_regex(r"[0-9]{1,5}(ms|s|m|h)[0-9]{0,3}s?", fullmatch=True)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.binary(max_size=60))
def test_no_header_and_no_body_raises(headers: dict[str, str], body: bytes) -> None:
    for status in (200, 429):
        found = read(status, headers, body, NOW)
        assert found.wait is None or 0.0 <= found.wait <= 86_400.0 * 366 * 10_000
        assert all(limit > 0 for limit in (*found.limits.values(), *found.quotas.values()))


FIELDS = st.sampled_from(["error", "details", "violations", "quotaId", "retryDelay"])
JSON = st.recursive(
    st.none() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_no_json_raises(body: Any) -> None:
    read(429, {}, json.dumps({"error": {"details": [body]}}).encode(), NOW)
    read(429, {}, json.dumps(body).encode(), NOW)
