"""Anthropic's: a batch is made of the requests themselves. Its results are JSON Lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llamaduo.rehearsal.asked import Refusal
from llamaduo.rehearsal.batches.store import Ended, Item, Job, Store, as_called
from llamaduo.rehearsal.dialect import Body
from llamaduo.rehearsal.dialects import DIALECTS

_DIALECT = DIALECTS["anthropic"]
_PATH = "/v1/messages/batches"
_DAY = 86_400
_WAYS = ("succeeded", "errored", "expired", "canceled")


def routes(store: Store) -> list[Route]:
    """Its addresses."""
    return [
        Route(_PATH, partial(_create, store), methods=["POST"]),
        Route(_PATH, partial(_list, store)),
        Route(f"{_PATH}/{{batch}}", partial(_retrieve, store)),
        Route(f"{_PATH}/{{batch}}/results", partial(_results, store)),
        Route(f"{_PATH}/{{batch}}/cancel", partial(_cancel, store), methods=["POST"]),
    ]


async def _create(store: Store, request: Request) -> Response:
    asked = (await request.json())["requests"]
    items = [Item(one["custom_id"], as_called(one["params"])) for one in asked]
    return JSONResponse(_shape(await store.create("msgbatch_", _DIALECT, items)))


async def _list(store: Store, _: Request) -> Response:
    jobs = [_shape(job) for job in store.newest_first(_DIALECT)]
    ends = {"first_id": jobs[0]["id"], "last_id": jobs[-1]["id"]} if jobs else {}
    return JSONResponse({"data": jobs, "has_more": False, "first_id": None, "last_id": None} | ends)


async def _retrieve(store: Store, request: Request) -> Response:
    job = store.find(request.path_params["batch"], _DIALECT)
    return JSONResponse(_shape(job)) if job else _absent(request)


async def _cancel(store: Store, request: Request) -> Response:
    job = store.find(request.path_params["batch"], _DIALECT)
    if job is None:
        return _absent(request)
    job.canceled = True
    return JSONResponse(_shape(job))


async def _results(store: Store, request: Request) -> Response:
    job = store.find(request.path_params["batch"], _DIALECT)
    if job is None or not job.ended:
        return _absent(request)
    lines = [json.dumps(_line(one)) for one in store.results(job, _WAYS)]
    return Response("\n".join(lines).encode(), media_type="application/x-jsonl")


def _shape(job: Job) -> Body:
    ended = bool(job.ended)
    counts = {how: job.count(how) for how in _WAYS}
    return {
        "id": job.id,
        "type": "message_batch",
        "processing_status": "ended" if ended else "in_progress",
        "request_counts": counts | {"processing": 0 if ended else len(job.items)},
        "created_at": _time(job.created_at),
        "expires_at": _time(job.created_at + _DAY),
        "ended_at": _time(job.created_at) if ended else None,
        "cancel_initiated_at": None,
        "archived_at": None,
        "results_url": f"{_PATH}/{job.id}/results" if ended else None,
    }


def _line(one: Ended) -> Body:
    result: Body = {"type": one.how}
    if one.how == "succeeded":
        result["message"] = one.body
    elif one.how == "errored":
        result["error"] = one.body
    return {"custom_id": one.custom_id, "result": result}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _absent(request: Request) -> Response:
    name = request.path_params["batch"]
    return JSONResponse(_DIALECT.refuse(Refusal(status=404, message=f"There is no {name}.")), 404)
