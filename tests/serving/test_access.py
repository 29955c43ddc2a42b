"""Who may speak to the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest

from llamaduo.errors import UsageError
from llamaduo.serving.server import access_for, address_of, bound
from tests.serving.made import PROMPT, Running, body, serving

TOKEN = "a-long-random-text"  # noqa: S105 - of a server that lives for a test


@pytest.fixture(scope="module")
def guarded(bundle: Path) -> Iterator[Running]:
    with serving([bundle], access=access_for("127.0.0.1", TOKEN, "TOKEN")) as running:
        yield running


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:80"])
def test_loopback_names_are_answered(server: Running, host: str) -> None:
    assert server.post(body(), headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "::1"])
def test_other_host_names_are_not(server: Running, host: str) -> None:
    reply = server.post(body(), headers={"Host": host})
    assert reply.status_code == 403
    assert reply.json()["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost"])
def test_web_pages_are_not_answered(server: Running, origin: str) -> None:
    reply = server.post(body(), headers={"Origin": origin})
    assert reply.status_code == 403
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]
    asked = httpx2.options(
        f"{server.url}/chat/completions",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )
    assert asked.status_code == 403


def test_the_token_is_the_client_s_api_key(guarded: Running) -> None:
    messages = [{"role": "user", "content": PROMPT[0]["content"]}]
    with guarded.client(api_key=TOKEN) as client:
        client.chat.completions.create(model="tiny", messages=messages)  # type: ignore[arg-type]
    with guarded.client(api_key="wrong") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="tiny", messages=messages)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sent", ["", TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "Bearer é"]
)
def test_without_the_token_nothing_is_told(guarded: Running, sent: str) -> None:
    headers = {b"Authorization": sent.encode("latin-1")}
    for reply in (
        guarded.post(body(), headers=headers),
        httpx2.get(f"{guarded.url}/models", headers=headers),
        httpx2.get(f"{guarded.url}/nothing", headers=headers),
    ):
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert TOKEN not in reply.text
    assert guarded.health()["status"] == "ok"  # open, for whatever watches over it


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "a-name"])  # noqa: S104
def test_beyond_loopback_a_token_is_needed(host: str) -> None:
    with pytest.raises(UsageError, match="other machines") as caught:
        access_for(host, None, "MY_TOKEN")
    assert "MY_TOKEN" in caught.value.hint
    with pytest.raises(UsageError):
        access_for(host, "", "MY_TOKEN")
    assert access_for(host, "secret", "MY_TOKEN").hosts is None  # any name: the token decides


@pytest.mark.parametrize("token", ["two words", "line\nend", "ümlaut"])
def test_a_token_that_no_header_carries_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        access_for("127.0.0.1", token, "MY_TOKEN")
    assert token not in str(caught.value) + caught.value.hint


def test_a_port_in_use_and_a_host_that_is_not_ours() -> None:
    with bound("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        assert address_of("127.0.0.1", first) == f"http://127.0.0.1:{port}/v1"
        with pytest.raises(UsageError, match=f"port {port}") as caught, bound("127.0.0.1", port):
            pass
        assert "--port" in caught.value.hint
    with pytest.raises(UsageError, match=r"192\.0\.2\.7"), bound("192.0.2.7", 0):
        pass
    with pytest.raises(UsageError, match="no-such-host"), bound("no-such-host.invalid", 0):
        pass
