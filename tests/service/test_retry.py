"""When to ask again: pure arithmetic over replies and headers."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.ledger import RawReply
from llamaduo.service.retry import Backoff, is_transient, seconds_asked

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def raw(status: int, body: bytes = b"") -> RawReply:
    return RawReply(status, "application/json", body)


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e5), st.integers())
def test_a_wait_is_bounded_and_never_shorter_than_asked(
    setbacks: int, asked: float | None, seed: int
) -> None:
    wait = Backoff(first=0.5, most=60.0).seconds(setbacks, asked, random.Random(seed))
    assert (asked or 0.0) <= wait <= (asked or 0.0) + min(60.0, 0.5 * 2.0 ** min(setbacks - 1, 99))


def test_waits_grow() -> None:
    draws = random.Random(1)
    means = [
        sum(Backoff().seconds(n, None, draws) for _ in range(500)) / 500 for n in (1, 3, 5, 7, 20)
    ]
    assert means == sorted(means)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("1e300", 86_400.0),
        ("nan", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert seconds_asked(header, NOW) == seconds


@given(st.text())
def test_no_header_makes_it_fail(header: str) -> None:
    asked = seconds_asked(header, NOW)
    assert asked is None or asked >= 0


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass(status: int) -> None:
    assert is_transient(raw(status))


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 405, 413, 422])
def test_what_will_not(status: int) -> None:
    assert not is_transient(raw(status))


@pytest.mark.parametrize("field", ["code", "type"])
def test_a_429_for_want_of_money_will_not_pass(field: str) -> None:
    body = b'{"error": {"message": "m", "%s": "insufficient_quota"}}' % field.encode()
    assert not is_transient(raw(429, body))


@given(st.binary())
def test_any_body_can_be_looked_at(body: bytes) -> None:
    is_transient(raw(429, body))
