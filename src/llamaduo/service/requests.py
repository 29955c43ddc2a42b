"""The canonical form of a question, and the key that it has in the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from llamaduo.records import Question

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def bounded(question: Question, most_tokens: int) -> Question:
    """``question`` with a limit on its reply: its own, or else ``most_tokens``."""
    return (
        question if question.max_tokens is not None else replace(question, max_tokens=most_tokens)
    )


def canonical_request(
    model: str, question: Question, options: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """The question as JSON, the same for the same request whatever server answers it.
    ``options`` are the model settings that go with every call.

    Neither the server's address nor the stage is in it, and nothing about how the reply is
    read, so a question asked again elsewhere in the run is answered from the ledger. What is
    not set is left out: a setting added later does not change the keys of old questions.
    """
    request: dict[str, Any] = {
        "model": model,
        "sample": question.sample,
        "messages": [[message.role, message.content] for message in question.messages],
        "shape": question.shape,
        "schema": question.schema,
        "max_tokens": question.max_tokens,
        "temperature": question.temperature,
        "again": question.again or None,
        "options": dict(options) or None,
    }
    present = {name: value for name, value in request.items() if value is not None}
    return _CANONICAL.encode(present)


def request_key(canonical: str) -> str:
    """The ledger key: the sha256 of the canonical request, in hex."""
    return hashlib.sha256(canonical.encode()).hexdigest()


def most_input_tokens(canonical: str) -> int:
    """Tokens that the request can be charged for at most: one for each of its bytes.

    A tokenizer may fall back to single bytes of UTF-8; the canonical form escapes what is not
    ASCII and so has at least as many. Its punctuation outweighs a chat template's marks.
    """
    return len(canonical)
