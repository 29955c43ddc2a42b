"""The service's work on the built-in task: new tickets, marks for an answer, an answer.

It is imperfect in known measure, as paid services are, so that curation and judging have
something real to do. Every choice comes from the ``chance`` that is handed in.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llamaduo.rehearsal.marks import Marks
from llamaduo.rehearsal.tickets import (
    CATEGORIES,
    LABELS,
    PRIORITIES,
    draw_one,
    message_in,
    solve,
)
from llamaduo.tasks.words import words

ERROR_RATE: Final = 0.08
"""Share of prompts that :func:`answer_ticket` gets wrong."""
NEAR_COPY_SHARE: Final = 0.05
"""Share of new pairs that are a seed with its last words changed."""
STRAY_LABEL_SHARE: Final = 0.02
"""Share of new pairs whose label is wrong."""
PLACEHOLDER_SHARE: Final = 0.01
"""Share of new pairs that were never filled in."""

_PLACEHOLDER = {
    "instruction": "Ticket from [name]:\n[message]\n\nCategory and priority?",
    "response": "[category], [priority]",
}


def is_ticket(instruction: str, label: str) -> bool:
    """Whether this is a pair of the built-in task."""
    return message_in(instruction) is not None and label.strip() in LABELS


def write_tickets(
    seeds: Sequence[Mapping[str, Any]], count: int, chance: random.Random
) -> list[dict[str, str]]:
    """``count`` new pairs over all labels, with the flaws documented above."""
    return [_new_pair(seeds, chance) for _ in range(count)]


def _new_pair(seeds: Sequence[Mapping[str, Any]], chance: random.Random) -> dict[str, str]:
    flaw = chance.random()
    if flaw < PLACEHOLDER_SHARE:
        return dict(_PLACEHOLDER)
    if flaw < PLACEHOLDER_SHARE + NEAR_COPY_SHARE:
        return _near_copy(chance.choice(seeds), chance)
    ticket = draw_one(chance)
    stray = flaw < PLACEHOLDER_SHARE + NEAR_COPY_SHARE + STRAY_LABEL_SHARE
    label = another_label(ticket.label, chance) if stray else ticket.label
    return {"instruction": ticket.prompt, "response": label}


def _near_copy(seed: Mapping[str, Any], chance: random.Random) -> dict[str, str]:
    """The seed from another sender and with one more word: right, but nothing new."""
    message = message_in(seed["instruction"]) or ""
    word = chance.choice(("Bye", "Regards", "Yours", "Cordially"))
    copy = seed["instruction"].replace(message, f"{message} {word}")
    return {"instruction": copy, "response": seed["response"]}


def another_label(label: str, chance: random.Random) -> str:
    """A wrong label: the other category or the other priority, half of the time each."""
    category, priority = label.split(", ")
    if chance.random() < 0.5:
        return f"{chance.choice([c for c in CATEGORIES if c != category])}, {priority}"
    return f"{category}, {chance.choice([p for p in PRIORITIES if p != priority])}"


def answer_ticket(prompt: str, chance: random.Random) -> str | None:
    """The label of a ticket, wrong in :data:`ERROR_RATE` of cases; None if it is no ticket."""
    label = solve(prompt) if message_in(prompt) is not None else None
    if label is None:
        return None
    return another_label(label, chance) if chance.random() < ERROR_RATE else label


def mark_ticket(data: Mapping[str, Any], chance: random.Random) -> Marks:
    """Marks for an answer: similarity against the reference, precision against the ticket.

    Precision rests on :func:`solve`, so a reference that is wrong does not mislead it.
    """
    response, reference = data["response"], data["reference"].strip()
    truth = solve(data["instruction"]) or reference
    similarity, like = _mark(response, reference, chance)
    precision, right = _mark(response, truth, chance)
    return Marks(
        similarity=similarity,
        similarity_reason=f"Against the reference: {like}.",
        precision=precision,
        precision_reason=f"Against the ticket itself: {right}.",
    )


def _mark(response: str, label: str, chance: random.Random) -> tuple[int, str]:
    """A score from 0 to 100 with its reason.

    Both parts right 94 to 100, one 50 to 60, none 5 to 15, no label at all 0 to 5. Words
    beside the label cost two points each, down to 62 or 40; a wrong form of it three.
    """
    found = words(response)
    category, priority = label.split(", ")
    parts = [_named(found, CATEGORIES) == [category], _named(found, PRIORITIES) == [priority]]
    if not _named(found, CATEGORIES) and not _named(found, PRIORITIES):
        return chance.randint(0, 5), "it holds no category and no priority"
    clutter = 2 * max(0, len(found) - 2) + (0 if response.strip() in LABELS else 3)
    noise = chance.randint(-3, 3)
    if all(parts):
        reason = "category and priority are right" + (", the form is not" if clutter else "")
        return max(62, 97 - clutter) + noise, reason
    if any(parts):
        name = "category" if parts[0] else "priority"
        return max(40, 55 - clutter) + noise, f"only the {name} is right"
    return max(8, 10 - clutter) + noise, "neither category nor priority is right"


def _named(found: Sequence[str], names: Sequence[str]) -> list[str]:
    """The distinct names that occur, so that naming all of them is not being right."""
    return sorted(set(found) & set(names))
