"""The endpoints that list models, each in the shape of the provider whose client asks.

OpenAI and Anthropic share an address; a client of Anthropic's sends ``anthropic-version``. There,
an alias is answered with the model that it stands for; the others list an alias beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llamaduo.rehearsal.asked import Refusal
from llamaduo.rehearsal.catalogue import CATALOGUE, Listed, find
from llamaduo.rehearsal.dialect import Dialect
from llamaduo.rehearsal.dialects import DIALECTS
from llamaduo.wire.anthropic import AnthropicModel, AnthropicModelList
from llamaduo.wire.chat import HostedModel, ModelList
from llamaduo.wire.gemini import (
    GeminiModel,
    GeminiModelList,
    PublisherModel,
    PublisherModelList,
)

_Entry = TypeVar("_Entry", bound=BaseModel)
_GOOGLE: Final = "publishers/google/models"


def listing_routes() -> list[Route]:
    """All of them; Bedrock and Claude on Vertex have none."""
    return [
        Route("/v1/models", _v1_models),
        Route("/v1/models/{model:path}", _v1_model),
        Route("/v1beta/models", _gemini_models),
        Route("/v1beta/models/{model}", _gemini_model),
        Route(f"/v1beta1/{_GOOGLE}", _vertex_models),
        Route(f"/v1beta1/{_GOOGLE}/{{model}}", _vertex_model),
    ]


async def _v1_models(request: Request) -> Response:
    if "anthropic-version" in request.headers:
        entries = [_anthropic(model.id, model) for model in CATALOGUE]
        ends = {"first_id": entries[0].id, "last_id": entries[-1].id}
        return _json(AnthropicModelList(data=entries, **ends))
    return _json(ModelList(data=_each(_openai)))


async def _v1_model(request: Request) -> Response:
    if "anthropic-version" in request.headers:
        return _one(request, "anthropic", lambda _, model: _anthropic(model.id, model))
    return _one(request, "openai-chat", _openai)


async def _gemini_models(_: Request) -> Response:
    return _json(GeminiModelList(models=_each(_gemini)))


async def _gemini_model(request: Request) -> Response:
    return _one(request, "google", _gemini)


async def _vertex_models(_: Request) -> Response:
    return _json(PublisherModelList(publisher_models=_each(_vertex)))


async def _vertex_model(request: Request) -> Response:
    return _one(request, "google-cloud", _vertex)


def _each(shape: Callable[[str, Listed], _Entry]) -> list[_Entry]:
    """An entry for each name of each model."""
    return [shape(name, model) for model in CATALOGUE for name in (model.id, model.alias) if name]


def _one(request: Request, dialect: str, shape: Callable[[str, Listed], BaseModel]) -> Response:
    name = request.path_params["model"]
    model = find(name)
    return _not_found(DIALECTS[dialect], name) if model is None else _json(shape(name, model))


def _openai(name: str, model: Listed) -> HostedModel:
    return HostedModel(id=name, shutdown_date=model.retires or None)


def _anthropic(name: str, model: Listed) -> AnthropicModel:
    return AnthropicModel(
        id=name,
        display_name=model.label,
        lifecycle="deprecated" if model.retires else "active",
        retires_at=f"{model.retires}T00:00:00Z" if model.retires else None,
    )


def _gemini(name: str, model: Listed) -> GeminiModel:
    return GeminiModel(name=f"models/{name}", version=model.id, display_name=model.label)


def _vertex(name: str, model: Listed) -> PublisherModel:
    return PublisherModel(name=f"{_GOOGLE}/{name}", version_id=model.id, display_name=model.label)


def _not_found(dialect: Dialect, name: str) -> Response:
    known = ", ".join(model.id for model in CATALOGUE)
    message = f"There is no model {name}. The service has {known}."
    refusal = Refusal(status=404, message=message, code="model_not_found")
    return JSONResponse(dialect.refuse(refusal), 404)


def _json(body: BaseModel) -> Response:
    return JSONResponse(body.model_dump(mode="json", by_alias=True, exclude_none=True))
