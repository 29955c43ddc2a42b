"""Every family through template, packing, one step, merge and generation: none is skipped."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from llamaduo.deployment.bundle import Generation
from llamaduo.errors import ModelError
from llamaduo.finetuning.adapter import checkpoint_in
from llamaduo.finetuning.merge import merge
from llamaduo.finetuning.models.model_folder import read_tokenizer
from llamaduo.finetuning.training.loading import is_flat
from llamaduo.finetuning.training.packing import IGNORED, example, rows_of
from llamaduo.finetuning.training.work import carry_out
from llamaduo.inference.engine import TransformersEngine
from llamaduo.inference.llamacpp import load_gguf, rendered, tokenized
from llamaduo.inference.loading import load_model
from llamaduo.inference.stepping import end_tokens
from llamaduo.records import Checkpoint, Message, silent
from llamaduo.serving.asking import parse, read
from llamaduo.serving.served import Served
from llamaduo.tasks.chat import encode_pair, encode_prompt
from llamaduo.tasks.chat_templates import steady
from tests.families import FAMILIES, build_family
from tests.finetuning.made import checkpoint_of, tickets
from tests.finetuning.recipes.examples import encoded, job, loaded
from tests.serving.made import merged_bundle

ASKED = (Message("user", "Parcel lost."),)
TALK = (*ASKED, Message("assistant", "shipping, low"), Message("user", "And my money?"))
LONGER = (*TALK, Message("assistant", "billing, low"), Message("user", "All  12 of it, now!"))
SYSTEM = Message("system", "You triage.")


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


@pytest.mark.parametrize("system", [(), (SYSTEM,)], ids=["plain", "system"])
def test_the_loss_on_all_responses_finds_each_of_them(
    family: str, base: Checkpoint, system: tuple[Message, ...]
) -> None:
    kind, tokenizer = FAMILIES[family], read_tokenizer(Path(base.base))
    talk = (*system, *LONGER)
    last = encode_pair(tokenizer, talk, "billing, high")
    assert last.earlier == ()
    if kind.last_only or (system and kind.system_moves):
        with pytest.raises(ModelError, match="earlier response") as caught:
            encode_pair(tokenizer, talk, "billing, high", loss_on="all")
        assert "loss_on: last" in caught.value.hint
        return
    pair = encode_pair(tokenizer, talk, "billing, high", loss_on="all")
    assert (pair.prompt, pair.response) == (last.prompt, last.response)
    shared = kind.after if kind.after == "\n" else kind.after[:1]
    earlier = [pair.prompt[begin:end] for begin, end in pair.earlier]
    assert [tokenizer.decode(answer) for answer in earlier] == [
        f"{kind.space}{answer}{kind.ends}{shared}" for answer in ("shipping, low", "billing, low")
    ]
    learned = [token for token in example(pair)["labels"] if token != IGNORED]
    assert learned == [*earlier[0], *earlier[1], *pair.response]


def test_a_system_prompt_comes_before_the_users_words(family: str, base: Checkpoint) -> None:
    tokenizer = read_tokenizer(Path(base.base))
    prompt = tokenizer.decode(encode_prompt(tokenizer, (SYSTEM, *ASKED)))
    assert prompt.count("You triage.") == prompt.count("Parcel lost.") == 1
    assert prompt.index("You triage.") < prompt.index("Parcel lost.")
    if family.startswith("gemma"):  # whose first two generations have no place for one
        assert "<start_of_turn>user\nYou triage.\n\nParcel lost.<end_of_turn>" in prompt


def test_a_prompt_is_the_same_tokens_wherever_it_is_read(family: str, tmp_path: Path) -> None:
    """In training, inference, serving, from the GGUF file alone, and by transformers alone."""
    pytest.importorskip("xllamacpp")
    base = checkpoint_of(build_family(family, tmp_path / "model", llama=True))
    tokenizer, engine = read_tokenizer(Path(base.base)), TransformersEngine(base)
    bundle = merged_bundle(Path(base.base), tmp_path / "bundle", gguf=True)
    packed = read_tokenizer(bundle)
    with closing(load_gguf(bundle / "model-F16.gguf", window=256, threads=1)) as server:
        for chat in [(*system, *talk) for system in ((), (SYSTEM,)) for talk in (ASKED, LONGER)]:
            body = [{"role": message.role, "content": message.content} for message in chat]
            trained = encode_pair(tokenizer, chat, "billing, high").prompt
            assert engine.encode(chat) == trained
            assert served_tokens(packed, body) == trained
            assert tokenized(server, rendered(server, chat)) == trained
            alone = packed.apply_chat_template(body, add_generation_prompt=True)
            assert tuple(alone["input_ids"]) == trained


def served_tokens(tokenizer: Any, messages: list[dict[str, str]]) -> tuple[int, ...]:
    """The prompt that a request to a server of this tokenizer becomes."""
    defaults = Generation(temperature=0.0, top_p=1.0, max_new_tokens=8)
    wish = read(parse(json.dumps({"model": "m", "messages": messages}).encode()), defaults)
    served: Any = Served("m", defaults, 256, tokenizer, engine=None)  # type: ignore[arg-type]
    return tuple(served.job(wish).tokens)


def test_the_template_that_travels_with_the_model_is_steady(family: str, base: Checkpoint) -> None:
    template = read_tokenizer(Path(base.base)).chat_template
    assert template == steady(template)
    assert "strftime_now(" not in template
    changed = {"llama-3", "qwen-3", "gemma", "gemma-2"}
    assert (base.base != base.model) == (family in changed)


def test_packed_rows_are_separate_forwards(family: str, base: Checkpoint, tmp_path: Path) -> None:
    from tests.finetuning.training.test_packing import together_and_apart

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
