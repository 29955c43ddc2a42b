"""The service's work on any task it does not know: it shuffles, and counts shared words.

What comes out has the outer form of the real thing (lengths, vocabulary, response format) and
no meaning. It exists so that a user's own configuration passes through every stage for nothing;
scores that rest on it say nothing about a model.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llamaduo.rehearsal.marks import Marks
from llamaduo.tasks.words import rouge_l, words

LABEL_WORDS: Final = 4
"""A response of at most so many words is taken for a label, and stays as it is."""
ANSWER_PIECES: Final = 12
_UNSPACED_PIECE: Final = 6
"""Characters of a piece in scripts that do not put spaces between words."""


def write_pairs(
    seeds: Sequence[Mapping[str, Any]], count: int, chance: random.Random
) -> list[dict[str, str]]:
    """``count`` pairs, each shuffled out of one seed and some words of another."""
    return [_new_pair(seeds, chance) for _ in range(count)]


def _new_pair(seeds: Sequence[Mapping[str, Any]], chance: random.Random) -> dict[str, str]:
    first, second = chance.choice(seeds), chance.choice(seeds)
    instruction = _shuffled(first["instruction"], second["instruction"], chance)
    if _keeps_its_form(first["response"]):
        return {"instruction": instruction, "response": first["response"]}
    response = _shuffled(first["response"], second["response"], chance)
    return {"instruction": instruction, "response": response}


def _keeps_its_form(response: str) -> bool:
    """Labels and JSON would not survive shuffling."""
    if len(response.split()) <= LABEL_WORDS:
        return True
    try:
        json.loads(response)
    except (ValueError, RecursionError):
        return False
    return True


def _shuffled(text: str, other: str, chance: random.Random) -> str:
    """Three quarters of ``text``'s pieces and a quarter of ``other``'s, in a new order."""
    pieces, more = _pieces(text), _pieces(other)
    taken = [
        *chance.sample(pieces, max(1, len(pieces) * 3 // 4) if pieces else 0),
        *chance.sample(more, len(more) // 4),
    ]
    chance.shuffle(taken)
    return " ".join(taken) or "(nothing to recombine)"


def _pieces(text: str) -> list[str]:
    """Runs of up to three words, or a few characters where words are not spaced."""
    pieces = re.findall(r"\S+(?:\s+\S+){0,2}", text)
    long = max((len(word) for word in text.split()), default=0)
    if long <= 10 * _UNSPACED_PIECE:
        return pieces
    return re.findall(rf"\S{{1,{_UNSPACED_PIECE}}}", text)


def mark_overlap(data: Mapping[str, Any]) -> Marks:
    """Marks by shared words alone.

    Similarity is ROUGE-L with the reference. Precision is the mean of the words' F1 with the
    reference and the share of the response's words that prompt or reference contain.
    """
    response, reference = words(data["response"]), words(data["reference"])
    known = set(reference) | set(words(data["instruction"]))
    on_topic = sum(word in known for word in response) / len(response) if response else 0.0
    return Marks(
        similarity=round(100 * rouge_l(response, reference)),
        similarity_reason="Rehearsal: longest common run of words with the reference.",
        precision=round(50 * (_f1(response, reference) + on_topic)),
        precision_reason="Rehearsal: words shared with the instruction and the reference.",
    )


def mark_alone(instruction: str, response: str) -> int:
    """The share of the response's words that the prompt contains, 0 to 100: what can be told
    where no reference is shown."""
    found, known = words(response), set(words(instruction))
    return round(100 * sum(word in known for word in found) / len(found)) if found else 0


def _f1(a: Sequence[str], b: Sequence[str]) -> float:
    """F1 of two bags of words, 0 to 1. 0 when either is empty."""
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b)) if shared else 0.0


def answer_plainly(prompt: str, chance: random.Random) -> str:
    """Some of the prompt's own words in another order, and a note on where they come from."""
    pieces = _pieces(prompt)
    taken = chance.sample(pieces, min(ANSWER_PIECES, len(pieces)))
    return " ".join(["Rehearsal answer, made of the prompt's words:", *taken])
