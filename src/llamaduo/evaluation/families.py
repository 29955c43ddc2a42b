"""Whose model a name stands for: judges of the generator's family favour what it wrote.

Preference leakage between related models is measured in Li et al. 2025 (arXiv 2502.01534).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from llamaduo.service.address import PROVIDERS

_FAMILIES: Final = {
    "OpenAI": "openai|gpt|chatgpt|o[1-9](?![a-z0-9])|davinci|codex",
    "Anthropic": "anthropic|claude",
    "Google": "google|gemini|gemma|palm(?![a-z])",
    "Meta": "meta(?![a-z])|llama(?!duo)|codellama",
    "Mistral": "mistral|mixtral|ministral|codestral|pixtral|magistral|devstral",
    "Qwen": "qwen|qwq|tongyi",
    "DeepSeek": "deepseek",
    "xAI": "grok|xai(?![a-z])",
    "Microsoft": "phi(?![a-z])|microsoft|wizardlm",
    "Cohere": "cohere|command(?![a-z])|c4ai|aya(?![a-z])",
    "Amazon": "amazon|nova(?![a-z])|titan(?![a-z])",
    "Moonshot": "moonshot|kimi",
    "Zhipu": "zhipu|chatglm|glm|zai(?![a-z])",
    "MiniMax": "minimax",
    "AI21": "ai21|jamba",
    "IBM": "ibm(?![a-z])|granite",
    "NVIDIA": "nvidia|nemotron",
    "01.AI": "yi(?![a-z])",
    "Hugging Face": "smollm|zephyr",
}
_KNOWN: Final = [(name, re.compile(rf"(?<![a-z])(?:{words})")) for name, words in _FAMILIES.items()]
_ENDS_OF_A_PART: Final = re.compile(r"[-_.:@\s\d]+")


def family_of(model: str) -> str:
    """The family of a model, by its name as configured (``PROVIDER:MODEL``) or as replies give it.

    The name itself decides, and the organisation before it only where the name says nothing: the
    provider of an OpenAI-compatible server is no hint. Of a name that nobody knows the first part
    stands for the family.
    """
    return _known(model) or _first_part(_bare(model))


def judges_family(model: str, snapshots: Iterable[str]) -> str:
    """A judge's family, which the model that its replies name tells where ``model`` does not."""
    names = (model, *snapshots)
    return next((family for name in names if (family := _known(name))), family_of(model))


def _known(model: str) -> str | None:
    organisation, _, name = _bare(model).rpartition("/")
    return _earliest(name) or _earliest(organisation)


def _earliest(name: str) -> str | None:
    """A distilled model is named for its teacher first: ``deepseek-r1-distill-llama-70b``."""
    found = [(match.start(), family) for family, p in _KNOWN if (match := p.search(name))]
    return min(found)[1] if found else None


def _bare(model: str) -> str:
    provider, _, name = model.partition(":")
    return (name if provider in PROVIDERS else model).strip().lower()


def _first_part(name: str) -> str:
    last = name.rpartition("/")[2] or name
    return next((part for part in _ENDS_OF_A_PART.split(last) if part), last)
