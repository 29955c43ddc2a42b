"""Closed sets of labels: which there are, and which one a text gives.

A text gives a label if it is that label, up to case, white space and closing punctuation; else
if that is the only label that stands in it as whole words. Nothing is guessed beyond that: "not
spam" gives *spam* where *not spam* is no label of its own, and *not spam* where it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from llamaduo.records import Pair
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.words import words

MOST_LABELS: Final = 30
"""References of more kinds than this are no closed set, unless the task says so."""
LONGEST_LABEL: Final = 60
"""Characters of the longest reference that is taken for a label."""
_REPEATS: Final = 2
"""How often a reference of a closed set comes back, on average."""
_CLOSING: Final = ".!?,;:…。！？；：，、"
_HYPHENS: Final = "-\u2010\u2011"
_HOLE: Final = "\0"


def label_set(task: TaskSettings, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """The labels of the task: as configured, else what the references of a classification are.

    References are taken for labels where they are few (30), short (60 characters) and come back
    (each twice, on average), in their most frequent spelling and in the order of the alphabet.
    Empty where there is no closed set.
    """
    if task.labels or task.kind != "classification":
        return task.labels
    spellings: dict[str, Counter[str]] = {}
    for pair in pairs:
        spelling = " ".join(pair.response.split())
        if not spelling or len(spelling) > LONGEST_LABEL:
            return ()
        spellings.setdefault(_plain(spelling).rstrip(_CLOSING + " "), Counter())[spelling] += 1
        if len(spellings) > MOST_LABELS:
            return ()
    if len(pairs) < _REPEATS * len(spellings):
        return ()
    return tuple(sorted(max(sorted(c), key=c.__getitem__) for c in spellings.values()))


def with_labels(task: TaskSettings, pairs: Sequence[Pair]) -> TaskSettings:
    """``task`` with the labels that all pairs of a run have, so that each of its splits is measured
    by the same ones: a small split may lack some, or look like no closed set at all."""
    return task.model_copy(update={"labels": label_set(task, pairs)})


def label_in(text: str, labels: Sequence[str]) -> str | None:
    """The one of ``labels`` that ``text`` gives; None where it gives none, or more than one.

    Where a label is part of a longer one, the longer counts. Inside a word, a hyphenated word or
    a number (1 in 1.5) a label does not count, nor a single character of a script without spaces
    inside a longer text: nearly every sentence has it.
    """
    known = _known(tuple(labels))
    plain = _plain(text)
    return _exactly(plain, known) or _within(plain, known)


@lru_cache(maxsize=64)
def _known(labels: tuple[str, ...]) -> Mapping[str, str]:
    """Labels by their plain form, the longest first."""
    plain = {_plain(label): label for label in reversed(labels)}
    plain.pop("", None)
    return {form: plain[form] for form in sorted(plain, key=len, reverse=True)}


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _exactly(plain: str, known: Mapping[str, str]) -> str | None:
    """The label that all of ``plain`` is. Its own closing punctuation ("C#.") it keeps."""
    while plain not in known and plain.endswith(tuple(_CLOSING)):
        plain = plain[:-1].rstrip()
    return known.get(plain)


def _within(plain: str, known: Mapping[str, str]) -> str | None:
    """The only label that stands in ``plain`` as whole words.

    The longest are looked for first and what was found is cut out, so that no part of it counts.
    """
    found: str | None = None
    for form, label in known.items():
        if form not in plain or (len(form) == 1 and _is_unspaced(form)):
            continue
        rest = re.sub(re.escape(form), _cut_out, plain)
        if rest != plain and found is not None:
            return None
        found = label if rest != plain else found
        plain = rest
    return found


def _cut_out(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    before, after = text[max(0, start - 2) : start][::-1], text[end : end + 2]
    inside = _goes_on(match[0][0], before) or _goes_on(match[0][-1], after)
    signed = match[0][0].isdigit() and before[:1] in ("-", "+", "\u2212")
    return match[0] if inside or signed else _HOLE


def _goes_on(edge: str, beyond: str) -> bool:
    """Whether a word or number with ``edge`` at its end goes on in the characters ``beyond``."""
    if not beyond or not _in_word(edge):
        return False
    if beyond[0] in _HYPHENS or (beyond[0] in ".," and edge.isdigit()):
        return len(beyond) > 1 and (
            beyond[1].isdigit() if beyond[0] in ".," else _in_word(beyond[1])
        )
    return _in_word(beyond[0])


@lru_cache(maxsize=4096)
def _in_word(char: str) -> bool:
    """Whether neighbours of ``char`` are of the same word, in a script that has spaces."""
    return char == "_" or (unicodedata.category(char)[0] in "LMN" and not _is_unspaced(char))


def _is_unspaced(char: str) -> bool:
    """Whether ``char`` is of a script that puts no spaces between words."""
    return len(words(2 * char)) == 2
