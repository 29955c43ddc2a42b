"""Keys: the same for the same request, different for anything that changes the reply."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.records import Message, Question
from llamaduo.service.requests import canonical_request, most_input_tokens, request_key

QUESTION = Question(stage="judge", messages=(Message("user", "Wie geht’s?"),))


def key(question: Question, model: str = "openai-chat:m") -> str:
    return request_key(canonical_request(model, question))


def test_the_key_is_stable_across_releases() -> None:
    assert key(QUESTION) == "6a4367ac4ebf796e5197fe9bc3f7c21f4caf12afb737b8ee518b340944ed0ca1"


def test_the_stage_and_the_order_of_schema_keys_do_not_matter() -> None:
    one = replace(QUESTION, schema={"type": "object", "title": "t"})
    other = replace(one, stage="synthesize", schema={"title": "t", "type": "object"})
    assert key(one) == key(other)


@given(st.lists(st.tuples(st.text(), st.integers(0, 3), st.none() | st.floats(0, 2)), unique=True))
def test_different_requests_have_different_keys(asked: list[tuple[str, int, float | None]]) -> None:
    keys = {
        key(replace(QUESTION, messages=(Message("user", text),), sample=n, temperature=warmth))
        for text, n, warmth in asked
    }
    assert len(keys) == len({json.dumps(one) for one in asked})


def test_text_cannot_pass_for_structure() -> None:
    two = (Message("user", "a"), Message("user", "b"))
    one = (Message("user", 'a"],["user","b'),)
    assert key(replace(QUESTION, messages=two)) != key(replace(QUESTION, messages=one))


def test_the_model_and_its_provider_matter() -> None:
    assert len({key(QUESTION, m) for m in ("openai:m", "openai-chat:m", "openai-chat:n")}) == 3


@given(st.text(min_size=1))
def test_a_byte_is_a_token_at_most(text: str) -> None:
    """Also where a tokenizer falls back to the bytes of UTF-8, as for rare scripts."""
    question = replace(QUESTION, messages=(Message("user", text),))
    tokens = most_input_tokens(canonical_request("openai-chat:m", question))
    assert tokens > len(text.encode(errors="replace"))
