"""Settings of a service LLM: what is refused, and that no message shows a pasted key."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from llamaduo.service.settings import ServiceSettings

KEY = "sk-proj-8f4e1d0c9b7a"


@pytest.mark.parametrize("name", [KEY, "", "1ST_KEY", "KEY ", "MY KEY", "$KEY", "KEY\n"])
def test_a_key_in_place_of_its_variable_is_refused_and_not_shown(name: str) -> None:
    with pytest.raises(ValidationError, match="this is the NAME of an environment variable") as got:
        ServiceSettings(api_key_env=name)
    assert KEY not in str(got.value)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "_key", "k2"])
def test_a_variable_may_have_any_name(name: str) -> None:
    assert ServiceSettings(api_key_env=name).api_key_env == name


@pytest.mark.parametrize(
    "url",
    [
        f"https://example.com/v1?key={KEY}",
        f"https://user:{KEY}@example.com/v1",
        f"https://{KEY}@example.com/v1",
        f"https://example.com/v1#{KEY}",
        "example.com/v1",
        "ftp://example.com/v1",
        "http:///v1",
        "http://example.com:port/v1",
        "http://[::1/v1",
    ],
)
def test_an_address_that_cannot_work_or_holds_a_key_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="http://HOST:PORT/v1") as caught:
        ServiceSettings(base_url=url)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/v1", "https://example.com", "http://[::1]/"]
)
def test_an_address_of_a_server_is_taken_as_it_is(url: str) -> None:
    assert ServiceSettings(base_url=url).base_url == url
