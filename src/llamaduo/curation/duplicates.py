"""Step 1 of ψ: exact duplicates.

The same prompt again, up to white space, case and the spelling of characters. The same prompt
with another response is dropped too: at best it adds nothing, at worst it contradicts what the
local LLM is taught. The pair that came first stays.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.objection import Objection
from llamaduo.records import Pair


def same_prompts(pairs: Iterable[Pair]) -> NDArray[np.int64]:
    """A number for each pair, equal where prompts are the same."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(_prompt(pair), len(numbers)) for pair in pairs], np.int64)


def same_prompt(pair: Pair, other: Pair) -> Objection:
    """Why ``pair`` is dropped, which has the prompt of ``other``."""
    if normalised(other.response) == normalised(pair.response):
        return Objection("same prompt and response as another pair", other.id)
    return Objection("same prompt as another pair, other response", other.id)


def normalised(text: str) -> str:
    """``text`` in compatible characters and lower case, its white space single spaces."""
    if text.isascii():  # compatible as it is
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _prompt(pair: Pair) -> bytes:
    """A digest of the prompt: a million prompts themselves would be kept otherwise. No role and
    no normalised text has a line end in it, so nothing runs together."""
    parts = (part for m in pair.messages for part in (m.role, normalised(m.content)))
    text = "\n".join(parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
