"""From a configured model to a request through `pydantic-ai`, one module a vendor.

Importing this package is slow; :mod:`llamaduo.service.client` does it when it connects. A
vendor's SDK is imported when a model of its is built, and not before.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import httpx2
from pydantic_ai.models import Model
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings

from llamaduo.service.address import provider_name, sdk_missing
from llamaduo.service.options import check_options
from llamaduo.service.providers.asking import messages_of, parameters_of, send, settings_of
from llamaduo.service.providers.reading import (
    UNREADABLE,
    check,
    finish_of,
    refusal_of,
    text_of,
)
from llamaduo.service.providers.wiring import Wiring
from llamaduo.service.settings import ServiceSettings

__all__ = [
    "UNREADABLE",
    "build_model",
    "check",
    "finish_of",
    "messages_of",
    "options_of",
    "parameters_of",
    "refusal_of",
    "send",
    "settings_of",
    "text_of",
    "vendor_of",
]

_BY_PROMPT = ModelProfile(supports_json_schema_output=False)


def build_model(settings: ServiceSettings, key: str, http: httpx2.AsyncClient) -> Model:
    """The model behind ``settings.model``, speaking through ``http``, with SDK retries off.

    Raises:
        ExtraMissing: the provider's SDK is not installed.
        UsageError: ``settings.options`` has one that the provider does not take, or that
            llamaduo sets itself.
    """
    options = options_of(settings)
    profile = _BY_PROMPT if settings.structured == "prompt" else None
    model: Model = vendor_of(settings).build(settings, Wiring(key, http, options, profile))
    return model


def options_of(settings: ServiceSettings) -> ModelSettings:
    """``settings.options`` as they go with every call; raises as :func:`build_model` does."""
    return check_options(settings, vendor_of(settings).options_of(settings))


def vendor_of(settings: ServiceSettings) -> ModuleType:
    """The module of the vendor of ``settings.model``.

    Raises:
        ExtraMissing: the provider's SDK is not installed.
    """
    vendor = provider_name(settings).partition("-")[0]
    try:
        return import_module(f"{__name__}.{vendor}")
    except ImportError as error:
        raise sdk_missing(settings) from error
