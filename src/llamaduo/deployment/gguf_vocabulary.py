"""A byte-level BPE tokenizer as GGUF holds it: tokens, merges, and what begins and ends a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.deployment.chat_template import ChatTemplate, read_chat, token_text
from llamaduo.deployment.gguf_splitting import refused, splitting
from llamaduo.deployment.model_files import read_json
from llamaduo.errors import ModelError

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # GGUF's token types

_NEVER_MEANT = frozenset(
    {*range(0x20), 0x7F, 0xC0, 0xC1, 0xF1, 0xF2, *range(0xF5, 0x100)} - {*b"\t\n\r"}
)
"""Control characters, and bytes of which UTF-8 makes no assigned character. A vocabulary may
lack them (SmolLM2's does): tokenizers and llama.cpp both drop them then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """``tokens[i]`` is the text of token i and ``types[i]`` its kind; ``merges`` are by rank.

    ``pre`` is llama.cpp's name for how text is split before the merges. ``ends`` are the tokens
    that end an answer: the tokenizer's end of text first, then the end of a turn, then others.
    ``adds_bos`` is whether llama.cpp is to begin every prompt with ``bos``.
    """

    pre: str
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]
    bos: int | None
    ends: tuple[int, ...]
    pad: int | None
    adds_bos: bool


def read_vocabulary(model: Path, size: int) -> Vocabulary:
    """The tokenizer of the model folder ``model``, whose embedding has ``size`` rows.

    Raises:
        ExportUnsupported: the tokenizer does what GGUF cannot hold; the message says what.
        ModelError: a file of the tokenizer is not JSON, or no tokenizer.
    """
    tokenizer = read_json(model / "tokenizer.json")
    if not tokenizer:
        raise refused(model, "it has no tokenizer.json")
    try:
        return _vocabulary(model, tokenizer, read_json(model / "tokenizer_config.json"), size)
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{model / 'tokenizer.json'} is not a tokenizer: {error!r}.",
            hint="Use the tokenizer.json that belongs to this model.",
        ) from error


def _vocabulary(
    model: Path, tokenizer: Mapping[str, Any], config: Mapping[str, Any], size: int
) -> Vocabulary:
    bpe = tokenizer.get("model") or {}
    for reason in _reasons(tokenizer, bpe):
        raise refused(model, reason)
    pre = splitting(model, tokenizer, config)
    ids = bpe["vocab"] | {token["content"]: token["id"] for token in _added(tokenizer)}
    tokens, types = _tokens(model, ids, _added(tokenizer), size)
    chat = read_chat(model)
    if chat.bos is None and chat.text and "bos_token" in chat.text:
        raise refused(model, "its chat template names bos_token, which its tokenizer lacks")
    return Vocabulary(
        pre=pre,
        tokens=tokens,
        types=types,
        merges=tuple(_merges(bpe["merges"])),
        bos=ids.get(chat.bos or ""),
        ends=_ends(model, ids, (chat.eos, chat.end_of_turn())),
        pad=ids.get(token_text(config.get("pad_token")) or ""),
        adds_bos=adds_bos(model, chat),
    )


def adds_bos(model: Path, chat: ChatTemplate) -> bool:
    """Whether llama.cpp is to put the token that begins a text before every prompt.

    As the tokenizer's post-processor does it, but not against the chat template, which prompts
    come from: where that writes the token itself, llama.cpp takes the two for one; where it
    does not, the model was trained without.
    """
    if not _begins(read_json(model / "tokenizer.json"), chat.bos):
        return False
    return chat.text is None or chat.begins_with_bos()


def _reasons(tokenizer: Mapping[str, Any], bpe: Mapping[str, Any]) -> Iterable[str]:
    """What this tokenizer does, beside splitting text, that GGUF has no place for."""
    if bpe.get("type") != "BPE":
        yield f"it is {bpe.get('type') or 'of an unknown kind'}, not byte-level BPE"
        return
    if tokenizer.get("normalizer"):
        yield f"it normalizes text first ({tokenizer['normalizer'].get('type')})"
    if bpe.get("dropout") or bpe.get("byte_fallback"):
        yield "its merges are not plain byte-level BPE (dropout or byte fallback)"
    if bpe.get("continuing_subword_prefix") or bpe.get("end_of_word_suffix"):
        yield "its tokens carry prefixes or suffixes of words"
    lacking = {byte for byte, shown in _byte_alphabet().items() if shown not in bpe["vocab"]}
    if lacking := lacking - _NEVER_MEANT:
        yield f"its vocabulary lacks {len(lacking)} bytes that occur in text"
    added = _added(tokenizer)
    for token in added:
        if token.get("lstrip") or token.get("rstrip") or token.get("single_word"):
            yield f"{token['content']} is matched together with what is around it"
    if [token["id"] for token in added] != _numbered(added, bpe["vocab"]):
        yield "its added tokens are numbered otherwise than tokenizers numbers them"
    if overlap := _overlap([token["content"] for token in added]):
        yield f"of its added tokens, {overlap} can overlap in a text"


def _added(tokenizer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return tokenizer.get("added_tokens") or ()


def _numbered(added: Sequence[Mapping[str, Any]], vocabulary: Mapping[str, int]) -> list[int]:
    """The number that each added token gets when it is loaded, whatever the file says: its own
    in the vocabulary, or the next after all others."""
    numbers: list[int] = []
    for token in added:
        after = max([len(vocabulary) - 1, *numbers]) + 1
        numbers.append(vocabulary.get(token["content"], after))
    return numbers


def _overlap(contents: Sequence[str]) -> str | None:
    """Two tokens of which one can begin inside the other: llama.cpp looks for the longest first,
    tokenizers for the leftmost."""
    begins: dict[str, list[str]] = {}
    for text in contents:
        for n in range(1, len(text)):
            begins.setdefault(text[:n], []).append(text)
    for text in contents:
        for n in range(1, len(text)):
            for other in begins.get(text[n:], ()):
                if other != text:
                    return f"{text!r} and {other!r}"
    return None


def _tokens(
    model: Path, ids: Mapping[str, int], added: Sequence[Mapping[str, Any]], size: int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The text and kind of every row of the embedding, those that no token uses included."""
    if ids and max(ids.values()) >= size:
        raise refused(model, f"it has token {max(ids.values())}, the model only {size} rows")
    rows = [f"[PAD{i}]" for i in range(size)]
    types = [UNUSED] * size
    for text, i in ids.items():
        rows[i], types[i] = text, NORMAL
    for token in added:
        types[token["id"]] = CONTROL if token.get("special") else USER_DEFINED
    if len(set(rows)) < size or len(set(ids.values())) < len(ids):
        raise refused(model, "two of its tokens have the same text or the same number")
    return tuple(rows), tuple(types)


def _merges(merges: Sequence[Any]) -> Iterable[str]:
    """Each as ``first second``: tokenizers stores them so, or as pairs."""
    for merge in merges:
        yield merge if isinstance(merge, str) else " ".join(merge)


def _ends(model: Path, ids: Mapping[str, int], named: Sequence[str | None]) -> tuple[int, ...]:
    """The tokens that end an answer, as :mod:`llamaduo.inference` has them."""
    found: list[Any] = [ids.get(token or "") for token in named]
    for name in ("generation_config.json", "config.json"):
        configured = read_json(model / name).get("eos_token_id")
        found += configured if isinstance(configured, list) else [configured]
    ends = tuple(dict.fromkeys(end for end in found if isinstance(end, int)))
    if not ends:
        raise refused(model, "it has no token that ends a text")
    return ends


def _begins(tokenizer: Mapping[str, Any], bos: str | None) -> bool:
    """Whether the post-processor puts ``bos`` before a text."""
    processor = tokenizer.get("post_processor") or {}
    steps = processor.get("processors") if processor.get("type") == "Sequence" else [processor]
    templates = [step.get("single") or [{}] for step in steps or ()]
    return any(
        ((single[0].get("SpecialToken") or {}).get("id") == bos) for single in templates if bos
    )


def _byte_alphabet() -> dict[int, str]:
    """The character that stands for each byte in byte-level BPE (GPT-2's table)."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: chr(byte) for byte in shown} | {
        byte: chr(0x100 + n) for n, byte in enumerate(hidden)
    }
