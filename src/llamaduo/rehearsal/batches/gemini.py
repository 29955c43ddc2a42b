"""Gemini's: a file is uploaded in two steps, a job is made of it, and it writes another file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llamaduo.rehearsal.asked import Refusal
from llamaduo.rehearsal.batches.store import Ended, Item, Job, Store
from llamaduo.rehearsal.dialect import Body
from llamaduo.rehearsal.dialects import DIALECTS

_DIALECT = DIALECTS["google"]
_CODES = {400: 3, 404: 5, 429: 8, 500: 13, 503: 14}
"""HTTP statuses as google.rpc.Code."""


def routes(store: Store) -> list[Route]:
    """Its addresses."""
    return [
        Route("/upload/v1beta/files", partial(_begin, store), methods=["POST"]),
        Route("/upload/v1beta/files/{file}", partial(_upload, store), methods=["POST"]),
        Route("/v1beta/files/{file}:download", partial(_download, store)),
        Route("/v1beta/files/{file}", partial(_delete, store), methods=["DELETE"]),
        Route(
            "/v1beta/models/{model}:batchGenerateContent", partial(_create, store), methods=["POST"]
        ),
        Route("/v1beta/batches", partial(_list, store)),
        Route("/v1beta/batches/{batch}", partial(_get, store)),
        Route("/v1beta/batches/{batch}:cancel", partial(_cancel, store), methods=["POST"]),
    ]


async def _begin(store: Store, request: Request) -> Response:
    name = store.keep(b"", "upload-")
    address = str(request.url.replace(path=f"/upload/v1beta/files/{name}", query=""))
    return JSONResponse(
        {}, headers={"x-goog-upload-url": address, "x-goog-upload-status": "active"}
    )


async def _upload(store: Store, request: Request) -> Response:
    name = request.path_params["file"]
    store.files[name] += await request.body()
    final = "finalize" in request.headers.get("x-goog-upload-command", "")
    status = {"x-goog-upload-status": "final" if final else "active"}
    return JSONResponse({"file": {"name": f"files/{name}"}}, headers=status)


async def _delete(store: Store, request: Request) -> Response:
    found = store.files.pop(request.path_params["file"], None) is not None
    return JSONResponse({}) if found else _absent(request)


async def _download(store: Store, request: Request) -> Response:
    batch, _, _ = request.path_params["file"].rpartition("-results")
    job = store.find(batch, _DIALECT)
    if job is None or not job.ended:
        return _absent(request)
    lines = [json.dumps(_line(one)) for one in store.results(job, ("succeeded", "errored"))]
    return Response("\n".join(lines).encode(), media_type="application/octet-stream")


async def _create(store: Store, request: Request) -> Response:
    source = (await request.json())["batch"]["inputConfig"]["fileName"].removeprefix("files/")
    if source not in store.files:
        return _absent(request)
    lines = [json.loads(line) for line in store.files[source].split(b"\n") if line.strip()]
    items = [Item(line["key"], line["request"]) for line in lines]
    model = request.path_params["model"]
    return JSONResponse(_shape(await store.create("job", _DIALECT, items, model=model)))


async def _list(store: Store, _: Request) -> Response:
    return JSONResponse({"operations": [_shape(job) for job in store.newest_first(_DIALECT)]})


async def _get(store: Store, request: Request) -> Response:
    job = store.find(request.path_params["batch"], _DIALECT)
    return JSONResponse(_shape(job)) if job else _absent(request)


async def _cancel(store: Store, request: Request) -> Response:
    job = store.find(request.path_params["batch"], _DIALECT)
    if job is None:
        return _absent(request)
    job.canceled = True
    return JSONResponse({})


def _shape(job: Job) -> Body:
    ended = bool(job.ended)
    state = "RUNNING"
    if ended:
        state = "EXPIRED" if job.count("expired") else "SUCCEEDED"
    state = "CANCELLED" if job.canceled else state
    output = {"output": {"responsesFile": f"files/{job.id}-results"}} if ended else {}
    time = datetime.fromtimestamp(job.created_at, UTC).isoformat()
    about = {"displayName": "batch", "state": f"BATCH_STATE_{state}", "createTime": time}
    stats = {"batchStats": {"requestCount": str(len(job.items))}}
    metadata = about | stats | output | {"model": f"models/{job.model}"}
    return {"name": f"batches/{job.id}", "metadata": metadata, "done": ended}


def _line(one: Ended) -> Body:
    if one.how == "succeeded":
        return {"key": one.custom_id, "response": one.body}
    message = one.body.get("error", {}).get("message", "")
    return {"key": one.custom_id, "error": {"code": _CODES.get(one.status, 2), "message": message}}


def _absent(request: Request) -> Response:
    message = f"There is nothing at {request.url.path}."
    return JSONResponse(_DIALECT.refuse(Refusal(status=404, message=message)), 404)
