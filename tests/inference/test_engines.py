"""The same prompts on llama.cpp and on servers: the same greedy text, and counted alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llamaduo.deployment.gguf import write_gguf
from llamaduo.errors import ModelError, ServiceUnavailable, UsageError
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.inference import served_llm
from llamaduo.inference.engines import Place
from llamaduo.inference.infer import infer
from llamaduo.inference.served import Served
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import Checkpoint, Event, InferenceFigures, Response
from tests.inference.made import pairs
from tests.inference.test_constraint import TICKET, with_schema
from tests.inference.vllm_like import VllmLike, running
from tests.llamas import build_llama
from tests.serving.made import merged_bundle, serving

PAIRS = pairs(6)
NEW = 12


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """One that our GGUF writer covers exactly."""
    folder = build_llama(tmp_path_factory.mktemp("llama"))
    return obtain(LocalSettings(model=str(folder)), folder)


def settings(**given: Any) -> InferenceSettings:
    plain = {"responses_per_prompt": 2, "temperature": 0.0, "batch_size": 4}
    return InferenceSettings.model_validate(plain | given)


def at_server(url: str, **given: Any) -> InferenceSettings:
    return settings(engine="openai", base_url=url, concurrency=3, **given)


def run(
    checkpoint: Checkpoint, into: Path, how: InferenceSettings, at: Place = None, **given: Any
) -> tuple[tuple[Response, ...], InferenceFigures]:
    options: dict[str, Any] = {"max_new_tokens": NEW} | given
    asked = options.pop("asked", PAIRS)
    return infer(checkpoint, asked, how, into=into, at=at, **options)


def said(responses: tuple[Response, ...]) -> list[tuple[str, str, str, int, int]]:
    return [(r.id, r.text, r.finish, r.prompt_tokens, r.new_tokens) for r in responses]


@pytest.fixture(scope="module")
def expected(llama: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> tuple[Response, ...]:
    return run(llama, tmp_path_factory.mktemp("expected") / "r.jsonl", settings())[0]


# --- llama.cpp --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gguf(llama: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("xllamacpp")
    into = tmp_path_factory.mktemp("gguf") / "model.gguf"
    return write_gguf(Path(llama.base), into, "F16", name="t")


def test_llamacpp_says_what_transformers_says(
    llama: Checkpoint, gguf: Path, expected: tuple[Response, ...], tmp_path: Path
) -> None:
    responses, figures = run(llama, tmp_path / "r.jsonl", settings(engine="xllamacpp"), gguf)
    assert said(responses) == said(expected)
    assert (figures.engine, figures.responses) == ("xllamacpp", len(expected))
    assert figures.peak_memory_bytes
    assert all(r.latency and r.latency <= r.seconds for r in responses)


def test_llamacpp_draws_by_the_seed_of_each_response(
    llama: Checkpoint, gguf: Path, tmp_path: Path
) -> None:
    hot = settings(engine="xllamacpp", temperature=1.5, responses_per_prompt=3)
    first, _ = run(llama, tmp_path / "a.jsonl", hot, gguf)
    again, _ = run(llama, tmp_path / "b.jsonl", hot, gguf)
    same = sum(one.text == other.text for one, other in zip(first, again, strict=True))
    assert same >= len(first) - 2  # sums in their last bits: see GgufLLM
    assert len({one.text for one in first}) > 12
    other, _ = run(llama, tmp_path / "c.jsonl", hot.model_copy(update={"seed": 1}), gguf)
    assert [r.text for r in other] != [r.text for r in first]


def test_llamacpp_holds_answers_to_a_schema(llama: Checkpoint, gguf: Path, tmp_path: Path) -> None:
    schema = {"enum": ["billing", "shipping"]}
    asked = with_schema(4, schema)
    how = settings(engine="xllamacpp")
    responses, figures = run(llama, tmp_path / "r.jsonl", how, gguf, asked=asked)
    held = [r for r in responses if r.unconstrained is not None]
    assert figures.constrained == len(held) == 4
    assert {r.text for r in held} <= {'"billing"', '"shipping"'}
    free, _ = run(
        llama,
        tmp_path / "f.jsonl",
        settings(engine="xllamacpp", constrained="off"),
        gguf,
        asked=asked,
    )
    texts = {r.id: r.text for r in free}
    assert all(r.unconstrained == texts[r.id] for r in held)


def test_a_file_that_is_no_gguf_is_named(llama: Checkpoint, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "model.gguf"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"model\.gguf is not a GGUF file"):
        run(llama, tmp_path / "r.jsonl", settings(engine="xllamacpp"), path)


# --- our own server ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_server(
    llama: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Checkpoint]]:
    bundle = merged_bundle(Path(llama.base), tmp_path_factory.mktemp("served") / "b")
    with serving([f"tiny={bundle}"]) as server:
        yield server.url, llama


def test_our_own_server_says_what_transformers_says(
    own_server: tuple[str, Checkpoint], expected: tuple[Response, ...], tmp_path: Path
) -> None:
    url, llama = own_server
    events: list[Event] = []
    responses, figures = run(
        llama, tmp_path / "r.jsonl", at_server(url), Served(url, "tiny"), notify=events.append
    )
    assert said(responses) == said(expected)
    assert (figures.engine, figures.peak_memory_bytes) == ("openai", None)
    assert 0 < figures.p50_seconds <= figures.p95_seconds <= figures.seconds
    assert not [event for event in events if event.unit == "warning"]


def test_our_own_server_draws_by_the_seed(
    own_server: tuple[str, Checkpoint], tmp_path: Path
) -> None:
    url, llama = own_server
    hot = at_server(url, temperature=1.5, top_p=0.9, responses_per_prompt=3)
    served = Served(url, "tiny")
    first, _ = run(llama, tmp_path / "a.jsonl", hot, served)
    again, _ = run(llama, tmp_path / "b.jsonl", hot, served)
    assert [r.text for r in first] == [r.text for r in again]
    assert len({one.text for one in first}) > 12


# --- servers with ways of their own -----------------------------------------------------------


def chats(state: VllmLike) -> list[Any]:
    return [body for path, body in state.asked if path == "/v1/chat/completions"]


def test_all_answers_to_a_prompt_are_one_request(llama: Checkpoint, tmp_path: Path) -> None:
    state = VllmLike(llama)
    with running(state) as url:
        hot = at_server(url, responses_per_prompt=3, temperature=0.5)
        responses, _ = run(llama, tmp_path / "r.jsonl", hot, Served(url, "base"))
    assert [body["n"] for body in chats(state)] == [3] * len(PAIRS)
    assert len({body["seed"] for body in chats(state)}) == len(PAIRS)
    assert len(responses) == 3 * len(PAIRS)
    # A server counts all answers together; of each, our own tokenizer counts.
    assert all(r.new_tokens == NEW for r in responses if r.finish == "length")


@pytest.mark.parametrize("given", [{"most_choices": 1}, {"refuses": frozenset({"n"})}])
def test_a_server_that_gives_one_answer_is_asked_for_each(
    llama: Checkpoint, tmp_path: Path, given: dict[str, Any]
) -> None:
    state = VllmLike(llama, **given)
    with running(state) as url:
        hot = at_server(url, responses_per_prompt=3, temperature=0.5)
        responses, _ = run(llama, tmp_path / "r.jsonl", hot, Served(url, "base"))
    assert len(responses) == 3 * len(PAIRS)
    assert all(r.text for r in responses)
    seeds = [body["seed"] for body in chats(state) if body.get("n", 1) == 1]
    assert len(set(seeds)) == len(seeds) >= 2 * len(PAIRS)


@pytest.mark.parametrize("refuses", [frozenset[str](), frozenset({"top_k"})])
def test_nothing_but_temperature_and_top_p_decides_or_it_is_told(
    llama: Checkpoint, tmp_path: Path, refuses: frozenset[str]
) -> None:
    """vLLM takes the others from the model's generation_config.json, where a request is silent."""
    state, events = VllmLike(llama, refuses=refuses), list[Event]()
    with running(state) as url:
        run(
            llama,
            tmp_path / "r.jsonl",
            at_server(url, top_p=1.0),
            Served(url, "base"),
            notify=events.append,
        )
    last = chats(state)[-1]
    assert (last["temperature"], last["top_p"]) == (0, 1)
    others = [last.get(name) for name in ("top_k", "min_p", "repetition_penalty")]
    warnings = [event.detail for event in events if event.unit == "warning"]
    if refuses:
        assert others == [None, None, None]
        (warning,) = warnings
        assert "takes no top_k" in warning
    else:
        assert others == [-1, 0, 1]
        assert not warnings


def test_a_schema_is_passed_on(llama: Checkpoint, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    state, asked = VllmLike(llama), with_schema(4)
    with running(state) as url:
        responses, figures = run(
            llama,
            tmp_path / "r.jsonl",
            at_server(url),
            Served(url, "base"),
            asked=asked,
            max_new_tokens=40,
        )
    formats = [b["response_format"] for b in chats(state) if "response_format" in b]
    assert formats[0]["type"] == "json_schema"
    assert formats[0]["json_schema"]["schema"] == TICKET
    assert figures.constrained == 4
    assert all(r.unconstrained != r.text for r in responses if r.unconstrained is not None)


def test_a_server_that_knows_no_schemas_is_told_of(llama: Checkpoint, tmp_path: Path) -> None:
    state, events = VllmLike(llama, refuses=frozenset({"response_format"})), list[Event]()
    with running(state) as url:
        _, figures = run(
            llama,
            tmp_path / "r.jsonl",
            at_server(url),
            Served(url, "base"),
            asked=with_schema(4),
            notify=events.append,
        )
    assert figures.constrained == 0
    assert any("response_format is not supported" in event.detail for event in events)


def test_another_chat_template_is_told_of(llama: Checkpoint, tmp_path: Path) -> None:
    state, events = VllmLike(llama), list[Event]()
    other = tmp_path / "other"
    other.mkdir()
    for file in Path(llama.base).iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    template = other / "chat_template.jinja"
    template.write_text("Answer briefly.\n" + template.read_text())
    with running(state) as url:
        run(
            replace(llama, base=str(other)),
            tmp_path / "r.jsonl",
            at_server(url),
            Served(url, "base"),
            notify=events.append,
        )
    (warning,) = (event for event in events if event.unit == "warning")
    assert "6 of 6 prompts" in warning.detail


def test_a_lost_connection_is_tried_again(llama: Checkpoint, tmp_path: Path) -> None:
    state = VllmLike(llama, fails=2)
    with running(state) as url:
        responses, _ = run(llama, tmp_path / "r.jsonl", at_server(url), Served(url, "base"))
    assert len(responses) == 2 * len(PAIRS)


def test_a_server_that_stays_away_is_named(
    llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_llm, "PATIENCE", 0.0)
    url = "http://127.0.0.1:9/v1"
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        run(llama, tmp_path / "r.jsonl", at_server(url), Served(url, "base"))


def test_a_wrong_name_is_answered_with_those_that_are_there(
    llama: Checkpoint, tmp_path: Path
) -> None:
    with (
        running(VllmLike(llama, "gemma-2b")) as url,
        pytest.raises(UsageError, match="has no model 'gemma-7b'; it has gemma-2b") as refused,
    ):
        run(llama, tmp_path / "r.jsonl", at_server(url), Served(url, "gemma-7b"))
    assert "inference.model" in refused.value.hint
