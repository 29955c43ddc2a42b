"""A model that answers every prompt with one text: its weights are made to."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.serving.made import WINDOW, merged_bundle
from tests.tiny_llama import build_tiny_llama


def writing_bundle(folder: Path, text: str) -> Path:
    """A bundle called ``writes`` of a Llama that says ``text``, each token at most once, and ends.

    Its layers add nothing, so the next token follows from the last one alone: the output row of
    each token is the input row of the one before it.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shutil.rmtree(folder, ignore_errors=True)
    base = build_tiny_llama(folder / "base", window=WINDOW)
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": ""}], add_generation_prompt=True, tokenize=False
    )
    last = tokenizer(rendered)["input_ids"][-1]
    chain = [last, *tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    assert len(set(chain)) == len(chain)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.config.tie_word_embeddings = False
        head = torch.nn.Linear(64, model.config.vocab_size, bias=False)
        head.weight.zero_()
        rows = torch.nn.functional.normalize(model.model.embed_tokens.weight, dim=-1)
        for before, after in pairwise(chain):
            head.weight[after] = 10 * rows[before]
        model.lm_head = head
    model.save_pretrained(base)
    return merged_bundle(base, folder / "bundle", "writes")
