"""Where a service LLM is: its provider, its host, its key's variable. No network, no SDK."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from llamaduo.errors import ExtraMissing, KeyMissing, UsageError
from llamaduo.service.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Provider:
    """What llamaduo must know of a provider. ``sdk`` is the module of its SDK, ``extra`` what
    installs it. In the price table it has the name of the extra."""

    url: str
    key_env: str
    sdk: str
    extra: str


_OPENAI = Provider("https://api.openai.com/v1", "OPENAI_API_KEY", "openai", "openai")
PROVIDERS = {
    "openai-chat": _OPENAI,
    "openai": _OPENAI,
    "anthropic": Provider(
        "https://api.anthropic.com", "ANTHROPIC_API_KEY", "anthropic", "anthropic"
    ),
    "google": Provider(
        "https://generativelanguage.googleapis.com", "GEMINI_API_KEY", "google.genai", "google"
    ),
}


def provider_name(settings: ServiceSettings) -> str:
    """The part of ``model`` before the colon.

    Raises:
        UsageError: llamaduo does not speak to that provider; the message lists those it does.
    """
    name = settings.model.partition(":")[0]
    if name not in PROVIDERS:
        raise UsageError(
            f"{settings.model}: {name} is not a provider that llamaduo speaks to"
            f" ({', '.join(PROVIDERS)}).",
            hint="For an OpenAI-compatible server use openai-chat:MODEL and set base_url.",
        )
    return name


def provider(settings: ServiceSettings) -> Provider:
    """The provider of ``settings.model``; raises as :func:`provider_name` does."""
    return PROVIDERS[provider_name(settings)]


def model_name(settings: ServiceSettings) -> str:
    """The part of ``model`` after the colon: the name that the provider knows."""
    return settings.model.partition(":")[2]


def base_url(settings: ServiceSettings) -> str:
    """The base URL that calls go to."""
    return settings.base_url or provider(settings).url


def host(settings: ServiceSettings) -> str:
    """The host that calls go to, for messages."""
    return urlsplit(base_url(settings)).netloc


def is_loopback(settings: ServiceSettings) -> bool:
    """Whether calls stay on this machine: rehearsal, or a model server of one's own."""
    name = urlsplit(base_url(settings)).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def key_variable(settings: ServiceSettings) -> str:
    """The environment variable of the key. The default follows the provider, so that an
    OpenAI key is never sent to another one by leaving a setting out."""
    return settings.api_key_env or provider(settings).key_env


def find_key(settings: ServiceSettings) -> str:
    """The API key; a placeholder on loopback, where none is needed.

    Raises:
        KeyMissing: the variable is unset or cannot be a key.
    """
    variable = key_variable(settings)
    key = os.environ.get(variable, "").strip()
    if key and key.isascii() and key.isprintable():
        return key
    if not key and is_loopback(settings):
        return "no-key-on-loopback"
    what = "holds characters that no key has" if key else "is not set"
    raise KeyMissing(
        f"The API key for {settings.model} is missing: the environment variable {variable} {what}.",
        hint=f"Set it with `export {variable}=…`, or try the run for nothing with --rehearse.",
    )


def check_sdk(settings: ServiceSettings) -> None:
    """Find out, without importing it, whether the provider's SDK is installed.

    Raises:
        ExtraMissing: it is not; the hint is the command that installs it.
    """
    if not all(map(_is_installed, ("pydantic_ai", provider(settings).sdk))):
        raise sdk_missing(settings)


def sdk_missing(settings: ServiceSettings) -> ExtraMissing:
    """The error that says so."""
    return ExtraMissing(
        f"{settings.model} needs a package that is not installed.",
        hint=f"pip install 'llamaduo[{provider(settings).extra}]'",
    )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a module within a package, when there is no such package
        return False
