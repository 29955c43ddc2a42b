"""What an error reply is about: this one question, or the account and the configuration.

The first costs one question, the second ends the run. Pure; providers disagree on the shape of
an error, so every field is looked for and none is relied on.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard

from llamaduo.service.ledger import RawReply

_OF_ONE_REQUEST = frozenset({400, 413, 422})
_MONEY = frozenset(
    {
        "insufficient_quota",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
)
"""Codes that OpenAI and others send with a 400 or 429 although waiting does not help."""
_OUT_OF_MONEY = re.compile(
    "credit balance|credits are depleted|api usage limits|spend(?:ing)? (?:limit|cap)"
    "|too many tokens per day|limit: 0\\b",
    re.IGNORECASE,
)
"""How Anthropic, Bedrock and Gemini say so, with a 400 or 429 and no code of its own."""
_KEY = frozenset(
    {
        "api_key_expired",
        "api_key_invalid",
        "authentication_error",
        "invalid_api_key",
        "unauthenticated",
    }
)
_QUESTION = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "context_length_exceeded",
        "invalid_prompt",
        "request_too_large",
        "responsibleaipolicyviolation",
        "string_above_max_length",
    }
)
_SETUP = frozenset(
    {
        "failed_precondition",
        "invalid_json_schema",
        "invalid_model",
        "missing_required_parameter",
        "model_not_found",
        "model_not_supported",
        "unknown_parameter",
        "unsupported_model",
        "unsupported_parameter",
        "unsupported_value",
    }
)
_SETUP_PARAMETERS = frozenset(
    {
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "model",
        "response_format",
        "seed",
        "response_json_schema",
        "response_schema",
        "temperature",
        "text",
    }
)
"""Parameters that every question of a connection has alike."""
_SCHEMA_FIELDS = frozenset(
    {
        "json_schema",
        "output_config",
        "output_format",
        "response_format",
        "response_json_schema",
        "response_schema",
        "text",
    }
)
"""What the JSON schema of a reply is called, in parameters and in complaints."""


def complaint(raw: RawReply) -> str:
    """What an error reply says, whatever its shape: printable, on one line, short."""
    body = _json(raw)
    said = _error(body).get("message")
    if not isinstance(said, str) and isinstance(body, dict):
        said = body.get("error")
    if not isinstance(said, str):
        said = re.sub(r"<[^<>]*>", " ", raw.body.decode(errors="replace"))
    return _one_line(said)


def is_about_money(raw: RawReply) -> bool:
    """Whether the account has no credit left, or has reached a limit that lasts: a day's quota
    or a month's. A minute's passes, and is not meant."""
    if _codes(raw) & _MONEY or _OUT_OF_MONEY.search(complaint(raw)):
        return True
    return any(_lasts(limit) for limit in _listed(raw, "violations"))


def is_about_the_question(raw: RawReply) -> bool:
    """Whether another question may pass: a content filter, a prompt too long or not allowed.

    A rejection that says nothing of its cause counts as one of this question; were it one of
    all questions, the stage's own limit on losses ends the run.
    """
    if raw.status not in _OF_ONE_REQUEST:
        return False
    codes = _codes(raw)
    # vLLM blames max_tokens, which is every question's, for the length of this one.
    if codes & _QUESTION or "context length" in complaint(raw).lower():
        return True
    about_setup = codes & (_SETUP | _KEY) or _parameters(raw) & _SETUP_PARAMETERS
    return not (about_setup or _is_about_the_schema(raw) or is_about_money(raw))


def what_to_do(raw: RawReply, model: str, key: str) -> str:
    """The next step after a refusal. ``key`` names what the calls are recognised by."""
    if raw.status == 401 or _codes(raw) & _KEY:
        return f"Check {key}, then run again to resume."
    if raw.status in (402, 429) or is_about_money(raw):
        return "Add credit or raise the account's limit, then run again to resume."
    if raw.status == 403:
        return f"Check that {key} may use {model}, then run again to resume."
    if raw.status == 404 or 300 <= raw.status < 400:
        return f"Check the model name {model} and base_url in llamaduo.yaml."
    return _what_to_change(raw, model)


def _what_to_change(raw: RawReply, model: str) -> str:
    if _is_about_the_schema(raw):
        return (
            "If the server takes no JSON schemas, set service.structured to prompt in"
            " llamaduo.yaml, then run again to resume."
        )
    if is_about_the_question(raw):
        return "The request itself was rejected: check the task's prompts, schema and model."
    return f"Check in llamaduo.yaml whether {model} takes the settings that it is asked with."


# --- the fields of an error ---------------------------------------------------------------


def _codes(raw: RawReply) -> frozenset[str]:
    """Every machine-readable word for what is wrong, in lower case."""
    error = _error(_json(raw))
    words = [error.get("code"), error.get("type"), error.get("status")]
    if isinstance(inner := error.get("innererror"), dict):  # Azure
        words.append(inner.get("code"))
    if isinstance(details := error.get("details"), list):  # Google
        words += [detail.get("reason") for detail in details if isinstance(detail, dict)]
    return frozenset(word.lower() for word in words if isinstance(word, str))


def _is_about_the_schema(raw: RawReply) -> bool:
    """Whether a request was rejected for the JSON schema that the reply was to have."""
    if raw.status not in _OF_ONE_REQUEST:
        return False
    named = bool(_parameters(raw) & _SCHEMA_FIELDS) or "invalid_json_schema" in _codes(raw)
    said = complaint(raw).lower()
    return named or any(word in said for word in _SCHEMA_FIELDS if "_" in word)


def _parameters(raw: RawReply) -> frozenset[str]:
    """The request's parameters that the error names: ``text`` for ``text.format.schema``.
    Anthropic begins its message with one, Google lists whole paths."""
    named = _error(_json(raw)).get("param")
    found = re.split(r"[.\[]", named, maxsplit=1)[:1] if isinstance(named, str) else []
    if begins := re.match(r"`?([a-z_]+)`?(?:[.:]| is | may )", complaint(raw)):
        found.append(begins[1])
    for field in (one.get("field") for one in _listed(raw, "fieldViolations")):
        found += re.split(r"[.\[]", field) if isinstance(field, str) else []
    return frozenset(found)


def _lasts(limit: dict[str, Any]) -> bool:
    """Whether a quota that Google names is one of a day, or of nothing at all."""
    return "PerDay" in str(limit.get("quotaId")) or str(limit.get("quotaValue")) == "0"


def _listed(raw: RawReply, name: str) -> list[dict[str, Any]]:
    """The objects listed under ``name`` in the details of Google's errors."""
    details = _error(_json(raw)).get("details")
    lists = [one.get(name) for one in details if isinstance(one, dict)] if _is_list(details) else []
    return [item for one in lists if _is_list(one) for item in one if isinstance(item, dict)]


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _error(body: Any) -> dict[str, Any]:
    """The error object of a body: OpenAI nests it, others do not, Google may list it."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    return error if isinstance(error, dict) else body


def _json(raw: RawReply) -> Any:
    """The body as JSON; None if it is not."""
    try:
        return json.loads(raw.body)
    except (ValueError, RecursionError):
        return None


def _one_line(text: str, most: int = 300) -> str:
    """Printable, on one line and short: a server's words go to a terminal."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"
