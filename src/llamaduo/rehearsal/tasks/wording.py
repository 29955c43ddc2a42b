"""How phrases are written down in the tasks' data, and how they become sentences."""

from __future__ import annotations


def phrases(text: str) -> tuple[str, ...]:
    """The phrases of ``text``, which semicolons separate."""
    return tuple(" ".join(phrase.split()) for phrase in text.split(";"))


def capital(phrase: str) -> str:
    """``phrase`` with a capital."""
    return phrase[0].upper() + phrase[1:]


def sentence(phrase: str) -> str:
    """``phrase`` with a capital and a full stop."""
    return f"{capital(phrase)}."
