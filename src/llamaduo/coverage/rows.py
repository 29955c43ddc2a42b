"""One row, in whichever shape people have it, as a pair.

Shapes are tried in this order: pairs that llamaduo wrote, chat ``messages`` (OpenAI fine-tuning
files among them), then the columns of :data:`SHAPES`. Text is kept to the letter: nothing is
stripped or normalised. What cannot be carried over whole (tool calls, images) is refused, never
cut out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast, get_args

from pydantic import TypeAdapter, ValidationError

from llamaduo.coverage.settings import CoverageSettings
from llamaduo.errors import DataError
from llamaduo.records import Message, Pair, Provenance, ReferenceSource, Role, pair_id
from llamaduo.tasks.settings import TaskSettings

SHAPES = (
    ("instruction", "response"),
    ("instruction", "output"),
    ("prompt", "completion"),
    ("prompt", "response"),
)
_OWN = frozenset({"id", "messages", "response", "provenance"})
"""Columns of a pair that llamaduo wrote: a split, a batch, what was curated."""
_INPUTS = ("input", "context")  # Alpaca's and Dolly's second half of the instruction
_TOOLS = ("tools", "functions")
_TEXT_PARTS = ("text", "input_text", "output_text")
_TOOL_PARTS = ("tool_use", "tool_result", "function_call", "function_call_output")
_NOT_METADATA = frozenset(
    {"messages", "system", "reference_source", "json_schema", *_INPUTS, *_TOOLS}.union(*SHAPES)
)

TOOL_CALLS = "tool calls"
_UNASKED = "a response that follows no user message"
NOT_TEXT = "an image or other content that is not text"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: its columns, and its place as ``FILE:LINE``."""

    place: str
    fields: dict[str, Any]


class RefusedError(Exception):
    """A row that is readable but cannot become a pair. Its text is the reason to count."""


def read_pair(row: Row, settings: CoverageSettings, task: TaskSettings) -> Pair:
    """The pair that a row holds.

    The last assistant message of a chat is the response and what precedes it the prompt; a
    later message, which nobody answered, belongs to no pair.

    Raises:
        RefusedError: the row cannot be used, and the reason.
        DataError: the row has none of the known columns.
    """
    if _is_own(row.fields):
        pair = _own(row, task)
        _check_not_empty(pair.messages[-1].content, pair.response)
        return replace(pair, provenance=Provenance(origin="coverage", source=row.place))
    messages, response = _prompt_and_response(_turns(row))
    metadata = _metadata(row.fields, settings.group_key)
    schema = _json_schema(row.fields) or task.json_schema
    _check_unicode([*(m.content for m in messages), response, metadata, schema])
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source=_reference_source(row, settings.reference_source),
        provenance=Provenance(origin="coverage", source=row.place),
        json_schema=schema,
        metadata=metadata,
    )


def read_with_provenance(row: Row, settings: CoverageSettings, task: TaskSettings) -> Pair:
    """:func:`read_pair`, but a pair that llamaduo wrote is still from where it says it is."""
    return _own(row, task) if _is_own(row.fields) else read_pair(row, settings, task)


def _is_own(fields: dict[str, Any]) -> bool:
    """Columns of others may have these names, too; what is in ``provenance`` tells them apart."""
    provenance = fields.get("provenance")
    return fields.keys() >= _OWN and isinstance(provenance, dict) and "origin" in provenance


def _own(row: Row, task: TaskSettings) -> Pair:
    """A pair as llamaduo wrote it; its id is taken anew, for its text may have been edited."""
    try:
        pair = _pairs().validate_python(row.fields)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise RefusedError(f"a damaged pair of llamaduo ({place}: {problem['msg']})") from None
    if not pair.messages or pair.messages[-1].role != "user":
        raise RefusedError(_UNASKED)
    _check_unicode([*(m.content for m in pair.messages), pair.response])
    if pair.metadata or pair.json_schema:
        _check_unicode([pair.metadata, pair.json_schema])
    now, schema = pair_id(pair.messages, pair.response), pair.json_schema or task.json_schema
    if (now, schema) == (pair.id, pair.json_schema):
        return pair
    return replace(pair, id=now, json_schema=schema)


@cache
def _pairs() -> TypeAdapter[Pair]:
    return TypeAdapter(Pair)


# --- finding the chat ---------------------------------------------------------------------


def _turns(row: Row) -> list[Any]:
    """The row as raw chat messages, whichever shape it has."""
    fields = row.fields
    if any(fields.get(name) for name in _TOOLS):
        raise RefusedError(TOOL_CALLS)
    if fields.get("messages") is not None:
        turns = _listed(fields["messages"])
        return turns if _opens_with_system(turns) else _system(fields) + turns
    for prompt, response in SHAPES:
        if prompt in fields and response in fields:
            asked = _as_turns(_with_input(fields, prompt), "user")
            return _system(fields) + asked + _as_turns(fields[response], "assistant")
    raise DataError(
        f"{row.place}: no known columns; found {_names(fields)}.",
        hint="Expected: messages, or "
        + ", or ".join(f"{prompt} and {response}" for prompt, response in SHAPES)
        + ".",
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(map(str, names))) or "none"


def _listed(value: Any) -> list[Any]:
    """A list of messages; CSV and Parquet may hold it as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, list):
        raise RefusedError("messages that are not a list")
    return value


def _opens_with_system(turns: list[Any]) -> bool:
    first = turns[0] if turns else None
    return isinstance(first, dict) and first.get("role") in ("system", "developer")


def _system(fields: dict[str, Any]) -> list[Any]:
    """The system prompt of a ``system`` column, as the messages API of Anthropic has it."""
    return [{"role": "system", "content": fields["system"]}] if fields.get("system") else []


def _with_input(fields: dict[str, Any], prompt: str) -> Any:
    """Alpaca's instruction and input are one user message with a blank line between them."""
    asked = fields[prompt]
    if prompt != "instruction" or not isinstance(asked, str):
        return asked
    inputs = [text for name in _INPUTS if (text := _text(fields.get(name))).strip()]
    return "\n\n".join([asked, *inputs]) if asked.strip() else asked


def _as_turns(value: Any, role: Role) -> list[Any]:
    """TRL's prompt and completion are either text or lists of messages."""
    return value if isinstance(value, list) else [{"role": role, "content": value}]


# --- reading the chat ---------------------------------------------------------------------


def _prompt_and_response(turns: list[Any]) -> tuple[tuple[Message, ...], str]:
    messages = tuple(_message(turn) for turn in turns)
    last = max((i for i, m in enumerate(messages) if m.role == "assistant"), default=None)
    if last is None:
        raise RefusedError("no assistant message")
    if turns[last].get("weight") == 0:
        raise RefusedError("a last assistant message of weight 0")
    prompt, response = messages[:last], messages[last].content
    if not prompt or prompt[-1].role != "user":
        raise RefusedError(_UNASKED if response.strip() else "an empty response")
    _check_not_empty(prompt[-1].content, response)
    return prompt, response


def _check_not_empty(instruction: str, response: str) -> None:
    if not response.strip():
        raise RefusedError("an empty response")
    if not instruction.strip():
        raise RefusedError("an empty prompt")


def _message(turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise RefusedError("messages that are not objects with role and content")
    role = turn.get("role")
    if role in ("tool", "function") or turn.get("tool_calls") or turn.get("function_call"):
        raise RefusedError(TOOL_CALLS)
    if role == "developer":
        role = "system"
    if role not in get_args(Role):
        raise RefusedError(f"the unknown message role {role!r}")
    return Message(cast("Role", role), _text(turn.get("content")))


def _text(content: Any) -> str:
    """Content as text: parts are joined by line breaks, numbers are written as JSON."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, bool | int | float):
        return json.dumps(content)
    if isinstance(content, list):
        return "\n".join(_part(part) for part in content)
    raise RefusedError("an object where text is expected")


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXT_PARTS and isinstance(part.get("text"), str):
        return cast("str", part["text"])
    raise RefusedError(TOOL_CALLS if kind in _TOOL_PARTS else NOT_TEXT)


# --- what travels with it -----------------------------------------------------------------


def _metadata(fields: dict[str, Any], group_key: str | None) -> dict[str, str]:
    """Every scalar that is not part of the chat, as text; always the group key."""
    kept = {
        name: _scalar(value)
        for name, value in fields.items()
        if name not in _NOT_METADATA and isinstance(value, str | bool | int | float)
    }
    if group_key is not None and fields.get(group_key) is not None:
        kept[group_key] = _scalar(fields[group_key])
    return {name: value for name, value in kept.items() if value}


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _json_schema(fields: dict[str, Any]) -> dict[str, Any] | None:
    schema = fields.get("json_schema")
    if isinstance(schema, str) and schema.strip():
        try:
            schema = json.loads(schema)
        except ValueError:
            raise RefusedError("a json_schema that is not JSON") from None
    if schema and not isinstance(schema, dict):
        raise RefusedError("a json_schema that is not an object")
    return schema or None


def _reference_source(row: Row, otherwise: ReferenceSource) -> ReferenceSource:
    source = row.fields.get("reference_source") or otherwise
    if source not in get_args(ReferenceSource):
        raise DataError(
            f"{row.place}: reference_source is {source!r}.",
            hint=f"It says who wrote the response: {_names(get_args(ReferenceSource))}.",
        )
    return cast("ReferenceSource", source)


def _check_unicode(texts: list[Any]) -> None:
    """JSON can escape half of a surrogate pair, which no UTF-8 file can hold."""
    try:
        for text in texts:
            (text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)).encode()
    except UnicodeEncodeError:
        raise RefusedError("text that is not valid Unicode") from None
