"""Every family through template, packing, one step, merge and generation: none is skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from llamaduo.errors import ModelError
from llamaduo.finetuning.adapter import checkpoint_in
from llamaduo.finetuning.loading import is_flat
from llamaduo.finetuning.merge import merge
from llamaduo.finetuning.model_folder import read_tokenizer
from llamaduo.finetuning.packing import IGNORED, example, rows_of
from llamaduo.finetuning.work import carry_out
from llamaduo.inference.loading import load_model
from llamaduo.inference.stepping import end_tokens
from llamaduo.records import Checkpoint, Message, silent
from llamaduo.tasks.chat import encode_pair, encode_prompt
from llamaduo.tasks.chat_templates import steady
from tests.families import FAMILIES, build_family
from tests.finetuning.made import checkpoint_of, tickets
from tests.finetuning.recipes import encoded, job, loaded

ASKED = (Message("user", "Parcel lost."),)
TALK = (*ASKED, Message("assistant", "shipping, low"), Message("user", "And my money?"))


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def base(family: str, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """As a run gets it, with its template made the same for every day."""
    return checkpoint_of(build_family(family, tmp_path_factory.mktemp(family)))


def logits(folder: str, adapter: str | None = None) -> torch.Tensor:
    model: Any = load_model(
        Checkpoint(model="m", base=folder, adapter=adapter, window=256), as_trained=True
    )
    with torch.inference_mode():
        return model(torch.tensor([[5, 9, 44, 120, 7]])).logits  # type: ignore[no-any-return]


def test_the_loss_is_on_the_response_and_the_end_of_its_turn(family: str, base: Checkpoint) -> None:
    kind, tokenizer = FAMILIES[family], read_tokenizer(Path(base.base))
    pair = encode_pair(tokenizer, ASKED, "billing, high")
    labels = example(pair)["labels"]
    learned = [token for token in labels if token != IGNORED]
    assert tokenizer.decode(learned) == f"{kind.space}billing, high{kind.ends}{kind.after}"
    assert labels[: len(pair.prompt)] == [IGNORED] * len(pair.prompt)
    assert pair.prompt == encode_prompt(tokenizer, ASKED)
    model = load_model(base)
    assert tokenizer.convert_tokens_to_ids(kind.ends) in end_tokens(model, tokenizer)


def test_the_loss_on_all_responses_finds_each_of_them(family: str, base: Checkpoint) -> None:
    kind, tokenizer = FAMILIES[family], read_tokenizer(Path(base.base))
    last = encode_pair(tokenizer, TALK, "billing, high")
    assert last.earlier == ()
    if kind.last_only:
        with pytest.raises(ModelError, match="earlier response") as caught:
            encode_pair(tokenizer, TALK, "billing, high", loss_on="all")
        assert "loss_on: last" in caught.value.hint
        return
    pair = encode_pair(tokenizer, TALK, "billing, high", loss_on="all")
    assert (pair.prompt, pair.response) == (last.prompt, last.response)
    ((begin, end),) = pair.earlier
    shared = kind.after if kind.after == "\n" else kind.after[:1]
    answer = tokenizer.decode(pair.prompt[begin:end])
    assert answer == f"{kind.space}shipping, low{kind.ends}{shared}"
    learned = [token for token in example(pair)["labels"] if token != IGNORED]
    assert learned == [*pair.prompt[begin:end], *pair.response]


def test_a_system_prompt_is_rendered_or_refused(family: str, base: Checkpoint) -> None:
    tokenizer = read_tokenizer(Path(base.base))
    chat = (Message("system", "You triage."), *ASKED)
    if FAMILIES[family].system:
        assert "You triage." in tokenizer.decode(encode_prompt(tokenizer, chat))
    else:
        with pytest.raises(ModelError, match="System role not supported"):
            encode_prompt(tokenizer, chat)


def test_the_template_that_travels_with_the_model_is_steady(family: str, base: Checkpoint) -> None:
    template = read_tokenizer(Path(base.base)).chat_template
    assert template == steady(template)
    assert "strftime_now(" not in template
    assert (base.base != base.model) == (family in {"llama-3", "qwen-3"})


def test_packed_rows_are_separate_forwards(family: str, base: Checkpoint, tmp_path: Path) -> None:
    from tests.finetuning.test_packing import together_and_apart

    model = loaded(base, tmp_path)
    assert is_flat(model)  # on a processor, attention goes pair by pair in every family
    pairs = encoded(base, tickets(5).pairs)
    together, apart = together_and_apart(model, pairs, flat=True)
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_step_is_learned_merged_and_answered_with(
    family: str, base: Checkpoint, tmp_path: Path, method: str
) -> None:
    rank = 4 if method == "lora" else 0
    pairs = encoded(base, tickets(6).pairs)
    work = job(base, pairs, tmp_path / "c", method=method, lora_rank=rank, warmup=0.0)
    figures = carry_out(work, silent)
    assert figures.steps == len(rows_of(pairs, size=256, seed=0))
    trained = checkpoint_in(Path(work.into), base, cycle=0)
    assert (trained.adapter is None) == (method == "full")
    after = logits(trained.base, trained.adapter)
    assert (after - logits(base.base)).abs().max() > 1e-3
    merge(trained, tmp_path / "merged", "float32")
    torch.testing.assert_close(logits(str(tmp_path / "merged")), after, atol=1e-4, rtol=1e-4)
    tokenizer, model = read_tokenizer(Path(trained.base)), load_model(trained)
    ids = torch.tensor([encode_prompt(tokenizer, ASKED)])
    said = model.generate(ids, max_new_tokens=4, do_sample=False, attention_mask=ids * 0 + 1)
    assert said.shape[1] > ids.shape[1]
