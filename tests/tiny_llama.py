"""A Llama of a few hundred thousand random weights, for tests that need a real model folder.

It is a model like any other to transformers, peft and TRL (safetensors, byte-level BPE, ChatML
template), only small: built in well under a second, trained in milliseconds a step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_TEXT = (
    "system user assistant category priority billing shipping account technical low normal high",
    "The parcel has not arrived and nobody answers the phone.",
    "Please change my password; the link in the mail does not work.",
    "I was charged twice for the same order and want my money back.",
    '{"category": "billing", "priority": "high"} is what the answer looks like.',
)


def build_tiny_llama(folder: Path, *, seed: int = 0, window: int = 256) -> Path:
    """Write a tiny random Llama with its tokenizer into ``folder`` and return ``folder``.

    ``window`` is the number of tokens it can attend to. The same ``seed`` gives the same
    weights, whatever was drawn from torch's generator before.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizer_of(
        window,
        specials=_SPECIALS,
        eos_token=_SPECIALS[2],
        pad_token=_SPECIALS[0],
        chat_template=CHAT_TEMPLATE,
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tokenizer_of(window: int, *, specials: list[str], **options: Any) -> Any:
    """A byte-level tokenizer that was trained on a few sentences and knows ``specials``."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_TEXT, trainer)
    untyped: Any = PreTrainedTokenizerFast
    return untyped(
        tokenizer_object=bpe,
        model_max_length=window,
        clean_up_tokenization_spaces=False,
        **options,
    )
