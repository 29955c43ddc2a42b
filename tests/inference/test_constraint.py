"""Answers that are held to a JSON schema, and what they are without."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import ModelError, StageFailed
from llamaduo.inference.constraint import Grammars
from llamaduo.inference.engine import keep_to
from llamaduo.inference.infer import infer
from llamaduo.inference.sampling import choose
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import Checkpoint, Event, InferenceFigures, Pair, Response
from llamaduo.tasks.json_fields import satisfies
from tests.inference.made import pairs

pytest.importorskip("llguidance")
TICKET: dict[str, Any] = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "shipping"]},
        "priority": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["category", "priority"],
    "additionalProperties": False,
}
SAMPLED = InferenceSettings(responses_per_prompt=3, temperature=1.5, top_p=1.0, batch_size=4)
GREEDY = InferenceSettings(responses_per_prompt=2, temperature=0, batch_size=4)


def with_schema(count: int, schema: dict[str, Any] = TICKET) -> tuple[Pair, ...]:
    """Every second pair has a schema."""
    return tuple(
        replace(pair, json_schema=schema) if i % 2 else pair for i, pair in enumerate(pairs(count))
    )


def run(
    checkpoint: Checkpoint,
    into: Path,
    settings: InferenceSettings,
    asked: Sequence[Pair],
    **options: Any,
) -> tuple[tuple[Response, ...], InferenceFigures]:
    return infer(checkpoint, asked, settings, max_new_tokens=40, into=into, **options)


@pytest.mark.parametrize("settings", [SAMPLED, GREEDY])
def test_what_ends_satisfies_its_schema_and_all_else_is_as_without(
    tiny: Checkpoint, tmp_path: Path, settings: InferenceSettings
) -> None:
    asked = with_schema(8)
    held, figures = run(tiny, tmp_path / "held.jsonl", settings, asked)
    free_settings = settings.model_copy(update={"constrained": "off"})
    free, unheld = run(tiny, tmp_path / "free.jsonl", free_settings, asked)
    schemas = {pair.id: pair.json_schema for pair in asked}
    for one, other in zip(held, free, strict=True):
        if schemas[one.pair_id] is None:
            assert replace(one, seconds=0, memory_bytes=None) == replace(
                other, seconds=0, memory_bytes=None
            )
        else:
            assert satisfies(one.text, TICKET) or one.finish == "length"
            assert one.unconstrained == other.text
            assert not satisfies(other.text, TICKET)
    assert (figures.constrained, unheld.constrained) == (len(held) // 2, 0)
    assert sum(satisfies(one.text, TICKET) or False for one in held) >= len(held) // 4


def test_a_run_that_was_cut_off_goes_on_to_the_same_texts(tiny: Checkpoint, tmp_path: Path) -> None:
    asked, into = with_schema(8), tmp_path / "cut.jsonl"
    whole, _ = run(tiny, tmp_path / "whole.jsonl", SAMPLED, asked)

    def pull_the_plug(_: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny, into, SAMPLED, asked, notify=pull_the_plug)
    resumed, _ = run(tiny, into, SAMPLED, asked)
    assert [(r.text, r.unconstrained) for r in resumed] == [
        (r.text, r.unconstrained) for r in whole
    ]


def test_an_answer_that_was_learned_otherwise_is_bent_to_its_schema(
    tuned: Checkpoint, tmp_path: Path
) -> None:
    schema = {"enum": ["shipping, high", "billing"]}  # the same with quotation marks around it
    asked = [replace(pairs(1)[0], json_schema=schema)]
    (one, *_), _ = run(tuned, tmp_path / "a.jsonl", GREEDY, asked)
    assert one.unconstrained == "shipping, high"
    assert one.text == '"shipping, high"'


def test_a_schema_that_cannot_be_held_to_is_told_once_or_refused(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    asked = with_schema(4, {"type": "object", "not": {"required": ["a"]}})
    events: list[Event] = []
    found, figures = run(tiny, tmp_path / "a.jsonl", GREEDY, asked, notify=events.append)
    assert figures.constrained == 0
    assert all(one.unconstrained is None for one in found)
    (warning,) = (event for event in events if event.unit == "warning")
    assert "2 of 2 prompts" in warning.detail
    must = GREEDY.model_copy(update={"constrained": "on"})
    with pytest.raises(StageFailed, match="cannot be held to it") as refused:
        run(tiny, tmp_path / "b.jsonl", must, asked)
    assert "constrained: auto" in refused.value.hint


def test_a_tokenizer_that_llguidance_does_not_know_is_named() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    untyped: Any = PreTrainedTokenizerFast
    words = models.WordLevel({"a": 0, "b": 1}, unk_token="a")  # noqa: S106 - no secret
    with pytest.raises(ModelError, match="does not know the tokenizer") as refused:
        Grammars(untyped(tokenizer_object=Tokenizer(words)), 2, [1])
    assert "constrained: off" in refused.value.hint


# --- token by token ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grammars(tiny: Checkpoint) -> Grammars:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny.base)
    return Grammars(tokenizer, len(tokenizer), [tokenizer.eos_token_id])


def rows_of(checkpoint: Checkpoint) -> int:
    config = json.loads((Path(checkpoint.base) / "config.json").read_text())
    return int(config["vocab_size"])


@pytest.fixture(scope="module")
def ids(tiny: Checkpoint) -> Any:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny.base)
    return lambda text: tokenizer(text)["input_ids"] + [tokenizer.eos_token_id]


@given(
    st.sampled_from(["billing", "shipping"]),
    st.integers(0, 9),
    st.sampled_from([None, 1, 2, 4]),
    st.booleans(),
)
def test_every_usual_layout_passes_untouched(
    grammars: Grammars, ids: Any, category: str, priority: int, indent: int | None, tight: bool
) -> None:
    value = {"category": category, "priority": priority}
    text = json.dumps(value, indent=indent, separators=(",", ":") if tight else None)
    held = grammars.start(TICKET)
    assert all(held.takes(token) for token in ids(text))
    assert held.untouched


def test_an_end_too_early_is_not_taken(grammars: Grammars, ids: Any) -> None:
    held = grammars.start(TICKET)
    *tokens, end = ids('{"category": "billing"')
    assert all(held.takes(token) for token in tokens)
    assert not held.takes(end)


def test_integers_are_bounded(grammars: Grammars, ids: Any) -> None:
    held = grammars.start(TICKET)
    taken = [held.takes(token) for token in ids('{"category": "billing", "priority": 12}')]
    assert not all(taken)


def test_what_is_allowed_comes_with_the_shares_that_the_model_gives_it(
    tiny: Checkpoint, grammars: Grammars, ids: Any
) -> None:
    """Of tokens that may follow, one is drawn as often as its probability says."""
    begun = ids('{"category": "billing", "priority": ')[:-1]
    digits, vocabulary = [ids(digit)[0] for digit in "123"], rows_of(tiny)
    logits = torch.full((1, vocabulary), -20.0)
    logits[0, digits] = torch.tensor([2.0, 1.0, 0.0])
    logits[0, ids("b")[0]] = 2.5  # likely, and not allowed
    chance, drawn = random.Random(5), Counter[int]()
    for _ in range(3000):
        held = grammars.start(TICKET)
        assert all(held.takes(token) for token in begun)
        uniforms = torch.tensor([chance.random()], dtype=torch.float64)
        tokens = choose(logits, uniforms, temperature=1.0, top_p=1.0)
        keep_to([held], tokens, logits, uniforms, temperature=1.0, top_p=1.0)
        drawn[int(tokens[0])] += 1
    expected = torch.softmax(torch.tensor([2.0, 1.0, 0.0]), dim=0).tolist()
    for digit, share in zip(digits, expected, strict=True):
        assert drawn[digit] / 3000 == pytest.approx(share, abs=0.03)
