"""How many tokens a text has, roughly, where no tokenizer of the service LLM is at hand.

The weights were fitted to OpenAI's o200k. Against it the count of English prose, program text
and JSON is within 3 %, of 17 other languages mostly within 25 % and within 35 % at worst. Older
tokenizers take up to four times as many tokens for text that is not in Latin letters.
"""

from __future__ import annotations

import re

_PARTS = re.compile(
    r"(?P<plain>[A-Za-z]+(?![A-Za-zÀ-ɏḀ-ỿ]))"
    r"|(?P<accented>[A-Za-zÀ-ɏḀ-ỿ]+)"
    r"|(?P<number>\d+)"
    r"|(?P<dense>[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+)"
    r"|(?P<hangul>[\u1100-\u11ff\uac00-\ud7af]+)"
    r"|(?P<other>(?:[^\W\d_]|[\u0300-\u036f\u0900-\u0eff])+)"
    r"|(?P<lines>[ \t\r]*\n\s*)"
    r"|(?P<marks>[^\w\s]+|_+)"
)
_WEIGHTS = {  # tokens of one part: a + b · characters beyond the first c
    "plain": (1.0, 0.13, 6),
    "accented": (1.0, 0.3, 2),
    "number": (1.0, 0.34, 3),
    "dense": (0.3, 0.7, 1),
    "hangul": (0.8, 0.65, 1),
    "other": (1.0, 0.33, 4),
    "lines": (0.6, 0.0, 0),
    "marks": (0.8, 0.45, 1),
}


def approximate_tokens(text: str) -> int:
    """About how many tokens a service LLM counts in ``text``."""
    total = 0.0
    for part in _PARTS.finditer(text):
        first, further, free = _WEIGHTS[part.lastgroup or "marks"]
        total += first + further * max(0, len(part[0]) - free)
    return round(total)
