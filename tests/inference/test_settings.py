"""What ``inference`` may say, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from llamaduo.inference.settings import InferenceSettings

URL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"engine": "openai"}, "needs base_url"),
        ({"base_url": URL}, "base_url is for engine openai; engine is transformers"),
        ({"engine": "xllamacpp", "sleep": True}, "sleep is for engine openai"),
        ({"engine": "openai", "base_url": "localhost:8000"}, "not an address"),
        ({"engine": "openai", "base_url": "http://me:secret@host/v1"}, "use token_env"),
        ({"engine": "openai", "base_url": URL, "serve_command": ["vllm"]}, "nowhere in it"),
        (
            {
                "engine": "openai",
                "base_url": URL,
                "serve_command": ["vllm", "serve", "{model}"],
                "sleep": True,
            },
            "no need of sleep",
        ),
        ({"token_env": "sk-123"}, "NAME of an environment variable"),
        ({"engine": "vllm"}, "'transformers', 'xllamacpp' or 'openai'"),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        InferenceSettings.model_validate(given)


def test_an_address_is_kept_without_its_last_slash() -> None:
    assert InferenceSettings(engine="openai", base_url=f"{URL}/").base_url == URL
