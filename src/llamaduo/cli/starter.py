"""A commented llamaduo.yaml, filled in from the data where it can be.

The comments and defaults are those of the settings themselves, so they cannot go stale.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_json

from llamaduo.config import Config
from llamaduo.coverage.importing import Imported, import_pairs
from llamaduo.coverage.settings import CoverageSettings
from llamaduo.errors import UsageError
from llamaduo.records import Pair
from llamaduo.tasks.settings import TaskSettings

HEADER = """\
# llamaduo.yaml: one migration, from a service LLM to a local one.
# What is commented out shows its default. `llamaduo run --rehearse` tries it for nothing.
"""

ENOUGH_FOR_FINAL = 100
MAX_LABELS = 30
MAX_LABEL_CHARACTERS = 60
GROUP_KEYS = ("conversation_id", "thread_id", "session_id", "customer_id", "user_id")

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}


@dataclass(frozen=True, slots=True)
class Starter:
    """The file's text, and in words what was found in the data."""

    text: str
    found: tuple[str, ...]


def starter(source: str | None, folder: Path) -> Starter:
    """The configuration for the data at ``source``, to be written into ``folder``.

    Raises:
        DataError: the data cannot be read.
    """
    if source is None:
        return Starter(_render({"coverage": {"data": ["pairs.jsonl"]}}), ())
    if not source.isprintable():
        raise UsageError(
            f"{source!r}: this name cannot stand in a configuration file.",
            hint="Rename the file, with letters, digits, '.', '_' and '-'.",
        )
    name = source if source.startswith("hf:") else os.path.relpath(source, folder)
    imported = import_pairs(CoverageSettings(data=(name,)), TaskSettings(), folder)
    pairs = imported.dataset.pairs
    values = {"task": _guess_task(pairs), "coverage": {"data": [name]} | _guess_split(pairs)}
    return Starter(_render(values), _found(imported, values))


def _guess_task(pairs: Sequence[Pair]) -> dict[str, Any]:
    responses = [pair.response.strip() for pair in pairs]
    schema = _schema(responses)
    as_json = {"json_schema": schema} if schema else {}
    if labels := _labels(responses):
        return {"kind": "classification", "labels": labels} | as_json | _topic(pairs)
    if schema:
        return {"kind": "free"} | as_json | _topic(pairs)
    half = len(pairs) / 2
    if sum("```" in response for response in responses) > half:
        return {"kind": "coding"} | _topic(pairs)
    if sum("summar" in pair.instruction.lower() for pair in pairs) > half:
        return {"kind": "summarization"} | _topic(pairs)
    return {"kind": "free"} | _topic(pairs)


def _labels(responses: Sequence[str]) -> list[str]:
    """The responses themselves, when they are a small closed set of short texts."""
    counts = Counter(responses)
    small = len(counts) <= min(MAX_LABELS, len(responses) // 5)
    short = all(len(response) <= MAX_LABEL_CHARACTERS for response in counts)
    return sorted(counts) if small and short else []


def _schema(responses: Sequence[str]) -> dict[str, Any] | None:
    """A schema of the keys that all responses share, when every one is a JSON object."""
    try:
        objects = [json.loads(response) for response in responses]
    except ValueError:
        return None
    if not all(isinstance(o, dict) and o.keys() == objects[0].keys() for o in objects):
        return None
    properties = {key: _json_type([o[key] for o in objects]) for key in objects[0]}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _json_type(values: Sequence[object]) -> dict[str, Any]:
    types = {type(value) for value in values}
    if len(types) == 1 and (name := _JSON_TYPES.get(types.pop())):
        return {"type": name}
    return {}


def _topic(pairs: Sequence[Pair]) -> dict[str, str]:
    categories = {pair.metadata.get("category", "") for pair in pairs}
    topic = categories.pop() if len(categories) == 1 else ""
    return {"topic": topic}


def _guess_split(pairs: Sequence[Pair]) -> dict[str, Any]:
    guessed: dict[str, Any] = {"reference_source": "service", "train_fraction": 0.8}
    if len(pairs) >= ENOUGH_FOR_FINAL:
        guessed["final_fraction"] = 0.1
    if key := next((k for k in GROUP_KEYS if all(k in p.metadata for p in pairs)), None):
        guessed["group_key"] = key
    return guessed


def _found(imported: Imported, values: dict[str, Any]) -> tuple[str, ...]:
    pairs, task = imported.dataset.pairs, values["task"]
    counts = (
        f"{len(pairs)} pairs, {imported.duplicates} duplicates, {len(imported.refused)} refused"
    )
    lines = [f"{imported.read} rows read: {counts}."]
    reasons = Counter(refused.reason for refused in imported.refused)
    lines += [f"refused: {reason} ({count})" for reason, count in reasons.most_common(5)]
    lines.append(f"The task looks like {task['kind']}; correct task.kind if it is not.")
    if labels := task.get("labels"):
        lines.append(f"{len(labels)} different responses: they became task.labels.")
    if task.get("json_schema"):
        lines.append("Every response is a JSON object with the same keys: see task.json_schema.")
    lines.append(
        "Who wrote the responses? Set coverage.reference_source: human, corrected or service."
    )
    return tuple(lines)


# --- writing YAML with comments -----------------------------------------------------------


def _render(values: dict[str, Any]) -> str:
    parts = [HEADER]
    for name, field in Config.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            parts.append(_section(name, model, values.get(name, {}), default))
        else:
            parts.append(_entry("", name, field.description, values.get(name), field.default))
    return "\n".join(parts)


def _section(
    name: str, model: type[BaseModel], values: dict[str, Any], default: BaseModel | None
) -> str:
    """One section; a key that is in ``values`` is set, any other shown as a comment."""
    entries = []
    for key, field in model.model_fields.items():
        shown = getattr(default, key) if default is not None else field.default
        entries.append(_entry("  ", key, field.description, values.get(key), shown))
    opening = f"{name}:" if values else f"# {name}:"
    return "\n".join([opening, *entries]) + "\n"


def _entry(indent: str, key: str, comment: str | None, value: Any, default: Any) -> str:
    remark = f" # {comment}" if comment else ""
    if value is not None:
        return f"{indent}{key}: {_scalar(value)}{remark}"
    shown = "" if default is PydanticUndefined else _scalar(default)
    return f"# {indent}{key}: {shown}{remark}"


def _scalar(value: Any) -> str:
    """A plain word as it is, anything else as JSON, which is YAML too."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS:
        return value
    plain = json.loads(to_json(value))
    text = json.dumps(plain, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(plain)
