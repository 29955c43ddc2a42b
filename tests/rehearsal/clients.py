"""Each provider's official SDK, asking the rehearsal service one thing through one signature."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llamaduo.records import Message
from tests.canary import CANARY

"""In the place of every key and token: nobody looks at them."""


@dataclass(frozen=True)
class Ask:
    """What is asked. ``shape`` is the name of ``schema``, where the API takes a name."""

    messages: Sequence[Message]
    schema: dict[str, Any] | None = None
    shape: str = "wanted"
    most: int = 4096


@dataclass(frozen=True)
class Said:
    """What came back, as the SDK's own objects have it."""

    text: str
    finish: str
    model: str
    read: int
    written: int


def _turns(ask: Ask) -> list[dict[str, Any]]:
    return [{"role": m.role, "content": m.content} for m in ask.messages]


def _rules(ask: Ask) -> str:
    return "".join(m.content for m in ask.messages if m.role == "system")


async def openai_chat(url: str, ask: Ask) -> Said:
    from openai import AsyncOpenAI

    form: Any = {"name": ask.shape, "schema": ask.schema, "strict": True}
    wanted: Any = {"type": "json_schema", "json_schema": form} if ask.schema else {"type": "text"}
    async with AsyncOpenAI(api_key=CANARY, base_url=f"{url}/v1", max_retries=0) as client:
        reply = await client.chat.completions.create(
            model="gpt-4o",
            messages=_turns(ask),  # type: ignore[arg-type]
            response_format=wanted,
            max_completion_tokens=ask.most,
            seed=1,
        )
    choice, usage = reply.choices[0], reply.usage
    assert usage is not None
    text = choice.message.refusal or choice.message.content or ""
    finish = "refusal" if choice.message.refusal else choice.finish_reason
    return Said(text, finish, reply.model, usage.prompt_tokens, usage.completion_tokens)


async def openai_responses(url: str, ask: Ask) -> Said:
    from openai import AsyncOpenAI

    wanted: Any = {"type": "text"}
    if ask.schema:
        wanted = {"type": "json_schema", "name": ask.shape, "schema": ask.schema, "strict": True}
    turns: Any = [turn for turn in _turns(ask) if turn["role"] != "system"]
    async with AsyncOpenAI(api_key=CANARY, base_url=f"{url}/v1", max_retries=0) as client:
        reply = await client.responses.create(
            model="gpt-5",
            instructions=_rules(ask),
            input=turns,
            text={"format": wanted},
            max_output_tokens=ask.most,
        )
    details, usage = reply.incomplete_details, reply.usage
    assert usage is not None
    finish = str((details.reason if details else None) or reply.status)
    text = reply.output_text
    said: Any = reply.output[0]
    if said.content[0].type == "refusal":
        text, finish = said.content[0].refusal, "refusal"
    return Said(text, finish, reply.model, usage.input_tokens, usage.output_tokens)


async def anthropic(url: str, ask: Ask) -> Said:
    from anthropic import AsyncAnthropic

    return await _messages(AsyncAnthropic(api_key=CANARY, base_url=url, max_retries=0), ask)


async def anthropic_vertex(url: str, ask: Ask) -> Said:
    from anthropic import AsyncAnthropicVertex

    client = AsyncAnthropicVertex(
        project_id="a-project",
        region="europe-west1",
        access_token=CANARY,
        base_url=f"{url}/v1",
        max_retries=0,
    )
    return await _messages(client, ask)


async def anthropic_bedrock(url: str, ask: Ask) -> Said:
    from anthropic import AsyncAnthropicBedrock

    client = AsyncAnthropicBedrock(
        aws_access_key=CANARY,
        aws_secret_key=CANARY,
        aws_region="eu-west-1",
        base_url=url,
        max_retries=0,
    )
    return await _messages(client, ask)


async def _messages(client: Any, ask: Ask) -> Said:
    more: dict[str, Any] = {}
    if ask.schema:
        more["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
    async with client:
        reply = await client.messages.create(
            model="eu.anthropic.claude-sonnet-4-5-v1:0",  # a Bedrock name: it has a colon
            system=_rules(ask) or "Be brief.",
            messages=[turn for turn in _turns(ask) if turn["role"] != "system"],
            max_tokens=ask.most,
            **more,
        )
    text = "".join(block.text for block in reply.content)
    text = reply.stop_details.explanation if reply.stop_details else text
    used = reply.usage
    return Said(text, reply.stop_reason, reply.model, used.input_tokens, used.output_tokens)


async def gemini(url: str, ask: Ask) -> Said:
    from google import genai

    options = genai.types.HttpOptions(base_url=url)
    return await _contents(genai.Client(api_key=CANARY, http_options=options), ask)


async def gemini_vertex(url: str, ask: Ask) -> Said:
    from google import genai

    client = genai.Client(
        vertexai=True,
        project="a-project",
        location="europe-west1",
        credentials=fake_credentials(),
        http_options=genai.types.HttpOptions(base_url=url),
    )
    return await _contents(client, ask)


def fake_credentials() -> Any:
    """Credentials of Google's that need no network."""
    from google.oauth2.credentials import Credentials

    return Credentials(token=CANARY)  # type: ignore[no-untyped-call]


async def _contents(client: Any, ask: Ask) -> Said:
    turns = [
        {"role": "model" if m.role == "assistant" else "user", "parts": [{"text": m.content}]}
        for m in ask.messages
        if m.role != "system"
    ]
    config: dict[str, Any] = {"max_output_tokens": ask.most, "seed": 1}
    if rules := _rules(ask):
        config["system_instruction"] = rules
    if ask.schema:
        config |= {"response_mime_type": "application/json", "response_json_schema": ask.schema}
    async with client.aio as asking:
        reply = await asking.models.generate_content(
            model="gemini-2.5-flash", contents=turns, config=config
        )
    used, finish = reply.usage_metadata, reply.candidates[0].finish_reason.value
    written = used.candidates_token_count or 0
    return Said(reply.text or "", finish, reply.model_version, used.prompt_token_count, written)


CLIENTS: dict[str, Callable[[str, Ask], Awaitable[Said]]] = {
    "openai-chat": openai_chat,
    "openai": openai_responses,
    "anthropic": anthropic,
    "anthropic-vertex": anthropic_vertex,
    "anthropic-bedrock": anthropic_bedrock,
    "google": gemini,
    "google-cloud": gemini_vertex,
}
"""The dialect's name → its client."""
