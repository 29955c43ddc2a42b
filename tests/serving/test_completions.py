"""The real openai client against a real server: what a completion is."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from llamaduo.inference.engine import TransformersEngine
from llamaduo.inference.protocol import Prompt
from llamaduo.records import Checkpoint, Message
from tests.serving.made import PROMPT, WINDOW, Running, body, serving, text_of

HOT: dict[str, Any] = {"temperature": 1.5, "top_p": 0.9, "max_tokens": 24}


def ask(server: Running, **options: Any) -> Any:
    asked: Any = {"model": "tiny", "messages": PROMPT} | options
    with server.client() as client:
        return client.chat.completions.create(**asked)


def streamed(server: Running, **options: Any) -> tuple[dict[int, str], dict[int, str], Any]:
    """The texts and finish reasons by choice, and the usage."""
    texts: dict[int, str] = {}
    finishes: dict[int, str] = {}
    usage = None
    asked: Any = {"model": "tiny", "messages": PROMPT} | options
    with server.client() as client:
        for chunk in client.chat.completions.create(stream=True, **asked):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
                if choice.finish_reason:
                    finishes[choice.index] = choice.finish_reason
    return texts, finishes, usage


def test_a_greedy_answer_is_that_of_batch_inference(server: Running, bundle: Path) -> None:
    engine = TransformersEngine(Checkpoint(model="tiny", base=str(bundle), window=WINDOW))
    tokens = engine.encode([Message("user", PROMPT[0]["content"])])
    [[expected]] = engine.answer([Prompt(tokens, ((0.0,) * 12,))], temperature=0, top_p=1)
    completion = ask(server)  # temperature and length are the bundle's
    assert text_of(completion) == expected.text
    assert completion.choices[0].finish_reason == expected.finish == "length"
    assert completion.usage.prompt_tokens == len(tokens)
    assert completion.usage.completion_tokens == expected.new_tokens == 12
    assert completion.usage.total_tokens == len(tokens) + 12
    assert completion.model == "tiny"
    assert completion.id.startswith("chatcmpl-")


def test_a_stream_says_the_same_in_pieces(server: Running) -> None:
    whole = ask(server, seed=3, n=2, **HOT)
    options = {"include_usage": True}
    texts, finishes, usage = streamed(server, seed=3, n=2, stream_options=options, **HOT)
    assert texts == {i: text_of(whole, i) for i in range(2)}
    assert finishes == {i: whole.choices[i].finish_reason for i in range(2)}
    assert usage == whole.usage
    assert texts[0] != texts[1]
    assert streamed(server, seed=3, **HOT)[2] is None  # not asked for


def test_a_seed_fixes_the_answer_and_none_does_not(server: Running) -> None:
    first, again, other = (text_of(ask(server, seed=s, **HOT)) for s in (7, 7, 8))
    assert first == again != other
    assert text_of(ask(server, **HOT)) != text_of(ask(server, **HOT))
    assert text_of(ask(server, seed=7, n=3, **HOT)) == first  # the first of three is the same


def test_sixteen_at_once_get_what_each_gets_alone(server: Running) -> None:
    questions: list[dict[str, Any]] = [
        {
            "messages": [{"role": "user", "content": f"Order {i} {'is late ' * (i % 5)}"}],
            "seed": i,
            "temperature": 0 if i % 4 == 0 else 0.5 + i / 10,
            "top_p": 1 - i / 40,
            "max_tokens": 5 + 3 * i,
            "n": 1 + i % 3,
        }
        for i in range(16)
    ]

    def texts(question: dict[str, Any]) -> list[str]:
        completion = ask(server, **question)
        return [choice.message.content for choice in completion.choices]

    alone = [texts(question) for question in questions]
    start = threading.Barrier(16)

    def together(question: dict[str, Any]) -> list[str]:
        start.wait()
        return texts(question)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(together, questions)) == alone
    server.wait_for(running=0, queued=0)


async def test_the_async_client(server: Running) -> None:
    async with openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        messages: Any = PROMPT
        stream = await client.chat.completions.create(
            model="tiny", messages=messages, stream=True, seed=1, temperature=1
        )
        pieces = [c.choices[0].delta.content or "" async for c in stream]
    assert "".join(pieces) == text_of(ask(server, seed=1, temperature=1))


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_answer_before_itself(server: Running, stream: bool) -> None:
    text = text_of(ask(server, seed=5, **HOT))
    stop = text[len(text) // 2 :][:3]
    options = {"seed": 5, "stop": ["never said", stop], **HOT}
    if stream:
        texts, finishes, _ = streamed(server, **options)
        assert (texts[0], finishes[0]) == (text[: text.index(stop)], "stop")
    else:
        completion = ask(server, **options)
        assert text_of(completion) == text[: text.index(stop)]
        assert completion.choices[0].finish_reason == "stop"
        assert completion.usage.completion_tokens < 24
    assert text_of(ask(server, seed=5, **HOT | {"stop": text[0]})) == ""


def test_an_answer_that_ends_by_itself_says_stop(server: Running) -> None:
    completion = ask(server, seed=0, n=8, temperature=2.0, top_p=1.0, max_tokens=200)
    finishes = [choice.finish_reason for choice in completion.choices]
    assert "stop" in finishes
    assert not any("<|" in text_of(completion, i) for i in range(8))


def test_the_window_bounds_an_answer(server: Running) -> None:
    completion = ask(server, max_completion_tokens=10_000, temperature=0, stop=None)
    usage = completion.usage
    assert usage.total_tokens <= WINDOW
    assert completion.choices[0].finish_reason == (
        "length" if usage.total_tokens == WINDOW else "stop"
    )


def test_more_choices_than_places(bundle: Path) -> None:
    with serving([bundle], batch=2) as small:
        completion = ask(small, n=5, seed=1, **HOT)
        assert len({text_of(completion, i) for i in range(5)}) == 5


def test_a_message_that_spells_a_special_token_ends_no_turn(server: Running) -> None:
    def tokens(content: str) -> int:
        messages = [{"role": "user", "content": content}]
        found: int = ask(server, messages=messages, max_tokens=1).usage.prompt_tokens
        return found

    assert tokens("a<|im_end|>b") > tokens("ab") + 2  # it is text: several tokens


def test_parts_developer_messages_and_ignored_fields(server: Running) -> None:
    plain = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]
    parts = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": t} for t in ("Hel", "lo.")]},
    ]
    extra = {
        "user": "someone",
        "metadata": {"a": "b"},
        "store": False,
        "tools": [],
        "logprobs": False,
    }
    replies = [server.post(body(messages=plain)), server.post(body(messages=parts, **extra))]
    first, second = (reply.json()["choices"][0]["message"]["content"] for reply in replies)
    assert first == second


def test_models_and_health(server: Running) -> None:
    with server.client() as client:
        assert [model.id for model in client.models.list()] == ["tiny"]
        assert client.models.retrieve("tiny").id == "tiny"
        with pytest.raises(openai.NotFoundError, match="there is tiny"):
            client.models.retrieve("other")
    assert server.health() == {
        "status": "ok",
        "engine": "transformers",
        "models": ["tiny"],
        "running": 0,
        "queued": 0,
    }


# --- response_format ----------------------------------------------------------------------

UNKNOWN: dict[str, Any] = {"not": {"type": "string"}}
"""What no engine can hold an answer to: it is checked when it is there."""
DIGITS: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 10, "maximum": 40}},
    "required": ["a"],
    "additionalProperties": False,
}


def schema_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}


def test_an_answer_that_is_not_the_schema_s_is_an_error_and_not_retried(server: Running) -> None:
    # A random model writes no JSON. The stop string makes the answer a finished one.
    text = text_of(ask(server))
    options: dict[str, Any] = {"response_format": schema_format(UNKNOWN), "stop": text[-1]}
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        ask(server, **options)
    assert caught.value.code == "response_format_not_met"
    with pytest.raises(openai.APIError, match="response_format"):
        streamed(server, **options)
    events = server.post(body(stream=True, max_tokens=12, **options)).text
    assert '"response_format_not_met"' in events
    assert "[DONE]" not in events
    assert '"finish_reason":"stop"' not in events


def test_an_answer_that_was_cut_off_says_so(server: Running) -> None:
    completion = ask(server, response_format={"type": "json_object"})
    assert completion.choices[0].finish_reason == "length"


def test_an_answer_that_satisfies_the_schema_passes(bundle: Path) -> None:
    from tests.serving.writes import writing_bundle

    wanted = json.dumps({"a": 41})
    with serving([writing_bundle(bundle.parent / "writes", wanted)]) as parrot:
        completion = ask(parrot, model="writes", response_format=schema_format(UNKNOWN))
        assert json.loads(text_of(completion)) == {"a": 41}
        bounded = UNKNOWN | {"properties": {"a": {"maximum": 40}}}
        with pytest.raises(openai.UnprocessableEntityError, match="at a: 41"):
            ask(parrot, model="writes", response_format=schema_format(bounded))


def test_an_answer_is_held_to_its_schema_as_it_was_when_it_was_judged(
    server: Running, bundle: Path
) -> None:
    pytest.importorskip("llguidance")
    engine = TransformersEngine(Checkpoint(model="tiny", base=str(bundle), window=WINDOW))
    tokens = engine.encode([Message("user", PROMPT[0]["content"])])
    asked = Prompt(tokens, ((0.0,) * 100,), schema=DIGITS)
    [[expected]] = engine.answer([asked], temperature=0, top_p=1)
    held = {"response_format": schema_format(DIGITS), "max_tokens": 100}
    assert text_of(ask(server, **held)) == expected.text
    free = text_of(ask(server, seed=1, **HOT))
    with ThreadPoolExecutor(2) as pool:  # in one batch with others
        hot = pool.submit(ask, server, n=4, seed=1, **(HOT | held))
        assert text_of(pool.submit(ask, server, seed=1, **HOT).result()) == free
    ended = [choice for choice in hot.result().choices if choice.finish_reason == "stop"]
    assert ended
    assert all(10 <= json.loads(choice.message.content)["a"] <= 40 for choice in ended)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"$ref": "https://example.com/schema.json"}, "leads out of the schema"),
        ({"$ref": "#/$defs/missing"}, "leads nowhere"),
        ({"type": "bogus"}, "not a JSON schema"),
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, "pattern is not supported"),
    ],
)
def test_a_schema_that_cannot_be_held_to_is_refused(
    server: Running, schema: Any, says: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=says) as caught:
        ask(server, response_format=schema_format(schema))
    assert caught.value.param == "response_format.json_schema.schema"
