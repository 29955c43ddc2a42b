"""What the settings of curation need beyond the core."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from llamaduo.curation.settings import CurationSettings
from llamaduo.errors import ExtraMissing

NEEDED: Final[Mapping[str, str]] = {"stemming": "nltk", "languages": "lingua"}
"""A setting that is on, which is an extra's name too, and the module that it needs."""


def check_extras(settings: CurationSettings) -> None:
    """Before a run spends anything: curation comes after its first cycle.

    Raises:
        ExtraMissing: a setting needs a package that is not installed.
    """
    for extra, module in NEEDED.items():
        if getattr(settings, extra) and find_spec(module) is None:
            raise ExtraMissing(
                f"curation.{extra} is on and needs {module}, which is not installed.",
                hint=f"pip install 'llamaduo[{extra}]'",
            )
