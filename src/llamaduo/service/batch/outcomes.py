"""How each request of a batch ended, read from the provider's own lines. Pure; no SDK.

The three write one JSON object a line. A reply in it is what the ordinary API would have sent as
its body, and is kept as such, so that it is read like any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from llamaduo.service.ledger import RawReply

_JSON = "application/json"
_ANTHROPIC_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that goes with each error type (docs: Claude API, errors)."""
_GOOGLE_STATUSES = {
    1: ("CANCELLED", 499),
    2: ("UNKNOWN", 500),
    3: ("INVALID_ARGUMENT", 400),
    4: ("DEADLINE_EXCEEDED", 504),
    5: ("NOT_FOUND", 404),
    7: ("PERMISSION_DENIED", 403),
    8: ("RESOURCE_EXHAUSTED", 429),
    9: ("FAILED_PRECONDITION", 400),
    10: ("ABORTED", 409),
    11: ("OUT_OF_RANGE", 400),
    12: ("UNIMPLEMENTED", 501),
    13: ("INTERNAL", 500),
    14: ("UNAVAILABLE", 503),
    15: ("DATA_LOSS", 500),
    16: ("UNAUTHENTICATED", 401),
}
"""google.rpc.Code: the name and the HTTP status of each (googleapis, google/rpc/code.proto)."""
_OPENAI_UNRUN = {
    "batch_expired": "expired in its batch",
    "batch_cancelled": "its batch was cancelled",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one request: the reply that came, or why it was never run and cost nothing."""

    custom_id: str
    raw: RawReply | None
    unrun: str = ""


def read_lines(lines: Iterable[bytes], read: Callable[[Any], Outcome]) -> dict[str, Outcome]:
    """The outcomes in ``lines``, by custom id. What is no line of this kind is passed over: it
    names no request, and its request is then one without an outcome."""
    found: dict[str, Outcome] = {}
    for line in lines:
        try:
            outcome = read(json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue
        if isinstance(outcome.custom_id, str):
            found[outcome.custom_id] = outcome
    return found


def openai_line(line: Any) -> Outcome:
    """A line of OpenAI's output file or error file."""
    if response := line.get("response"):
        return Outcome(line["custom_id"], _raw(int(response["status_code"]), response["body"]))
    error = line.get("error") or {}
    if unrun := _OPENAI_UNRUN.get(str(error.get("code"))):
        return Outcome(line["custom_id"], None, unrun)
    return Outcome(line["custom_id"], _raw(500, {"error": error}))


def anthropic_line(line: Any) -> Outcome:
    """A line of a message batch's results."""
    result = line["result"]
    if result["type"] == "succeeded":
        return Outcome(line["custom_id"], _raw(200, result["message"]))
    if result["type"] != "errored":
        return Outcome(line["custom_id"], None, f"{result['type']} in its batch")
    status = _ANTHROPIC_STATUSES.get(result["error"]["error"]["type"], 500)
    return Outcome(line["custom_id"], _raw(status, result["error"]))


def google_line(line: Any) -> Outcome:
    """A line of a Gemini batch job's results file."""
    if "response" in line:
        return Outcome(line["key"], _raw(200, line["response"]))
    error = dict(line["error"])
    name, status = _GOOGLE_STATUSES.get(error.get("code", 0), ("UNKNOWN", 500))
    return Outcome(line["key"], _raw(status, {"error": {**error, "code": status, "status": name}}))


def _raw(status: int, body: Any) -> RawReply:
    return RawReply(status, _JSON, json.dumps(body).encode())
