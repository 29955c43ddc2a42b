"""API keys: read from where they are kept, and shown nowhere.

A :class:`Secret` says ``[secret]`` of itself wherever it is printed, formatted or logged. Whoever
hands it to an SDK reveals it. What reads one also tells :mod:`llamaduo.service.masking`, so that
a log line or a traceback of somebody else's code does not show it either.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from llamaduo.errors import KeyMissing
from llamaduo.service.masking import hide

_LARGEST_FILE = 8192  # bytes


class Secret:
    """An API key. Neither its length nor a part of it can be seen from outside."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        hide(text)

    def reveal(self) -> str:
        """The key itself, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "[secret]"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return "[secret]"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled or copied")


def from_variable(name: str) -> Secret | None:
    """The key in an environment variable; None when it is unset or blank.

    Raises:
        KeyMissing: what it holds cannot be a key.
    """
    text = os.environ.get(name, "").strip()
    if text and not _can_be_a_key(text):
        raise KeyMissing(
            f"The environment variable {name} holds characters that no API key has.",
            hint=f"Set it again with `export {name}=…`.",
        )
    return Secret(text) if text else None


def from_file(path: Path) -> Secret:
    """The key in a file that holds nothing else. ``~`` is the home folder; a relative path is
    one from the working directory.

    Raises:
        KeyMissing: the file is not there or not readable, or does not hold one key.
    """
    place = path.expanduser()
    try:
        with place.open("rb") as file:
            text = file.read(_LARGEST_FILE + 1).decode("ascii").strip()
    except OSError as error:
        raise _no_key(f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise _no_key("it holds characters that no API key has") from error
    if not text:
        raise _no_key("it is empty")
    if len(text.splitlines()) > 1:
        raise _no_key("it has several lines")
    if len(text) > _LARGEST_FILE or not _can_be_a_key(text):
        raise _no_key("it holds characters that no API key has")
    return Secret(text)


def is_open_to_others(path: Path) -> bool:
    """Whether other users of this machine may read the file at ``path``."""
    try:
        return bool(path.expanduser().stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _can_be_a_key(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _no_key(what: str) -> KeyMissing:
    # Not the path itself: it may be a key that was pasted into the wrong place.
    return KeyMissing(
        f"There is no API key in the file that service.api_key_file names: {what}.",
        hint="The file must hold the key and nothing else. A path that begins neither with / nor"
        " with ~ is looked for from the working directory.",
    )
