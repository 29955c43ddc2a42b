"""The rehearsal service's HTTP side: every dialect under its own addresses, on loopback."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llamaduo.rehearsal.asked import Asked, Refusal, Refused
from llamaduo.rehearsal.batches import batch_routes
from llamaduo.rehearsal.batches.plan import BatchPlan
from llamaduo.rehearsal.batches.store import Store
from llamaduo.rehearsal.catalogue import MODEL
from llamaduo.rehearsal.dialect import Body, Dialect
from llamaduo.rehearsal.dialects import DIALECTS
from llamaduo.rehearsal.faults import Plan
from llamaduo.rehearsal.front import EXCHANGE, Exchange, Front
from llamaduo.rehearsal.limits import Limiter
from llamaduo.rehearsal.listings import listing_routes
from llamaduo.rehearsal.record import Record
from llamaduo.rehearsal.replies import Draft, tokens_read

_HOSTS: Final = ["127.0.0.1", "localhost"]
"""The service answers to loopback names only, so no web page can reach it by DNS."""


def rehearsal_app(
    record: Record,
    plan: Plan | None = None,
    limiter: Limiter | None = None,
    batches: BatchPlan | None = None,
) -> Front:
    """The service: its replies, behind what records them, limits their rate and spoils them as
    ``plan`` says. ``batches`` says how long batches take, and what goes wrong with them."""
    stored = batch_routes(Store(record, batches or BatchPlan()))
    routes = [*_dialect_routes(), *stored, *listing_routes(), Route("/health", _health)]
    replies = Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS)],
        exception_handlers={HTTPException: _http_error},
    )
    return Front(replies, record, plan or Plan(), limiter)


def _dialect_routes() -> list[Route]:
    return [
        Route(path, _serving(dialect), methods=["POST"])
        for dialect in DIALECTS.values()
        for path in dialect.paths
    ]


def _serving(dialect: Dialect) -> Callable[[Request], Awaitable[Response]]:
    """What answers a request in ``dialect``. The front reads of it in ``request.state``."""

    async def serve(request: Request) -> Response:
        try:
            asked = dialect.parse(_read(await request.body()), request.path_params.get("model"))
        except Refused as error:
            return _refusal(dialect, error.refusal)
        try:
            draft = dialect.draft(asked)
        except Refused as error:
            setattr(request.state, EXCHANGE, _exchange(dialect, asked, None))
            return _refusal(dialect, error.refusal)
        exchange = _exchange(dialect, asked, draft)
        setattr(request.state, EXCHANGE, exchange)
        return Response(exchange.render(draft), media_type="application/json")

    return serve


def _read(raw: bytes) -> object:
    """The body as JSON.

    Raises:
        Refused: it is none.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        message = f"The body is not JSON: {error}."
        raise Refused(Refusal(status=400, message=message)) from error


def _exchange(dialect: Dialect, asked: Asked, draft: Draft | None) -> Exchange:
    return Exchange(
        digest=asked.digest,
        dialect=dialect.name,
        shape=asked.shape,
        draft=draft,
        render=lambda draft: _encoded(dialect.render(asked, draft)),
        refuse=lambda refusal: _encoded(dialect.refuse(refusal)),
        input_tokens=tokens_read(asked),
        most_tokens=asked.token_limit or 0,
    )


def _refusal(dialect: Dialect, refusal: Refusal) -> Response:
    body = _encoded(dialect.refuse(refusal))
    return Response(body, refusal.status, media_type="application/json")


def _encoded(body: Body) -> bytes:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace")  # an error may name a field that has no UTF-8


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok", "model": MODEL})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - that is what it is registered for
    known = ", ".join(path for dialect in DIALECTS.values() for path in dialect.paths)
    message = f"{error.detail}. The service knows {known}, the lists of models, and /health."
    dialect = _likely(request)
    return _refusal(dialect, Refusal(status=error.status_code, message=message))


def _likely(request: Request) -> Dialect:
    """The dialect of a client that asked for what is not there."""
    path = request.url.path
    if "anthropic-version" in request.headers or "/publishers/anthropic/" in path:
        return DIALECTS["anthropic"]
    if path.startswith("/model/"):
        return DIALECTS["anthropic-bedrock"]
    google = path.startswith("/v1beta") or "/publishers/google/" in path
    return DIALECTS["google" if google else "openai-chat"]
