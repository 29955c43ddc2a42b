"""Who may speak to the server: known host names, no web pages, and whoever has the token."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from llamaduo.serving.asking import Refusal
from llamaduo.serving.replies import error_reply, simple_refusal

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATH = "/health"
"""Answered without a token: what watches over a server need not be able to use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """``hosts`` are the names that the server answers to; None: any, because a token is needed.

    A web page that a victim's browser shows can reach loopback by a DNS name of its own; it
    cannot choose the Host header. Nor does it know the token.
    """

    hosts: Collection[str] | None
    token: str | None


class Guard:
    """ASGI middleware that refuses before anything of the request is read."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await error_reply(refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        if not self._knows(headers.get("host", "")):
            return simple_refusal(
                403, "This server does not answer to that host name.", "host_not_allowed"
            )
        if "origin" in headers:  # browsers send it, and API clients do not
            return simple_refusal(403, "Web pages may not use this server.", "origin_not_allowed")
        if scope["path"] != OPEN_PATH and not self._may(headers.get("authorization", "")):
            return simple_refusal(
                401,
                "The token is missing or wrong: send it as Authorization: Bearer TOKEN, which"
                " is what the openai client does with its api_key.",
                "invalid_api_key",
                {"WWW-Authenticate": "Bearer"},
            )
        return None

    def _knows(self, host: str) -> bool:
        if self._access.hosts is None:
            return True
        try:
            return urlsplit(f"//{host}").hostname in self._access.hosts
        except ValueError:  # brackets that do not match
            return False

    def _may(self, authorization: str) -> bool:
        if self._access.token is None:
            return True
        scheme, _, token = authorization.partition(" ")
        # Compared in constant time, so that its beginning cannot be found out letter by letter.
        same = hmac.compare_digest(token.strip().encode(), self._access.token.encode())
        return same and scheme.lower() == "bearer"
