"""The folder that takes a model's place: a steady template, and ChatML for base models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from llamaduo.errors import ModelError
from llamaduo.finetuning.adapter import checkpoint_in
from llamaduo.finetuning.merge import merge
from llamaduo.finetuning.models.model_folder import check_model_folder, read_tokenizer
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.models.trained_tokens import trained_tokens
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.finetuning.training.work import carry_out
from llamaduo.inference.loading import load_adapters, load_model
from llamaduo.inference.stepping import end_tokens
from llamaduo.records import Checkpoint, Message, silent
from llamaduo.tasks.chat import encode_pair, encode_prompt
from tests.families import build_family
from tests.finetuning.made import tickets
from tests.finetuning.recipes.examples import encoded, job
from tests.llamas import edit

ASKED = (Message("user", "Parcel lost."),)


def prepared(folder: Path, cache: Path) -> Checkpoint:
    return obtain(LocalSettings(model=str(folder)), cache)


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([[5, 9, 44, 120, 7]])).logits  # type: ignore[no-any-return]


# --- a template that asks for the date --------------------------------------------------------


def test_the_prompt_is_the_same_on_every_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_family("llama-3", tmp_path / "m")
    base = prepared(folder, tmp_path / "cache")
    tokenizer = read_tokenizer(Path(base.base))
    prompt = encode_prompt(tokenizer, ASKED)
    assert "Today Date: 26 Jul 2024" in tokenizer.decode(prompt)
    # Whoever renders the packed template gets the same, with or without our code.
    theirs = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Parcel lost."}], add_generation_prompt=True
    )
    assert tuple(theirs["input_ids"]) == prompt
    assert encode_prompt(read_tokenizer(folder), ASKED) == prompt


def test_all_else_is_the_model_itself(tmp_path: Path) -> None:
    folder = build_family("llama-3", tmp_path / "m")
    base = prepared(folder, tmp_path / "cache")
    place = Path(base.base)
    assert (place / "model.safetensors").resolve() == folder / "model.safetensors"
    assert {p.name for p in place.iterdir()} == {p.name for p in folder.iterdir()}
    assert "strftime_now(" in (folder / "chat_template.jinja").read_text()  # it stays theirs
    torch.testing.assert_close(
        logits(load_model(base)),
        logits(load_model(Checkpoint(model="", base=str(folder), window=9))),
    )


def test_what_is_there_is_used_and_what_is_broken_is_made_anew(tmp_path: Path) -> None:
    folder, cache = build_family("llama-3", tmp_path / "m"), tmp_path / "cache"
    first = prepared(folder, cache)
    written = (Path(first.base) / "chat_template.jinja").stat().st_mtime_ns
    assert prepared(folder, cache) == first
    assert (Path(first.base) / "chat_template.jinja").stat().st_mtime_ns == written
    moved = Path(shutil.move(folder, tmp_path / "elsewhere"))
    again = prepared(moved, cache)
    assert (again.base, again.fingerprint) == (first.base, first.fingerprint)
    assert logits(load_model(again)).isfinite().all()


def test_a_model_that_needs_nothing_is_used_as_it_is(tiny_folder: Path, tmp_path: Path) -> None:
    assert prepared(tiny_folder, tmp_path / "cache").base == str(tiny_folder)
    assert not (tmp_path / "cache").exists()


# --- templates that cannot be used as they are ------------------------------------------------


@pytest.fixture
def spoilt(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of a model, to give it another template."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_of_several_templates_the_default_one_is_used(spoilt: Path, tmp_path: Path) -> None:
    default = spoilt / "chat_template.jinja"
    known = read_tokenizer(spoilt)
    (spoilt / "additional_chat_templates").mkdir()
    shutil.copyfile(default, spoilt / "additional_chat_templates" / "tool_use.jinja")
    base = prepared(spoilt, tmp_path / "cache")
    tokenizer = read_tokenizer(Path(base.base))
    assert tokenizer.chat_template == known.chat_template  # a text: what a bundle can hold
    assert encode_prompt(tokenizer, ASKED) == encode_prompt(known, ASKED)
    default.unlink()
    with pytest.raises(ModelError, match=r"several chat templates \(tool_use\)") as caught:
        prepared(spoilt, tmp_path / "cache")
    assert "chat_template.jinja" in caught.value.hint


def test_a_template_that_ends_no_response_is_refused(spoilt: Path, tmp_path: Path) -> None:
    (spoilt / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    with pytest.raises(ModelError, match="no special token behind a response") as caught:
        prepared(spoilt, tmp_path / "cache")
    assert "eos_token" in caught.value.hint


# --- a base model without a template ----------------------------------------------------------


@pytest.fixture(params=["mistral", "gemma", "qwen-2", "phi-3"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A base model: no template, and ChatML's tokens in Qwen's vocabulary alone."""
    folder = build_family(request.param, tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    return folder


def test_a_base_model_gets_chatml(plain: Path, tmp_path: Path) -> None:
    base = prepared(plain, tmp_path / "cache")
    tokenizer = read_tokenizer(Path(base.base))
    pair = encode_pair(tokenizer, ASKED, "shipping, high")
    begins, ends = trained_tokens(Path(base.base))
    assert tokenizer.decode([*pair.prompt, *pair.response]) == (
        "<|im_start|>user\nParcel lost.<|im_end|>\n<|im_start|>assistant\n"
        "shipping, high<|im_end|>\n"
    )
    assert (pair.prompt.count(begins), pair.prompt.count(ends), pair.response.count(ends)) == (
        2,
        1,
        1,
    )
    assert tokenizer.eos_token_id == ends
    assert check_model_folder(Path(base.base)) == base.window
    model = load_model(base)
    assert ends in end_tokens(model, tokenizer)
    assert ends in model.generation_config.eos_token_id
    original = load_model(Checkpoint(model="", base=str(plain), window=9))
    known = original.config.vocab_size
    torch.testing.assert_close(logits(model)[..., :known], logits(original))


def test_rows_are_added_where_the_model_has_none(tmp_path: Path) -> None:
    folder = build_family("mistral", tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    # Three rows are spare in these models: take them away.
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(rows - 3)
    model.save_pretrained(folder)
    base = prepared(folder, tmp_path / "cache")
    begins, ends = trained_tokens(Path(base.base))
    assert (begins, ends) == (rows - 3, rows - 2)
    weights = load_file(Path(base.base) / "model.safetensors")
    old_end = read_tokenizer(folder).eos_token_id
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert weights[name].shape[0] == rows - 1
        assert torch.equal(weights[name][begins], weights[name][old_end])
    assert load_file(folder / "model.safetensors")["lm_head.weight"].shape[0] == rows - 3
    assert logits(load_model(base)).shape[-1] == rows - 1


def test_the_tokens_are_trained_saved_merged_and_served(plain: Path, tmp_path: Path) -> None:
    base = prepared(plain, tmp_path / "cache")
    pairs = encoded(base, tickets(6).pairs)
    work = job(base, pairs, tmp_path / "c", warmup=0.0, epochs=3.0, learning_rate=0.02)
    carry_out(work, silent)
    trained = checkpoint_in(Path(work.into), base, 0)
    saved = load_file(Path(work.into) / "adapter_model.safetensors")
    rows = [tensor for name, tensor in saved.items() if "trainable_tokens" in name]
    assert rows
    assert all(tensor.shape[0] == 2 for tensor in rows)
    beside, merged = load_model(trained, as_trained=True), load_model(trained)
    torch.testing.assert_close(logits(merged), logits(beside), atol=1e-4, rtol=1e-4)
    merge(trained, tmp_path / "whole", "float32")
    before = load_model(base).get_input_embeddings().weight
    after = load_file(tmp_path / "whole" / "model.safetensors")["model.embed_tokens.weight"]
    changed = (after != before).any(dim=1).nonzero().flatten().tolist()
    assert changed == sorted(trained_tokens(Path(base.base)))
    served = load_adapters(base, {"adapter0": Path(work.into)})
    served.set_adapter("adapter0", inference_mode=True)
    torch.testing.assert_close(logits(served), logits(beside), atol=1e-4, rtol=1e-4)
    # And it is gone on with.
    further = job(trained, pairs, tmp_path / "d", warmup=0.0)
    carry_out(further, silent)
    assert checkpoint_in(Path(further.into), trained, 1).base == base.base


@pytest.mark.parametrize("name", ["tiny-Instruct", "gemma-it", "Llama_chat", "instruct.v2"])
def test_a_chat_model_that_lost_its_template_is_refused(
    tiny_folder: Path, tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / name))
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template") as caught:
        prepared(folder, tmp_path / "cache")
    assert "chat_template.jinja" in caught.value.hint


def test_a_vocabulary_that_disagrees_with_the_model_is_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["added_tokens"].append(content["added_tokens"][0] | {"id": 999, "content": "<new>"})
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="tokenizer and the model disagree"):
        prepared(folder, tmp_path / "cache")
    shutil.copyfile(tiny_folder / "tokenizer.json", path)
    edit(folder / "config.json", vocab_size=600)
    with pytest.raises(ModelError, match=r"423 rows of embeddings, config.json says 600"):
        prepared(folder, tmp_path / "cache")
