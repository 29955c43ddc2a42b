"""Where calls go, for every provider: what an allow-list of hosts is held against."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pydantic import ValidationError

from llamaduo.errors import ExtraMissing, UsageError
from llamaduo.service import address
from llamaduo.service.client import check_usable
from llamaduo.service.settings import ServiceSettings

VERTEX = "anthropic-vertex:claude-haiku-4-5@20251001"
BEDROCK = "anthropic-bedrock:eu.anthropic.claude-haiku-4-5-20251001-v1:0"
GEMINI = "google-cloud:gemini-3.5-flash"


@pytest.mark.parametrize(
    ("model", "location", "host"),
    [
        ("openai:gpt-4o", None, "api.openai.com"),
        ("anthropic:claude-haiku-4-5", None, "api.anthropic.com"),
        ("google:gemini-3.5-flash", None, "generativelanguage.googleapis.com"),
        (VERTEX, "europe-west4", "europe-west4-aiplatform.googleapis.com"),
        (VERTEX, "global", "aiplatform.googleapis.com"),
        (VERTEX, "eu", "aiplatform.eu.rep.googleapis.com"),
        (GEMINI, "us-central1", "us-central1-aiplatform.googleapis.com"),
        (GEMINI, "us", "aiplatform.us.rep.googleapis.com"),
        (GEMINI, None, "aiplatform.googleapis.com"),
        (BEDROCK, "eu-central-1", "bedrock-runtime.eu-central-1.amazonaws.com"),
        (BEDROCK, "cn-north-1", "bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_host_follows_provider_and_location(
    model: str, location: str | None, host: str
) -> None:
    assert address.host(ServiceSettings(model=model, location=location)) == host


def test_a_compatible_server_is_where_its_base_url_says() -> None:
    url = "https://team.openai.azure.com/openai/v1"
    settings = ServiceSettings(model="openai-chat:our-deployment", base_url=url)
    assert (address.base_url(settings), address.host(settings)) == (url, "team.openai.azure.com")


@pytest.mark.parametrize("location", ["evil.com/", "Europe", "", "a b", "x@y"])
def test_a_location_is_no_way_to_another_host(location: str) -> None:
    with pytest.raises(ValidationError):
        ServiceSettings(model=VERTEX, location=location)


@pytest.mark.parametrize(
    ("model", "extra", "missing"),
    [
        ("openai:m", "openai", "openai"),
        ("anthropic:m", "anthropic", "anthropic"),
        (VERTEX, "anthropic-vertex", "google.auth"),
        (BEDROCK, "anthropic-bedrock", "boto3"),
        (GEMINI, "google", "google.genai"),
    ],
)
def test_an_sdk_that_is_not_there_is_named_by_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: str, extra: str, missing: str
) -> None:
    find = importlib.util.find_spec

    def without(name: str) -> object:
        return None if name == missing else find(name)

    monkeypatch.setattr("importlib.util.find_spec", without)
    settings = ServiceSettings(
        model=model, project="p1", location="global", base_url="http://127.0.0.1:1/v1"
    )
    with pytest.raises(ExtraMissing) as caught:
        check_usable(settings, None)
    assert caught.value.hint == f"pip install 'llamaduo[{extra}]'"


def test_an_unknown_provider_is_answered_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match="anthropic-bedrock, google, google-cloud"):
        address.provider(ServiceSettings(model="google-vertex:gemini"))
