"""Under which licence a base model is, and what others call it."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

EMBEDDED = "smollm2-135m-instruct"
_EMBEDDED_HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")
_FRONT_MATTER = re.compile(r"\A---\s*\n(.{0,20000}?)\n---\s*(?:\n|\Z)", re.S)


def licence_of(model: str, folder: Path) -> str | None:
    """The licence of a base model as its own card names it; None where nothing says so.

    Args:
        model: the name it was configured with; the embedded model's licence is known.
        folder: its files. The front matter of its ``README.md`` is read: ``license``, or
            ``license_name`` where that is "other".
    """
    if model == EMBEDDED:
        return "apache-2.0"
    stated = _front_matter(folder / "README.md")
    licence = stated.get("license")
    if licence == "other" and _is_identifier(stated.get("license_name")):
        licence = stated["license_name"]
    return str(licence) if _is_identifier(licence) else None


def hub_name(model: str) -> str | None:
    """What the Hub calls a base model; None for one that is a folder of this machine.

    A name of the Hub's shape is taken for one: whether a folder of that name lies somewhere is
    not asked here.
    """
    if model == EMBEDDED:
        return _EMBEDDED_HUB_NAME
    return model if _HUB_NAME.fullmatch(model) else None


def shown_name(model: str) -> str:
    """A base model's name without the folders of this machine that it may be in."""
    return hub_name(model) or Path(model).name or model


def _front_matter(card: Path) -> dict[str, object]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = _FRONT_MATTER.match(card.read_text(encoding="utf-8"))
        stated = YAML(typ="safe", pure=True).load(StringIO(found[1])) if found else None
    except (OSError, UnicodeDecodeError, YAMLError, ValueError, RecursionError):
        return {}  # a card that cannot be read states nothing
    return stated if isinstance(stated, dict) else {}


def _is_identifier(value: object) -> bool:
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None
