"""The families that people fine-tune, tiny and random: each architecture, a tokenizer with its
special tokens, and a chat template that writes its format as its makers document it.

The templates are written here, from the documented formats, and not taken from the models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.tiny_llama import CHAT_TEMPLATE, tokenizer_of

_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,  # so large that an answer depends on every part of the model
}
_NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
)

LLAMA3 = (
    "{{ bos_token }}"
    "{% if not date_string is defined %}{% if strftime_now is defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}{% else %}"
    "{% set date_string = '26 Jul 2024' %}{% endif %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string }}"
    "{% if messages[0]['role'] == 'system' %}{{ '\n\n' + messages[0]['content'] }}"
    "{% set messages = messages[1:] %}{% endif %}{{ '<|eot_id|>' }}"
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set system = messages[0]['content'] + '\n\n' %}{% set messages = messages[1:] %}"
    "{% else %}{% set system = '' %}{% endif %}"
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + (system if loop.last else '') + message['content'] + '[/INST]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}" + _NO_SYSTEM + "{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n'"
    " + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
GEMMA3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set first = messages[0]['content'] + '\n\n' %}{% set messages = messages[1:] %}"
    "{% else %}{% set first = '' %}{% endif %}{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n'"
    " + (first if loop.first else '') + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
QWEN3 = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' and loop.last %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
PHI3 = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Family:
    """How models of one family are built, and how they write a turn."""

    config: str
    template: str
    ends: str
    """What the model says when its turn is over."""
    after: str = ""
    """What the template writes behind that at the end of a conversation."""
    bos: str | None = None
    eos: str | None = None
    """Where it is not what ends a turn."""
    marks: tuple[str, ...] = ()
    """Its other special tokens."""
    space: str = ""
    """What stands between prompt and response."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    last_only: bool = False
    """Its template rewrites earlier responses once the conversation goes on."""
    system_moves: bool = False
    """Its template writes the system prompt into the last turn, wherever that is."""


def _gemma(config: str, template: str, **settings: int) -> Family:
    return Family(
        config,
        template,
        "<end_of_turn>",
        "\n",
        bos="<bos>",
        eos="<eos>",
        marks=("<start_of_turn>",),
        settings={"head_dim": 8, **settings},
    )


_IM = ("<|im_start|>",)
FAMILIES: dict[str, Family] = {
    "llama-3": Family(
        "LlamaConfig",
        LLAMA3,
        "<|eot_id|>",
        bos="<|begin_of_text|>",
        eos="<|end_of_text|>",
        marks=("<|start_header_id|>", "<|end_header_id|>"),
        settings={"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}},
    ),
    "mistral": Family(
        "MistralConfig",
        MISTRAL,
        "</s>",
        bos="<s>",
        marks=("[INST]", "[/INST]"),
        space=" ",
        settings={"sliding_window": 32},
        system_moves=True,
    ),
    "gemma": _gemma("GemmaConfig", GEMMA),
    "gemma-2": _gemma("Gemma2Config", GEMMA, sliding_window=32, query_pre_attn_scalar=8),
    "gemma-3": _gemma("Gemma3TextConfig", GEMMA3, sliding_window=32, query_pre_attn_scalar=8),
    "qwen-2": Family(
        "Qwen2Config", CHAT_TEMPLATE, "<|im_end|>", "\n", marks=_IM, eos="<|endoftext|>"
    ),
    "qwen-3": Family(
        "Qwen3Config",
        QWEN3,
        "<|im_end|>",
        "\n",
        marks=(*_IM, "<think>", "</think>"),
        eos="<|endoftext|>",
        settings={"head_dim": 8},
        last_only=True,
    ),
    "phi-3": Family(
        "Phi3Config",
        PHI3,
        "<|end|>",
        "\n<|endoftext|>",
        eos="<|endoftext|>",
        marks=("<|system|>", "<|user|>", "<|assistant|>"),
        settings={"num_key_value_heads": 4},
    ),
}


def build_family(name: str, folder: Path, *, llama: bool = False) -> Path:
    """Write a tiny random model of the family ``name`` into ``folder``, and return it.

    ``llama``: a Llama that reads and writes turns as the family does.
    """
    import torch
    import transformers
    from transformers import AutoModelForCausalLM

    family = FAMILIES[name]
    ends = family.eos or family.ends
    specials = dict.fromkeys(filter(None, (ends, family.bos, family.ends, *family.marks)))
    tokenizer = tokenizer_of(
        256,
        specials=list(specials),
        eos_token=ends,
        pad_token=ends,
        bos_token=family.bos,
        chat_template=family.template,
    )
    settings = _SMALL if llama else _SMALL | dict(family.settings)
    config = getattr(transformers, "LlamaConfig" if llama else family.config)(
        vocab_size=len(tokenizer) + 3,  # rounded up, as many are
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **settings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
