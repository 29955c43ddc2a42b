"""Strict reading of a service LLM's JSON reply.

A reply counts only if it is exactly one JSON object. What a lenient reader would guess at
(prose around it, duplicate keys, NaN, a torn end) is a :class:`MalformedReply` with the reason
in words. The one leniency is a Markdown fence around the whole object, which many models add.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from typing import Any

from llamaduo.tasks.json_fields import DEEPEST, is_too_deep

MAX_CHARACTERS = 1_000_000

_FENCE_OPENING = re.compile(r"```(?:json)?[ \t]*\r?\n", re.IGNORECASE)
_WHITE = re.compile(r"[ \t\r\n]*")
_ANY = json.JSONDecoder()


class MalformedReply(ValueError):
    """The reply is not one well-formed JSON object. ``reason`` says why, in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_object(text: str) -> dict[str, Any]:
    """The one JSON object that ``text`` is, white space and a ```` ```json ```` fence aside.

    Raises:
        MalformedReply: anything else.
    """
    if len(text) > MAX_CHARACTERS:
        raise MalformedReply(f"longer than {MAX_CHARACTERS} characters")
    body = _without_fence(text.strip())
    if not body:
        raise MalformedReply("empty")
    return _strict_object(body)


def salvage_objects(text: str, key: str) -> list[dict[str, Any]]:
    """The complete objects of the array under ``key`` in a reply that was cut off.

    An object that is torn, or that :func:`parse_object` would reject, is left out. Never raises.
    """
    if len(text) > MAX_CHARACTERS or is_too_deep(text):
        return []
    start = _array_under(_unfenced(text), key)
    return [] if start is None else _objects_from(_unfenced(text), start)


# --- one object ---------------------------------------------------------------------------


def _without_fence(body: str) -> str:
    """What stands between the opening and the closing fence, if ``body`` has both."""
    opening = _FENCE_OPENING.match(body)
    if opening and body.endswith("```", opening.end()):
        return body[opening.end() : -3].strip()
    return body


def _strict_object(body: str) -> dict[str, Any]:
    if is_too_deep(body):
        raise MalformedReply(f"nested deeper than {DEEPEST}")
    try:
        value = json.loads(
            body,
            object_pairs_hook=_unique_keys,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be stored
    except MalformedReply:
        raise
    except UnicodeEncodeError as error:
        raise MalformedReply("half a surrogate pair") from error
    except ValueError as error:
        raise MalformedReply(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedReply(f"not an object but {_kind(value)}")
    return value


def _unique_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in items:
        if key in found:
            raise MalformedReply(f"duplicate key {key[:40]!r}")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise MalformedReply(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise MalformedReply(f"number out of range: {digits[:20]}")
    return value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "an array")


# --- salvage ------------------------------------------------------------------------------


def _unfenced(text: str) -> str:
    body = text.strip()
    opening = _FENCE_OPENING.match(body)
    return body[opening.end() :].lstrip() if opening else body


def _array_under(body: str, key: str) -> int | None:
    """The place after the ``[`` of the array under ``key`` of the outermost object."""
    position = _after(body, 0, "{")
    while position is not None:
        name = _value(body, position)
        if name is None or not isinstance(name[0], str):
            return None
        position = _after(body, name[1], ":")
        if position is None:
            return None
        if name[0] == key:
            return _after(body, position, "[")
        skipped = _value(body, position)
        position = None if skipped is None else _after(body, skipped[1], ",")
    return None


def _objects_from(body: str, position: int | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while position is not None and (item := _value(body, position)):
        value, end = item
        if isinstance(value, dict):
            with suppress(MalformedReply):  # complete but not acceptable: the next one may be
                found.append(_strict_object(body[position:end].strip()))
        position = _after(body, end, ",")
    return found


def _value(body: str, position: int) -> tuple[Any, int] | None:
    """The complete JSON value at ``position`` and the place after it; None if it is torn."""
    try:
        return _ANY.raw_decode(body, _white(body, position))
    except ValueError:
        return None


def _after(body: str, position: int, mark: str) -> int | None:
    """The place after ``mark``, which must come next."""
    place = _white(body, position)
    return _white(body, place + 1) if body[place : place + 1] == mark else None


def _white(body: str, position: int) -> int:
    """The place after any white space at ``position``."""
    match = _WHITE.match(body, position)
    return match.end() if match else position
