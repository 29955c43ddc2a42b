"""OpenAI's: a file of requests is uploaded, and a batch is made of it. Its replies are files."""

from __future__ import annotations

import email
import json
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llamaduo.rehearsal.asked import Refusal
from llamaduo.rehearsal.batches.store import Ended, Item, Job, Store, as_called
from llamaduo.rehearsal.dialect import Body
from llamaduo.rehearsal.dialects import DIALECTS

_DIALECT = DIALECTS["openai"]
_DAY = 86_400


def routes(store: Store) -> list[Route]:
    """Its addresses."""
    return [
        Route("/v1/files", partial(_upload, store), methods=["POST"]),
        Route("/v1/files/{file}", partial(_delete, store), methods=["DELETE"]),
        Route("/v1/files/{file}/content", partial(_content, store)),
        Route("/v1/batches", partial(_create, store), methods=["POST"]),
        Route("/v1/batches", partial(_list, store)),
        Route("/v1/batches/{batch}", partial(_retrieve, store)),
        Route("/v1/batches/{batch}/cancel", partial(_cancel, store), methods=["POST"]),
    ]


async def _upload(store: Store, request: Request) -> Response:
    content = _part(request.headers.get("content-type", ""), await request.body(), "file")
    name = store.keep(content, "file-")
    shape = {"id": name, "object": "file", "bytes": len(content), "created_at": 0}
    return JSONResponse(
        shape | {"filename": "batch.jsonl", "purpose": "batch", "status": "processed"}
    )


async def _delete(store: Store, request: Request) -> Response:
    name = request.path_params["file"]
    found = store.files.pop(name, None) is not None
    return JSONResponse({"id": name, "object": "file", "deleted": True}) if found else _absent(name)


async def _content(store: Store, request: Request) -> Response:
    name = request.path_params["file"]
    batch, _, kind = name.rpartition("-")
    if kind in ("output", "errors") and (job := store.find(batch, _DIALECT)):
        wanted = ("succeeded",) if kind == "output" else ("errored", "expired", "canceled")
        lines = [json.dumps(_line(one)) for one in store.results(job, wanted)]
        return Response("\n".join(lines).encode(), media_type="application/octet-stream")
    if name not in store.files:
        return _absent(name)
    return Response(store.files[name], media_type="application/octet-stream")


async def _create(store: Store, request: Request) -> Response:
    source = (await request.json())["input_file_id"]
    if source not in store.files:
        return _absent(source)
    lines = [json.loads(line) for line in store.files[source].split(b"\n") if line.strip()]
    items = [Item(line["custom_id"], as_called(line["body"])) for line in lines]
    job = await store.create("batch_", _DIALECT, items, source=source)
    if 0 < store.plan.crowded < len(items):
        job.failure = "token_limit_exceeded"
    return JSONResponse(_shape(job))


async def _list(store: Store, request: Request) -> Response:
    jobs = [_shape(job) for job in store.newest_first(_DIALECT)]
    after = request.query_params.get("after")
    ids = [job["id"] for job in jobs]
    rest = jobs[ids.index(after) + 1 :] if after in ids else jobs
    return JSONResponse({"object": "list", "data": rest, "has_more": False})


async def _retrieve(store: Store, request: Request) -> Response:
    name = request.path_params["batch"]
    job = store.find(name, _DIALECT)
    return JSONResponse(_shape(job)) if job else _absent(name)


async def _cancel(store: Store, request: Request) -> Response:
    name = request.path_params["batch"]
    job = store.find(name, _DIALECT)
    if job is None:
        return _absent(name)
    job.canceled = True
    return JSONResponse(_shape(job))


def _shape(job: Job) -> Body:
    done = bool(job.ended)
    kinds = {"output": job.count("succeeded"), "error": len(job.ended) - job.count("succeeded")}
    failure = {"code": job.failure, "message": "Enqueued token limit reached.", "line": None}
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": "/v1/responses",
        "input_file_id": job.source,
        "completion_window": "24h",
        "created_at": int(job.created_at),
        "expires_at": int(job.created_at) + _DAY,
        "status": _status(job),
        "request_counts": {
            "total": len(job.items),
            "completed": kinds["output"],
            "failed": kinds["error"],
        },
        "output_file_id": f"{job.id}-output" if done and kinds["output"] else None,
        "error_file_id": f"{job.id}-errors" if done and kinds["error"] else None,
        "errors": {"object": "list", "data": [failure]} if job.failure else None,
    }


def _status(job: Job) -> str:
    if job.failure:
        return "failed"
    if job.canceled:
        return "cancelled"
    if not job.ended:
        return "in_progress"
    return "expired" if job.count("expired") else "completed"


def _line(one: Ended) -> Body:
    named = {"id": f"batch_req_{one.custom_id}", "custom_id": one.custom_id}
    if one.status:
        response = {"status_code": one.status, "request_id": "req_rehearsed", "body": one.body}
        return named | {"response": response, "error": None}
    code = {"expired": "batch_expired", "canceled": "batch_cancelled"}[one.how]
    error = {"code": code, "message": "This request could not be executed in time."}
    return named | {"response": None, "error": error}


def _absent(name: str) -> Response:
    return JSONResponse(_DIALECT.refuse(Refusal(status=404, message=f"There is no {name}.")), 404)


def _part(kind: str, body: bytes, wanted: str) -> bytes:
    """One field of a form as it was uploaded."""
    form = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    parts: Any = form.get_payload() if form.is_multipart() else ()
    for part in parts:
        if part.get_param("name", header="content-disposition") == wanted:
            return bytes(part.get_payload(decode=True))
    return b""
