"""Responses: right, repeatable, resumable, and counted."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import ModelError, StageFailed
from llamaduo.inference.infer import infer
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import Checkpoint, Event, InferenceFigures, Pair, Response
from llamaduo.storage.jsonl import append_records, read_records
from tests.inference.made import long_pair, pairs

PAIRS = pairs(7)
GREEDY = InferenceSettings(responses_per_prompt=2, temperature=0, batch_size=3)
SAMPLED = InferenceSettings(responses_per_prompt=3, temperature=1.5, top_p=1.0, batch_size=3)


def run(
    checkpoint: Checkpoint,
    into: Path,
    settings: InferenceSettings = SAMPLED,
    prompts: Sequence[Pair] = PAIRS,
    new: int = 12,
) -> tuple[tuple[Response, ...], InferenceFigures]:
    return infer(checkpoint, prompts, settings, max_new_tokens=new, into=into)


def texts(responses: Sequence[Response]) -> dict[str, str]:
    return {response.id: response.text for response in responses}


def plain_generate(checkpoint: Checkpoint, pair: Pair, new: int) -> str:
    """What transformers and PEFT say, one prompt at a time, adapter not merged."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint.base)
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint.base, dtype=torch.float32)
    if checkpoint.adapter is not None:
        model = PeftModel.from_pretrained(model, checkpoint.adapter)
    chat = [{"role": m.role, "content": m.content} for m in pair.messages]
    inputs = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    with torch.no_grad():
        output = model.generate(**inputs, do_sample=False, max_new_tokens=new)
    prompt = inputs["input_ids"].shape[1]
    return str(tokenizer.decode(output[0, prompt:], skip_special_tokens=True))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("name", ["tiny", "tuned"])
def test_greedy_text_is_that_of_plain_generation(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    checkpoint: Checkpoint = request.getfixturevalue(name)
    responses, _ = run(checkpoint, tmp_path / "r.jsonl", GREEDY)
    for pair, first, second in zip(PAIRS, responses[::2], responses[1::2], strict=True):
        assert first.text == second.text == plain_generate(checkpoint, pair, 12)
    assert {r.author for r in responses} == {"base" if name == "tiny" else "local"}


def test_responses_come_by_pair_and_index_and_the_file_holds_the_same(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    events: list[Event] = []
    responses, figures = infer(
        tiny, PAIRS, SAMPLED, max_new_tokens=12, into=tmp_path / "r.jsonl", notify=events.append
    )
    assert [(r.pair_id, r.index) for r in responses] == [(p.id, k) for p in PAIRS for k in range(3)]
    assert len(texts(responses)) == 21
    assert read_records(tmp_path / "r.jsonl", Response) == responses
    assert [(e.stage, e.done, e.total, e.unit) for e in events] == [
        ("infer", done, 21, "responses") for done in (9, 18, 21)
    ]
    assert (figures.prompts, figures.responses, figures.too_long) == (7, 21, 0)
    assert figures.new_tokens == sum(r.new_tokens for r in responses)
    assert 0 < figures.p50_seconds <= figures.p95_seconds <= figures.seconds


def test_a_sampled_response_depends_on_its_own_numbers_only(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    together, _ = run(tiny, tmp_path / "a.jsonl")
    alone = SAMPLED.model_copy(update={"batch_size": 1, "responses_per_prompt": 1})
    single, _ = run(tiny, tmp_path / "b.jsonl", alone)
    assert texts(single).items() <= texts(together).items()
    assert len({r.text for r in together}) > 15  # the K responses differ
    reseeded, _ = run(tiny, tmp_path / "c.jsonl", SAMPLED.model_copy(update={"seed": 1}))
    assert texts(reseeded) != texts(together)


def test_answers_end_with_the_turn_and_the_others_go_on(tiny: Checkpoint, tmp_path: Path) -> None:
    hot = SAMPLED.model_copy(update={"temperature": 2.0, "responses_per_prompt": 4})
    responses, _ = run(tiny, tmp_path / "r.jsonl", hot, new=120)
    ended = [r for r in responses if r.finish == "stop"]
    assert 0 < len(ended) < len(responses)
    assert all(r.new_tokens <= 120 for r in ended)
    assert all(r.new_tokens == 120 for r in responses if r.finish == "length")
    assert not any("<|im_end|>" in r.text for r in responses)


class Cut(Exception):  # not an error: the test pulls the plug
    """The run was cut off."""


@pytest.mark.parametrize("batches", [1, 2])
def test_a_run_that_was_cut_off_goes_on_to_the_same_responses(
    tiny: Checkpoint, tmp_path: Path, batches: int
) -> None:
    undisturbed, _ = run(tiny, tmp_path / "whole.jsonl")
    into, left = tmp_path / "cut.jsonl", [batches]

    def pull_the_plug(_: Event) -> None:
        left[0] -= 1
        if not left[0]:
            raise Cut

    with pytest.raises(Cut):
        infer(tiny, PAIRS, SAMPLED, max_new_tokens=12, into=into, notify=pull_the_plug)
    stored = read_records(into, Response)
    assert len(stored) == 9 * batches
    # One more batch was being written when the power went: a record and a torn one.
    half = next(r for r in undisturbed if r.id not in texts(stored))
    append_records(into, [half])
    with into.open("ab") as file:
        file.write(b'{"id":"torn')

    resumed, figures = run(tiny, into)
    assert texts(resumed) == texts(undisturbed)
    assert set(stored) <= set(resumed)  # kept, seconds and all
    assert figures.responses == 21
    assert read_records(into, Response) == resumed


def test_a_finished_run_is_read_and_not_repeated(tiny: Checkpoint, tmp_path: Path) -> None:
    first = run(tiny, tmp_path / "r.jsonl")
    gone = Checkpoint(
        model="tiny", base=tiny.base, adapter=str(tmp_path / "gone"), window=tiny.window
    )
    assert run(gone, tmp_path / "r.jsonl") == first  # its adapter would be missing


def test_prompts_without_room_for_an_answer_are_set_aside_and_counted(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    prompts = (*PAIRS[:2], long_pair(200), PAIRS[2])
    responses, figures = run(tiny, tmp_path / "r.jsonl", GREEDY, prompts)
    assert (figures.prompts, figures.too_long) == (3, 1)
    assert {r.pair_id for r in responses} == {pair.id for pair in PAIRS[:3]}
    with pytest.raises(StageFailed, match="None of the 1 prompts fits") as caught:
        run(tiny, tmp_path / "s.jsonl", GREEDY, [long_pair(200)])
    assert "max_new_tokens" in caught.value.hint
    assert not (tmp_path / "s.jsonl").exists()


def test_the_window_may_be_filled_to_the_last_token(tiny: Checkpoint, tmp_path: Path) -> None:
    short, _ = run(tiny, tmp_path / "a.jsonl", GREEDY, PAIRS[:1], new=1)
    room = tiny.window - short[0].prompt_tokens
    _, figures = run(tiny, tmp_path / "b.jsonl", GREEDY, PAIRS[:1], new=room)
    assert figures.too_long == 0
    with pytest.raises(StageFailed):
        run(tiny, tmp_path / "c.jsonl", GREEDY, PAIRS[:1], new=room + 1)


def test_no_prompts_are_no_responses(tiny: Checkpoint, tmp_path: Path) -> None:
    responses, figures = run(tiny, tmp_path / "r.jsonl", prompts=())
    assert responses == ()
    assert figures.prompts == 0


def test_a_missing_adapter_is_named(tiny: Checkpoint, tmp_path: Path) -> None:
    gone = Checkpoint(model="tiny", base=tiny.base, adapter=str(tmp_path / "gone"), window=256)
    with pytest.raises(ModelError, match="gone"):
        run(gone, tmp_path / "r.jsonl")


def models_in_memory() -> int:
    """Compare it with what it was before: fixtures of other rooms may hold models, too."""
    from transformers import LlamaForCausalLM

    gc.collect()
    return sum(issubclass(type(thing), LlamaForCausalLM) for thing in gc.get_objects())


def test_the_model_is_let_go_after_the_stage(tuned: Checkpoint, tmp_path: Path) -> None:
    before = models_in_memory()
    run(tuned, tmp_path / "a.jsonl", GREEDY, PAIRS[:1], new=2)
    assert models_in_memory() == before


def test_the_model_is_let_go_when_the_stage_fails(tuned: Checkpoint, tmp_path: Path) -> None:
    before = models_in_memory()

    def pull_the_plug(_: Event) -> None:
        assert models_in_memory() == before + 1
        raise Cut

    into = tmp_path / "r.jsonl"
    with pytest.raises(Cut) as caught:
        infer(tuned, PAIRS, GREEDY, max_new_tokens=2, into=into, notify=pull_the_plug)
    assert models_in_memory() == before
    assert caught.tb  # which holds on to every frame of the stage
