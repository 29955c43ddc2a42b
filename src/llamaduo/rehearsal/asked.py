"""A request, whatever API it came by, and the refusal of one.

A reply follows from the body alone. Where an API has a seed, another seed gets another reply.
The Responses and the Messages API have none: there, equal bodies get equal replies, and who wants
another one puts something else into a field that means nothing to the reply, as ``metadata`` is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llamaduo.records import METRICS, Message
from llamaduo.tasks.templates import COMPARISON_SHAPE, JUDGEMENT_SHAPE, PAIRS_SHAPE, read_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for. ``shape`` is the name of the wanted form, ``schema`` its JSON
    Schema where the request has one, ``token_limit`` the most tokens of the reply, ``digest`` the
    sha256 of the body (with the model, where that is in the address)."""

    model: str
    messages: tuple[Message, ...]
    shape: str | None = None
    schema: Mapping[str, Any] | None = None
    token_limit: int | None = None
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not answered: an HTTP status and what each API says beside it.

    ``field`` names the part of the body that is to blame, ``code`` the reason where an API has
    a word for it (OpenAI), ``retry_seconds`` how long to wait where the body says so (Google).
    """

    status: int
    message: str
    field: str = ""
    code: str | None = None
    retry_seconds: float | None = None


class Refused(Exception):
    """A request that the service does not serve."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refused(message: str, field: str = "") -> Refused:
    """A bad request, status 400."""
    return Refused(Refusal(status=400, message=message, field=field))


def body_digest(body: Mapping[str, Any]) -> str:
    """The sha256 of a body in canonical form: key order and white space do not matter."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


_BY_SCHEMA: Final = {
    PAIRS_SHAPE: {"pairs"},
    JUDGEMENT_SHAPE: {"similarity", "precision"},
    COMPARISON_SHAPE: {"reason", "better"},
}
"""The fields of each form."""
_BY_DATA: Final = {
    PAIRS_SHAPE: {"count", "seeds"},
    JUDGEMENT_SHAPE: {"instruction", "reference", "response"},
    COMPARISON_SHAPE: {"instruction", "first", "second"},
}
"""The fields of the data that each form is about."""
_MARKED: Final = re.compile(r'"([a-z][a-z0-9_]*)": \{"reason": TEXT, "score": NUMBER\}')


def wanted_shape(
    name: str | None, schema: Mapping[str, Any] | None, messages: Sequence[Message]
) -> str | None:
    """The form that a request wants: the one it names; else the one whose fields its schema has;
    else, as for models that take no schema, the one that goes with the prompt's data."""
    if name is not None:
        return name
    if schema is not None:
        return _shape_of(schema.get("properties"), _BY_SCHEMA)
    return _shape_of(read_data(messages), _BY_DATA)


def _shape_of(fields: object, known: Mapping[str, set[str]]) -> str | None:
    present = set(fields) if isinstance(fields, Mapping) else set()
    return next((shape for shape, needed in known.items() if needed <= present), None)


def wanted_metrics(request: Asked) -> tuple[str, ...]:
    """What a judgement is to have marks for: the fields of the schema; without one, those of the
    form that the prompt sets out; without that, the paper's two."""
    fields = request.schema.get("properties") if request.schema else None
    if isinstance(fields, Mapping):
        return tuple(fields)
    users = (message.content for message in request.messages if message.role == "user")
    forms = (tuple(_MARKED.findall(content)) for content in users)
    return next(filter(None, forms), METRICS)
