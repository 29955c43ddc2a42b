"""Every dialect through the provider's own client, over a socket: what is asked, said, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from llamaduo.records import Message
from llamaduo.rehearsal.catalogue import MODEL
from llamaduo.rehearsal.dialects import DIALECTS
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.rehearsal.replies import REFUSE_MARK
from llamaduo.tasks.templates import (
    JUDGEMENT_SHAPE,
    PAIRS_SCHEMA,
    PAIRS_SHAPE,
    judge_messages,
    judgement_schema,
    repair_messages,
    synthesis_messages,
)
from tests.canary import CANARY
from tests.rehearsal.clients import CLIENTS, Ask, Said, fake_credentials
from tests.rehearsal.requests import TASK, ticket_pairs

TICKETS = ticket_pairs(3)
# A repair has a turn of the assistant's, and its reply is always well-formed.
JUDGING = repair_messages(judge_messages(TASK, TICKETS[0], "bug, low"), "?", "not JSON")
WRITING = repair_messages(synthesis_messages(TASK, TICKETS, 4), "?", "not JSON")
EACH = pytest.mark.parametrize("dialect", CLIENTS)
CUT = {"length", "max_output_tokens", "max_tokens", "MAX_TOKENS"}
WHOLE = {"stop", "completed", "end_turn", "STOP"}
REFUSED = {"refusal", "SAFETY"}

pytestmark = pytest.mark.skipif(
    not all(find_spec(sdk) for sdk in ("openai", "anthropic", "boto3", "google")),
    reason="needs the SDKs of all providers",
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The service's address without the /v1 of OpenAI's."""
    with running_rehearsal() as base_url:
        yield base_url.removesuffix("/v1")


async def ask(dialect: str, url: str, *messages: Message, **more: Any) -> Said:
    return await CLIENTS[dialect](url, Ask(messages, **more))


def test_there_is_a_client_for_every_dialect() -> None:
    assert CLIENTS.keys() == DIALECTS.keys()


@EACH
async def test_a_judgement(dialect: str, url: str) -> None:
    said = await ask(dialect, url, *JUDGING, schema=judgement_schema(), shape=JUDGEMENT_SHAPE)
    Draft202012Validator(judgement_schema()).validate(json.loads(said.text))
    assert said.finish in WHOLE
    assert said.model == MODEL


@EACH
async def test_new_pairs(dialect: str, url: str) -> None:
    said = await ask(dialect, url, *WRITING, schema=PAIRS_SCHEMA, shape=PAIRS_SHAPE)
    value = json.loads(said.text)
    Draft202012Validator(PAIRS_SCHEMA).validate(value)
    assert len(value["pairs"]) == 4


@EACH
async def test_usage_is_what_was_sent_and_said(dialect: str, url: str) -> None:
    turns = (Message("system", "Be brief, please."), Message("user", "Why is the sky blue?"))
    said = await ask(dialect, url, *turns)
    assert said.read == sum(4 + -(-len(turn.content) // 4) for turn in turns)
    assert said.written == -(-len(said.text) // 4)


@EACH
async def test_without_a_schema_the_prompt_says_what_is_wanted(dialect: str, url: str) -> None:
    said = await ask(dialect, url, *JUDGING)
    Draft202012Validator(judgement_schema()).validate(json.loads(said.text))


@EACH
async def test_a_token_limit_cuts_the_reply(dialect: str, url: str) -> None:
    said = await ask(dialect, url, *WRITING, schema=PAIRS_SCHEMA, shape=PAIRS_SHAPE, most=20)
    assert said.finish in CUT
    assert len(said.text) == 80


@EACH
async def test_a_refusal_is_a_reply_that_says_so(dialect: str, url: str) -> None:
    said = await ask(dialect, url, Message("user", f"{REFUSE_MARK}, please."))
    assert said.finish in REFUSED
    assert said.text.startswith("The rehearsal service was told") or dialect.startswith("google")


@EACH
async def test_a_bad_request_is_the_error_that_the_client_has_for_it(
    dialect: str, url: str
) -> None:
    import anthropic
    import openai
    from google.genai import errors

    bad = (openai.BadRequestError, anthropic.BadRequestError, errors.ClientError)
    with pytest.raises(bad, match="no data block") as caught:
        await ask(dialect, url, Message("user", "Hi"), schema=PAIRS_SCHEMA, shape=PAIRS_SHAPE)
    error: Any = caught.value
    if dialect.startswith("openai"):
        assert error.param == DIALECTS[dialect].prompt
        assert error.type == "invalid_request_error"
    elif dialect.startswith("google"):
        assert (error.code, error.status) == (400, "INVALID_ARGUMENT")
    elif dialect != "anthropic-bedrock":  # whose errors have no type
        assert error.type == "invalid_request_error"


# --- models ---------------------------------------------------------------------------------


def test_openai_lists_models_and_says_which_one_ends(url: str) -> None:
    import openai

    with openai.OpenAI(api_key=CANARY, base_url=f"{url}/v1", max_retries=0) as client:
        listed = {model.id: model.shutdown_date for model in client.models.list()}
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("gpt-none")
    assert listed == {
        "llamaduo-rehearsal-1": None,
        "llamaduo-rehearsal-latest": None,
        "llamaduo-rehearsal-0": "2099-12-31",
    }
    assert caught.value.code == "model_not_found"


def test_anthropic_resolves_an_alias_and_says_which_model_ends(url: str) -> None:
    import anthropic

    with anthropic.Anthropic(api_key=CANARY, base_url=url, max_retries=0) as client:
        listed = {model.id: model.lifecycle for model in client.models.list()}
        resolved = client.models.retrieve("llamaduo-rehearsal-latest")
        ending = client.models.retrieve("llamaduo-rehearsal-0")
        with pytest.raises(anthropic.NotFoundError) as caught:
            client.models.retrieve("claude-none")
    assert listed == {"llamaduo-rehearsal-1": "active", "llamaduo-rehearsal-0": "deprecated"}
    assert resolved.id == "llamaduo-rehearsal-1"
    assert ending.retires_at is not None
    assert ending.retires_at.year == 2099
    assert caught.value.type == "not_found_error"


@pytest.mark.parametrize(
    ("vertex", "start"), [(False, "models/"), (True, "publishers/google/models/")]
)
def test_gemini_lists_models_with_what_an_alias_stands_for(
    vertex: bool, start: str, url: str
) -> None:
    from google import genai

    options = genai.types.HttpOptions(base_url=url)
    access: Any = {"api_key": CANARY}
    if vertex:
        access = {"project": "p", "location": "l", "credentials": fake_credentials()}
    with genai.Client(vertexai=vertex, http_options=options, **access) as client:
        listed = {model.name for model in client.models.list(config={"query_base": True})}
        resolved = client.models.get(model="llamaduo-rehearsal-latest")
        with pytest.raises(genai.errors.ClientError) as caught:
            client.models.get(model="gemini-none")
    assert f"{start}llamaduo-rehearsal-1" in listed
    assert resolved.version == "llamaduo-rehearsal-1"
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
