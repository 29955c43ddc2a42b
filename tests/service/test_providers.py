"""Which requests a model gets: with a JSON schema where it takes one, else without."""

from __future__ import annotations

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile

from llamaduo.records import Message, Question
from llamaduo.service.providers import send, text_of

SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
QUESTION = Question(
    stage="judge", messages=(Message("user", "Reply in JSON"),), shape="judgement", schema=SCHEMA
)


@pytest.mark.parametrize(("takes_schema", "mode"), [(True, "native"), (False, "text")])
async def test_a_model_without_schemas_is_asked_by_the_prompt_alone(
    takes_schema: bool, mode: str
) -> None:
    seen: list[AgentInfo] = []

    def answer(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(info)
        return ModelResponse(parts=[TextPart("{}")])

    model = FunctionModel(answer, profile=ModelProfile(supports_json_schema_output=takes_schema))
    response = await send(model, QUESTION, seeded=False)

    assert text_of(response) == "{}"
    parameters = seen[0].model_request_parameters
    assert parameters.output_mode == mode
    assert (parameters.output_object is not None) == takes_schema
