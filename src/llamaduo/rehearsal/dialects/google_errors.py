"""Errors as all of Google's APIs give them."""

from __future__ import annotations

from typing import Final

from llamaduo.rehearsal.asked import Refusal
from llamaduo.rehearsal.dialect import Body
from llamaduo.wire.gemini import ErrorInfo, FieldViolation, GoogleError, GoogleErrorDetail

_RPC: Final = "type.googleapis.com/google.rpc."
_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error(refusal: Refusal) -> Body:
    """An error in Google's shape, with the field to blame or the delay among its details."""
    detail = GoogleErrorDetail(
        code=refusal.status,
        message=refusal.message,
        status=_STATUS.get(refusal.status, "UNKNOWN"),
        details=_details(refusal) or None,
    )
    return GoogleError(error=detail).model_dump(mode="json", by_alias=True, exclude_none=True)


def _details(refusal: Refusal) -> list[ErrorInfo]:
    details = []
    if refusal.field:
        blamed = FieldViolation(field=refusal.field, description=refusal.message)
        details.append(ErrorInfo(type=f"{_RPC}BadRequest", field_violations=[blamed]))
    if refusal.retry_seconds is not None:
        delay = f"{refusal.retry_seconds:g}s"
        details.append(ErrorInfo(type=f"{_RPC}RetryInfo", retry_delay=delay))
    return details
