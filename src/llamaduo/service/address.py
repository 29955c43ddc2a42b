"""Where a service LLM is: its provider, its host, its key's variable. No network, no SDK."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from llamaduo.errors import ExtraMissing, KeyMissing, UsageError
from llamaduo.service.secrets import Secret, from_file, from_variable
from llamaduo.service.settings import ServiceSettings

NO_KEY = "no-key-on-loopback"
Trust = Literal["key", "google", "aws"]
"""What a provider recognises its customers by: an API key, or the credentials of a cloud."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What llamaduo must know of a provider.

    ``url`` may have ``{location}`` in it. ``sdk`` are the modules that its extra installs and
    ``extra`` its name; ``key_env`` is the usual variable of an API key. A provider of a cloud
    (``trust``) takes one only in place of that cloud's credentials. ``needs`` are the settings
    that must be there; ``seeded`` says that its API takes a seed.
    """

    url: str
    key_env: str
    sdk: tuple[str, ...]
    extra: str
    trust: Trust = "key"
    needs: tuple[Literal["project", "location"], ...] = ()
    seeded: bool = False


_OPENAI = Provider("https://api.openai.com/v1", "OPENAI_API_KEY", ("openai",), "openai")
_VERTEX = "https://{location}-aiplatform.googleapis.com"
PROVIDERS = {
    "openai-chat": replace(_OPENAI, seeded=True),
    "openai": _OPENAI,
    "anthropic": Provider(
        "https://api.anthropic.com", "ANTHROPIC_API_KEY", ("anthropic",), "anthropic"
    ),
    "anthropic-vertex": Provider(
        _VERTEX + "/v1",
        "",
        ("anthropic", "google.auth", "requests"),
        "anthropic-vertex",
        "google",
        ("project", "location"),
    ),
    "anthropic-bedrock": Provider(
        "https://bedrock-runtime.{location}.amazonaws.com",
        "AWS_BEARER_TOKEN_BEDROCK",
        ("anthropic", "boto3"),
        "anthropic-bedrock",
        "aws",
        ("location",),
    ),
    "google": Provider(
        "https://generativelanguage.googleapis.com",
        "GEMINI_API_KEY",
        ("google.genai",),
        "google",
        seeded=True,
    ),
    "google-cloud": Provider(
        _VERTEX,
        "GOOGLE_API_KEY",
        ("google.genai", "google.auth", "requests"),
        "google",
        "google",
        seeded=True,
    ),
}
_REMOTE_CALLS, _LOCAL_CALLS = 64, 8
_GOOGLE_WIDE = {"global": "aiplatform", "us": "aiplatform.us.rep", "eu": "aiplatform.eu.rep"}
"""Locations of Google's that are no single region, and the hosts that serve them."""


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
    if settings.base_url:
        return settings.base_url
    found = provider(settings)
    location = settings.location or "global"
    if found.trust == "google" and location in _GOOGLE_WIDE:
        return found.url.replace("{location}-aiplatform", _GOOGLE_WIDE[location])
    url = found.url.format(location=location)
    return f"{url}.cn" if found.trust == "aws" and location.startswith("cn-") else url


def takes_key(settings: ServiceSettings) -> bool:
    """Whether calls carry an API key: always, or in place of a cloud's credentials.

    On Google's cloud that is express mode: no project is set. On Amazon's, a bearer token.
    """
    name, found = provider_name(settings), provider(settings)
    if found.trust == "key":
        return True
    if name == "google-cloud":
        return settings.project is None
    named = settings.api_key_env or settings.api_key_file
    return found.trust == "aws" and bool(named or os.environ.get(found.key_env))


def in_flight(settings: ServiceSettings) -> int:
    """The most calls in flight at once: as configured, or what suits where they go.

    The provider's limits are kept by the pacer, not by this. It must only be enough for them: calls
    in flight are calls a second times the seconds of a call.
    """
    return settings.concurrency or (_LOCAL_CALLS if is_loopback(settings) else _REMOTE_CALLS)


def host(settings: ServiceSettings) -> str:
    """The host that calls go to, for messages."""
    return urlsplit(base_url(settings)).netloc


def is_loopback(settings: ServiceSettings) -> bool:
    """Whether calls stay on this machine: rehearsal, or a model server of one's own."""
    return is_this_machine(urlsplit(base_url(settings)).hostname or "")


@lru_cache(maxsize=256)
def is_this_machine(name: str) -> bool:
    """Whether ``name``, without a port, is a loopback name or address."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def key_variable(settings: ServiceSettings) -> str:
    """The environment variable of the key. The default follows the provider, so that an
    OpenAI key is never sent to another one by leaving a setting out."""
    return settings.api_key_env or provider(settings).key_env


def find_key(settings: ServiceSettings) -> Secret:
    """The API key; a placeholder on loopback, where none is needed.

    Raises:
        KeyMissing: there is none, or it cannot be a key.
    """
    if settings.api_key_file is not None:
        return from_file(settings.api_key_file)
    variable = key_variable(settings)
    if key := from_variable(variable):
        return key
    if is_loopback(settings):
        return Secret(NO_KEY)
    raise KeyMissing(
        f"The API key for {settings.model} is missing: the environment variable {variable} is not"
        " set.",
        hint=f"Set it with `export {variable}=…`, let service.api_key_file name a file that holds"
        " it, or try the run for nothing with --rehearse.",
    )


def check_sdk(settings: ServiceSettings) -> None:
    """Find out, without importing it, whether the provider's SDK is installed.

    Raises:
        ExtraMissing: it is not; the hint is the command that installs it.
    """
    if not all(map(_is_installed, ("pydantic_ai", *provider(settings).sdk))):
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
