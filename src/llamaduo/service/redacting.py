"""Personal data in what is about to be sent: replaced, or in strict mode a refusal.

Questions are redacted before their key in the ledger is made, so that the ledger itself holds
stand-ins.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from llamaduo.errors import QuestionRefused
from llamaduo.records import Question
from llamaduo.redaction.redactor import Redactor
from llamaduo.tasks.data_block import with_texts

FOUND_PERSONAL = "personal data in what was to be sent"
"""The reason of a question that strict mode refuses, but for what was found, in brackets."""


def redacted(question: Question, redactor: Redactor | None) -> Question:
    """``question`` as it may be sent: every message redacted.

    Raises:
        QuestionRefused: strict mode, and there was something to redact.
        RunError: the table of stand-ins cannot be written.
    """
    if redactor is None or redactor.mode == "off":
        return question
    if redactor.mode == "strict":
        _refuse_found(redactor, (m.content for m in question.messages), question.about)
    clean = tuple(
        replace(message, content=with_texts(message.content, redactor.redact))
        for message in question.messages
    )
    return replace(question, messages=clean)


def check_body(redactor: Redactor, body: bytes, pairs: tuple[str, ...]) -> None:
    """Look once more, at what an SDK made of a question: strict mode alone.

    Raises:
        QuestionRefused: there is personal data in it.
    """
    if redactor.mode == "strict":
        _refuse_found(redactor, _texts(body), pairs)


def _refuse_found(redactor: Redactor, texts: Iterable[str], pairs: tuple[str, ...]) -> None:
    """The error says kinds and pairs, never what was found."""
    found: Counter[str] = Counter()

    def look(text: str) -> str:
        found.update(redactor.found_in(text))
        return text

    for text in texts:
        with_texts(text, look)
    if found:
        raise _refused(found, pairs)


def _refused(found: Mapping[str, int], pairs: tuple[str, ...]) -> QuestionRefused:
    what = ", ".join(f"{number} × {kind}" for kind, number in sorted(found.items()))
    about = f" about {', '.join(pairs)}" if pairs else ""
    return QuestionRefused(
        f"A question{about} was not sent: {FOUND_PERSONAL} ({what}).",
        reason=f"{FOUND_PERSONAL} ({what})",
        hint="It was not in the coverage data, where stand-ins were put in: look at the task's"
        " guidance and the local model's answers, or set redaction.mode to on.",
    )


def _texts(body: bytes) -> Iterator[str]:
    """The texts in a request's body: in JSON and JSON Lines every name and value, whatever way
    they are escaped; of anything else each line."""
    whole = body.decode(errors="replace")
    try:
        yield from _strings(json.loads(whole))
    except (ValueError, RecursionError):
        for line in whole.split("\n"):
            yield from _of_line(line)


def _of_line(line: str) -> Iterator[str]:
    try:
        yield from _strings(json.loads(line))
    except (ValueError, RecursionError):
        yield line


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
