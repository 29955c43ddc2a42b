"""The canonical form of a question, and the key that it has in the ledger."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from llamaduo.records import Question

_BYTES_PER_TOKEN = 3  # fewer than English has, so the estimate errs on the high side
DEFAULT_OUTPUT_TOKENS = 4096  # what a call may cost when the question sets no max_tokens


def canonical_request(model: str, question: Question) -> str:
    """The question as JSON, the same for the same request whatever server answers it.

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
    }
    present = {name: value for name, value in request.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":"))


def request_key(canonical: str) -> str:
    """The ledger key: the sha256 of the canonical request, in hex."""
    return hashlib.sha256(canonical.encode()).hexdigest()


def most_tokens(canonical: str, question: Question) -> tuple[int, int]:
    """Input and output tokens that one call may use, estimated on the high side."""
    return (
        len(canonical.encode()) // _BYTES_PER_TOKEN + 1,
        question.max_tokens or DEFAULT_OUTPUT_TOKENS,
    )
