"""Whose model a configured name stands for."""

from __future__ import annotations

import pytest

from llamaduo.evaluation.families import family_of, judges_family


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("openai-chat:gpt-4o", "OpenAI"),
        ("openai:o1-preview", "OpenAI"),
        ("openai-chat:o3-mini", "OpenAI"),
        ("chatgpt-4o-latest", "OpenAI"),
        ("openai-chat:openai/gpt-oss-120b", "OpenAI"),
        ("openai-chat:ft:gpt-4o-mini:acme::abc", "OpenAI"),
        ("anthropic:claude-opus-4-5", "Anthropic"),
        ("anthropic-bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Anthropic"),
        ("anthropic-vertex:claude-opus-4-5@20251101", "Anthropic"),
        ("google-cloud:gemini-2.5-pro", "Google"),
        ("openai-chat:google/gemma-3-27b-it", "Google"),
        ("openai-chat:meta-llama/Llama-3-8B", "Meta"),
        ("openai-chat:accounts/fireworks/models/llama-v3p1-70b-instruct", "Meta"),
        ("openai-chat:llama3:8b", "Meta"),
        ("openai-chat:mistralai/Mixtral-8x7B-Instruct-v0.1", "Mistral"),
        ("openai-chat:codestral-latest", "Mistral"),
        ("openai-chat:qwen2.5:7b", "Qwen"),
        ("openai-chat:Qwen/QwQ-32B", "Qwen"),
        ("openai-chat:deepseek-chat", "DeepSeek"),
        ("openai-chat:grok-4", "xAI"),
        ("openai-chat:phi3:mini", "Microsoft"),
        ("openai-chat:command-r-plus", "Cohere"),
        ("openai-chat:amazon.nova-pro-v1:0", "Amazon"),
        ("openai-chat:kimi-k2", "Moonshot"),
        ("openai-chat:THUDM/glm-4-9b", "Zhipu"),
    ],
)
def test_known_families(model: str, family: str) -> None:
    assert family_of(model) == family


def test_the_provider_of_a_compatible_server_is_no_hint() -> None:
    assert family_of("openai-chat:falcon-7b-instruct") == "falcon"
    assert family_of("openai-chat:tiiuae/falcon3") == "falcon"


def test_a_distilled_model_is_of_its_teachers_family() -> None:
    assert family_of("openai-chat:deepseek-r1-distill-llama-70b") == "DeepSeek"


@pytest.mark.parametrize("model", ["cognitivecomputations/dolphin-2.9", "casanova-7b", "foo4o1x"])
def test_a_name_inside_another_word_is_none(model: str) -> None:
    assert family_of(model) not in {"Microsoft", "Amazon", "OpenAI"}


@pytest.mark.parametrize("model", ["", ":", "openai-chat:", "/", "---", "7"])
def test_any_name_has_a_family(model: str) -> None:
    assert isinstance(family_of(model), str)


def test_the_snapshot_tells_where_the_configured_name_does_not() -> None:
    assert judges_family("openai-chat:prod-judge", ["gpt-4o-2024-08-06"]) == "OpenAI"
    assert judges_family("openai-chat:claude-opus-4-5", ["gpt-4o"]) == "Anthropic"
    assert judges_family("openai-chat:prod-judge", []) == "prod"
