"""How a tokenizer splits text before its merges, under the name that llama.cpp has for it.

GGUF does not store this, only the name of one of the ways that llama.cpp has built in. What is
not exactly one of them would come out as other tokens than the model was trained on, silently,
so it is refused. Compared over every character up to U+2FFFF, in words, between digits and
among spaces, the ways below give the tokens that tokenizers gives, except for letters and
digits that Unicode added in 2024 or later, which the two know from different versions of it
(and, after Llama 3's way, for a long s that follows an apostrophe).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from llamaduo.errors import ExportUnsupported

OTHERWISE = (
    "Set deployment.converter to a llama.cpp checkout, whose converter knows more models, or"
    " leave GGUF out of deployment.gguf."
)

_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT2 = [("ByteLevel", True)]
_SMOLLM = [("Digits", True), *_GPT2]
_LLAMA3 = [("Split", _LLAMA3_SPLIT), ("ByteLevel", False)]
_PLAIN_CLASSES = (  # transformers takes tokenizer.json as it is
    "LlamaTokenizer",
    "LlamaTokenizerFast",
    "PreTrainedTokenizerFast",
    "TokenizersBackend",
    "",
)
_GPT2_CLASSES = ("GPT2Tokenizer", "GPT2TokenizerFast")


def splitting(
    model: Path,
    tokenizer: Mapping[str, Any],
    config: Mapping[str, Any],
) -> str:
    """llama.cpp's name for the way that transformers splits text with this tokenizer.

    Args:
        model: its folder, for messages.
        tokenizer: its ``tokenizer.json``.
        config: its ``tokenizer_config.json``.

    Raises:
        ExportUnsupported: llama.cpp has no such way.
    """
    ignores_merges = bool(tokenizer["model"].get("ignore_merges"))
    kind = config.get("tokenizer_class") or ""
    steps = list(_steps(tokenizer.get("pre_tokenizer") or {}))
    if config.get("add_prefix_space"):
        raise refused(model, "it puts a space before every text")
    if kind in _GPT2_CLASSES:
        # transformers 5 gives these GPT-2's own splitting, whatever tokenizer.json says: so the
        # model was fine-tuned with that, and so it is served.
        steps = list(_GPT2)
    elif kind not in _PLAIN_CLASSES:
        raise refused(model, f"transformers loads it as {kind}, which may split text its own way")
    known = {
        ("gpt-2", False): _GPT2,
        ("smollm", False): _SMOLLM,
        ("llama-bpe", True): _LLAMA3,
        ("smaug-bpe", False): _LLAMA3,  # the same, but merges are always gone through
    }
    for (name, ignores), expected in known.items():
        if steps == expected and ignores == ignores_merges:
            return name
    described = ", ".join(name for name, _ in steps) or "none"
    merges = " with ignore_merges" if ignores_merges else ""
    raise refused(model, f"llama.cpp has no pre-tokenizer like its own ({described}{merges})")


def _steps(entry: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The pre-tokenizer's steps, each with the one setting that tells it from its like."""
    kind = str(entry.get("type"))
    if kind == "Sequence":
        for step in entry.get("pretokenizers") or ():
            yield from _steps(step)
    elif kind == "ByteLevel" and not entry.get("add_prefix_space"):
        yield kind, entry.get("use_regex", True)
    elif kind == "Digits":
        yield kind, entry.get("individual_digits")
    elif kind == "Split" and entry.get("behavior") == "Isolated" and not entry.get("invert"):
        yield kind, (entry.get("pattern") or {}).get("Regex")
    elif entry:
        yield kind, None


def refused(model: Path, reason: str) -> ExportUnsupported:
    """The error that says why this tokenizer is not covered."""
    return ExportUnsupported(
        f"The tokenizer of {model} cannot be written to GGUF: {reason}.", hint=OTHERWISE
    )
