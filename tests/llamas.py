"""Tiny Llamas of several kinds, for what must hold of each: tokenizers, positions, storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.tiny_llama import CHAT_TEMPLATE, build_tiny_llama

LLAMA3_TEMPLATE = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_DIGITS = {"type": "Digits", "individual_digits": True}
_LLAMA3_SPLIT = {
    "type": "Split",
    "pattern": {
        "Regex": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    },
    "behavior": "Isolated",
    "invert": False,
}
PRE_TOKENIZERS: dict[str, tuple[dict[str, Any], bool]] = {
    "gpt-2": (_BYTE_LEVEL | {"use_regex": True}, False),
    "smollm": (
        {"type": "Sequence", "pretokenizers": [_DIGITS, _BYTE_LEVEL | {"use_regex": True}]},
        False,
    ),
    "llama-bpe": (
        {"type": "Sequence", "pretokenizers": [_LLAMA3_SPLIT, _BYTE_LEVEL | {"use_regex": False}]},
        True,
    ),
    "smaug-bpe": (
        {"type": "Sequence", "pretokenizers": [_LLAMA3_SPLIT, _BYTE_LEVEL | {"use_regex": False}]},
        False,
    ),
}
"""llama.cpp's name, the pre-tokenizer that it stands for, and whether merges are ignored."""


LARGE = {"initializer_range": 0.1}
"""Weights so large that an answer depends on every part of the model."""


def build_llama(folder: Path, pre: str = "gpt-2", **config: Any) -> Path:
    """A tiny Llama with the tokenizer that llama.cpp calls ``pre`` and these settings."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    from llamaduo.tasks.quiet import quiet

    with quiet(logging):
        build_tiny_llama(folder)
        split, ignores = PRE_TOKENIZERS[pre]
        edit(folder / "tokenizer.json", pre_tokenizer=split)
        edit(folder / "tokenizer.json", "model", ignore_merges=ignores)
        settings = LlamaConfig.from_pretrained(folder).to_dict() | LARGE | config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            LlamaForCausalLM(LlamaConfig(**settings)).save_pretrained(folder)
    return folder


def build_llama3(folder: Path, **config: Any) -> Path:
    """A tiny Llama that begins texts and ends turns as Llama 3 does, with its chat template."""
    build_llama(folder, "llama-bpe", **config)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    renamed = dict(
        zip(
            ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            ["<|end_of_text|>", "<|begin_of_text|>", "<|eot_id|>"],
            strict=True,
        )
    )
    tokenizer["model"]["vocab"] = {renamed.get(t, t): i for t, i in vocabulary.items()}
    for token in tokenizer["added_tokens"]:
        token["content"] = renamed[token["content"]]
    headers = ["<|start_header_id|>", "<|end_header_id|>"]
    size = len(vocabulary)
    tokenizer["added_tokens"] += [
        tokenizer["added_tokens"][0] | {"id": size + i, "content": text}
        for i, text in enumerate(headers)
    ]
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            "<|begin_of_text|>": {
                "id": "<|begin_of_text|>",
                "ids": [1],
                "tokens": ["<|begin_of_text|>"],
            }
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "chat_template.jinja").write_text(LLAMA3_TEMPLATE)
    names = {"bos": "<|begin_of_text|>", "eos": "<|end_of_text|>", "pad": "<|end_of_text|>"}
    edit(folder / "tokenizer_config.json", **{f"{key}_token": text for key, text in names.items()})
    edit(folder / "config.json", bos_token_id=1, eos_token_id=0, pad_token_id=0)
    edit(folder / "generation_config.json", bos_token_id=1, eos_token_id=[0, 2], pad_token_id=0)
    return folder


def edit(path: Path, *within: str, **changes: Any) -> None:
    """Change entries of a JSON file; None takes one out."""
    content = json.loads(path.read_text(encoding="utf-8"))
    place = content
    for key in within:
        place = place[key]
    place.update(changes)
    for key in [key for key, value in changes.items() if value is None]:
        del place[key]
    path.write_text(json.dumps(content), encoding="utf-8")


__all__ = [
    "CHAT_TEMPLATE",
    "LLAMA3_TEMPLATE",
    "PRE_TOKENIZERS",
    "build_llama",
    "build_llama3",
    "edit",
]
