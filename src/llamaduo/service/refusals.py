"""What an error reply is about: this one question, or the account and the configuration.

The first costs one question, the second ends the run. Pure; providers disagree on the shape of
an error, so every field is looked for and none is relied on.
"""

from __future__ import annotations

import json
import re
from typing import Any

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
_KEY = frozenset({"invalid_api_key", "api_key_invalid", "api_key_expired", "authentication_error"})
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
        "temperature",
        "text",
    }
)
"""Parameters that every question of a connection has alike."""


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
    """Whether the account has no credit left, or has reached its limit."""
    # Anthropic says this with a 400 and no code of its own.
    return bool(_codes(raw) & _MONEY) or "credit balance" in complaint(raw).lower()


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
    about_setup = codes & (_SETUP | _KEY) or _parameter(raw) in _SETUP_PARAMETERS
    return not (about_setup or is_about_money(raw))


def what_to_do(raw: RawReply, model: str, variable: str) -> str:
    """The next step after a refusal."""
    if raw.status == 401 or _codes(raw) & _KEY:
        return f"Check the key in {variable}, then run again to resume."
    if raw.status in (402, 429) or is_about_money(raw):
        return "Add credit or raise the account's limit, then run again to resume."
    if raw.status == 403:
        return f"Check that the key in {variable} may use {model}, then run again to resume."
    if raw.status == 404 or 300 <= raw.status < 400:
        return f"Check the model name {model} and base_url in llamaduo.yaml."
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


def _parameter(raw: RawReply) -> str:
    """The request's parameter that the error names: ``text`` for ``text.format.schema``."""
    named = _error(_json(raw)).get("param")
    return re.split(r"[.\[]", named, maxsplit=1)[0] if isinstance(named, str) else ""


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
