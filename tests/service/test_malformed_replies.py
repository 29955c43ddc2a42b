"""Bad input from a service LLM: no traceback, and no wrong value accepted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import QuestionRefused
from llamaduo.evaluation.replies import read_judgement
from llamaduo.records import Message, Question, Reply
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.parsing import MalformedReply
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import ServiceSettings
from llamaduo.storage.journal import read_rows
from llamaduo.synthesis.replies import NewPair, read_pairs
from tests.scripted_service import reply
from tests.service.bodies import DIALECTS, READ, SNAPSHOT, TEXT, WRITTEN, Dialect, bodies
from tests.service.loopback import Answer, Service, serving
from tests.service.malformed import (
    GOOD,
    INDENTED,
    JUDGEMENTS,
    ONE,
    PAIRS,
    TWO,
    A,
    B,
    Found,
    Scores,
    pairs,
)


def scores(text: str) -> Scores | None:
    """What the judge's reader makes of ``text``; None when it rejects it, with a reason."""
    try:
        marks = read_judgement(reply(text))
    except MalformedReply as problem:
        in_words = bool(problem.reason.strip()) and len(problem.reason) < 200
        return None if in_words else (-1, -1)
    return marks["similarity"].score, marks["precision"].score


# --- the tables ---------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), JUDGEMENTS.values(), ids=JUDGEMENTS)
def test_a_judgement_is_read_exactly_or_not_at_all(text: str, expected: Scores | None) -> None:
    assert scores(text) == expected


@pytest.mark.parametrize(("text", "expected"), PAIRS.values(), ids=PAIRS)
def test_pairs_are_read_exactly_or_not_at_all(text: str, expected: Found) -> None:
    read = read_pairs(reply(text))
    assert (tuple((p.instruction, p.response) for p in read.pairs), read.malformed) == expected
    assert bool(read.problem) == bool(read.malformed)


@pytest.mark.parametrize("text", [GOOD, INDENTED, f"```json\n{GOOD}\n```"])
def test_a_judgement_that_is_cut_anywhere_is_rejected(text: str) -> None:
    assert {scores(text[:end]) for end in range(len(text))} == {None}


def test_pairs_that_are_cut_anywhere_lose_what_is_torn_and_nothing_else() -> None:
    text = pairs(ONE, TWO)
    first, second = text.index(ONE) + len(ONE), text.index(TWO) + len(TWO)
    for end in range(len(text)):
        read = read_pairs(reply(text[:end], finish="length"))
        whole = [NewPair(*A)] * (end >= first) + [NewPair(*B)] * (end >= second)
        assert list(read.pairs) == whole
        assert read.malformed == 1


def test_the_tables_are_as_long_as_was_promised() -> None:
    rejected = [text for text, expected in JUDGEMENTS.values() if expected is None]
    assert len(set(rejected)) >= 60


# --- mutations ----------------------------------------------------------------------------


def strictly(text: str) -> Any:
    """``text`` by RFC 8259 and no leniency: what every JSON parser must agree on.

    Raises:
        ValueError: it is not JSON, has a key twice, or a number that no double holds.
    """

    def unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) < len(items):
            raise ValueError("duplicate key")
        return dict(items)

    def number(digits: str) -> float:
        if not math.isfinite(float(digits)):
            raise ValueError("not finite")
        return float(digits)

    def constant(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text, object_pairs_hook=unique, parse_float=number, parse_constant=constant)


def is_mark(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"reason", "score"}
        and isinstance(value["reason"], str)
        and type(value["score"]) is int
        and 0 <= value["score"] <= 100
    )


def expected_scores(text: str) -> Scores | None:
    """What a judgement is worth by the specification alone."""
    try:
        value = strictly(text.strip())
    except ValueError:
        return None
    if not isinstance(value, dict) or value.keys() != {"similarity", "precision"}:
        return None
    if not all(map(is_mark, value.values())):
        return None
    return value["similarity"]["score"], value["precision"]["score"]


CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from('{}[]",:0123456789eE.-+\\ ')


@st.composite
def mutated(draw: st.DrawFn, texts: tuple[str, ...]) -> str:
    """One of ``texts`` with a few characters deleted, inserted or replaced, or its end cut."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        how = draw(st.sampled_from(["delete", "insert", "replace", "cut"]))
        new = draw(CHARACTERS) if how in ("insert", "replace") else ""
        rest = {"insert": text[place:], "cut": ""}.get(how, text[place + 1 :])
        text = text[:place] + new + rest
    return text


@given(mutated((GOOD, INDENTED)))
def test_a_mutated_judgement_is_worth_what_strict_json_says(text: str) -> None:
    assert scores(text) == expected_scores(text)


@given(mutated((pairs(ONE, TWO), json.dumps(json.loads(pairs(ONE, TWO)), indent=1))))
def test_of_mutated_pairs_only_those_are_kept_that_strict_json_has(text: str) -> None:
    read = read_pairs(reply(text))
    for kept in read.pairs:
        assert kept.instruction.strip()
        assert kept.response.strip()
        assert json.dumps(kept.instruction)[1:-1] in text or kept.instruction in text
    with suppress(ValueError):
        value = strictly(text.strip())
        if isinstance(value, dict) and value.keys() == {"pairs"} and not read.malformed:
            assert [(p.instruction, p.response) for p in read.pairs] == [
                (p["instruction"], p["response"]) for p in value["pairs"]
            ]
            return
    assert read.malformed


# --- HTTP bodies, through the client ------------------------------------------------------

SDKS_WARN = pytest.mark.filterwarnings(
    "ignore:Failed to extract usage",
    "ignore:Pydantic serializer warnings",
    "ignore:banana is not a valid FinishReason",
)


def whole(reply: Reply) -> bool:
    """Whether ``reply`` is the good one, but for what it says of the model and of its usage."""
    usage = {0, READ}, {0, WRITTEN}
    counts = reply.input_tokens in usage[0] and reply.output_tokens in usage[1]
    return counts and (reply.text, reply.finish) == (TEXT, "stop")


MAY_BE: dict[str, Callable[[Reply], bool]] = {
    "entries": lambda reply: reply.text == "",
    "text": lambda reply: reply.text in ("", TEXT),
    "finish": lambda reply: whole(reply) and reply.input_tokens == READ,
    "usage": lambda reply: whole(reply) and reply.snapshot == SNAPSHOT,
    "tokens read": whole,
    "tokens written": whole,
    "model": lambda reply: whole(reply) and reply.snapshot != SNAPSHOT,
}
"""By what is wrong with a body: what it may be read as, if it is not rejected. An empty text is
no value: whoever asked for something rejects it. An unknown usage is none."""


async def ask(service: Service, settings: ServiceSettings, path: Path) -> dict[str, Reply | None]:
    """What the client makes of every body, by its name; None where it gives up. Each question
    counts as asked four times before, so the first reply of no use is the last."""
    read: dict[str, Reply | None] = {}
    with Ledger.open(path) as ledger:
        async with connect(settings, ledger, backoff=Backoff(first=0.0, most=0.0)) as client:
            for number, (name, body) in enumerate(bodies(dialect_of(settings)).items()):
                service.script[:] = [Answer(body=body)]
                message = Message("user", f"question {number}")
                question = Question(stage="s", messages=(message,), again=4)
                read[name] = None
                with suppress(QuestionRefused):
                    read[name] = await client.ask(question)
    return read


def dialect_of(settings: ServiceSettings) -> Dialect:
    return DIALECTS[settings.model.partition(":")[0]]


@SDKS_WARN
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_a_broken_body_is_read_exactly_or_not_at_all(
    tmp_path: Path, dialect: Dialect
) -> None:
    async with serving() as service:
        url = service.base_url.removesuffix("/v1") + dialect.root
        settings = ServiceSettings(model=dialect.model, base_url=url)
        read = await ask(service, settings, tmp_path / "ledger.sqlite")
    assert len(read) >= 60
    accepted = {name: reply for name, reply in read.items() if reply}
    assert {name.partition(":")[0] for name in accepted} <= set(MAY_BE)
    wrong = [name for name, reply in accepted.items() if not MAY_BE[name.partition(":")[0]](reply)]
    assert wrong == []


@SDKS_WARN
async def test_counts_that_nobody_can_believe_leave_the_call_at_what_was_held(
    tmp_path: Path,
) -> None:
    """What a reply says that it used is money: where it says nonsense, the most it may have cost
    stays on the books."""
    dialect = DIALECTS["openai-chat"]
    lies = [b'"prompt_tokens": true', b'"prompt_tokens": ' + b"9" * 30, b'"prompt_tokens": "1"']
    async with serving() as service:
        settings = ServiceSettings.model_validate(
            {"model": dialect.model, "base_url": service.base_url, "max_output_tokens": 16}
            | {"price": {"input": 1.0, "output": 1.0}}
        )
        path = tmp_path / "ledger.sqlite"
        with Ledger.open(path) as ledger:
            async with connect(settings, ledger) as client:
                for number, lie in enumerate(lies):
                    body = dialect.body.replace(f'"prompt_tokens": {READ}'.encode(), lie)
                    service.then(Answer(body=body))
                    message = Message("user", f"question {number}")
                    got = await client.ask(Question(stage="s", messages=(message,)))
                    assert (got.text, got.input_tokens, got.usd) == (TEXT, 0, 0.0)
    held = [usd for (usd,) in read_rows(path, "SELECT held_usd FROM attempts")]
    assert len(held) == 3
    assert min(held) > 0
