"""Support-ticket triage, the task of the quickstart: how answers are graded and gone wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from llamaduo.rehearsal.tasks.known import Exercise, Grade, KnownTask
from llamaduo.rehearsal.tasks.tickets import (
    CATEGORIES,
    LABELS,
    PRIORITIES,
    draw_one,
    message_in,
    solve,
    tickets,
)
from llamaduo.tasks.words import words


def _draw(chance: random.Random) -> Exercise:
    ticket = draw_one(chance)
    return Exercise(ticket.prompt, ticket.label)


def _is_ticket(prompt: str) -> bool:
    return message_in(prompt) is not None


def _is_label(response: str) -> bool:
    return response.strip() in LABELS


def _near_copy(prompt: str, chance: random.Random) -> str:
    """The same ticket with one more word: its label is right, but nothing is new."""
    message = message_in(prompt) or ""
    word = chance.choice(("Bye", "Regards", "Yours", "Cordially"))
    return prompt.replace(message, f"{message} {word}")


def _another_label(_: str, label: str, chance: random.Random) -> str:
    """A wrong label: the other category or the other priority, half of the time each."""
    category, priority = label.split(", ")
    if chance.random() < 0.5:
        return f"{chance.choice([c for c in CATEGORIES if c != category])}, {priority}"
    return f"{category}, {chance.choice([p for p in PRIORITIES if p != priority])}"


def _grade(_: str, response: str, label: str, chance: random.Random) -> Grade:
    """Both parts right 94 to 100, one 50 to 60, none 5 to 15, no label at all 0 to 5. Words
    beside the label cost two points each, down to 62 or 40; a wrong form of it three.
    """
    found = words(response)
    category, priority = label.split(", ")
    parts = [_named(found, CATEGORIES) == [category], _named(found, PRIORITIES) == [priority]]
    if not _named(found, CATEGORIES) and not _named(found, PRIORITIES):
        return Grade(chance.randint(0, 5), "it holds no category and no priority")
    clutter = 2 * max(0, len(found) - 2) + (0 if _is_label(response) else 3)
    noise = chance.randint(-3, 3)
    if all(parts):
        reason = "category and priority are right" + (", the form is not" if clutter else "")
        return Grade(max(62, 97 - clutter) + noise, reason)
    if any(parts):
        name = "category" if parts[0] else "priority"
        return Grade(max(40, 55 - clutter) + noise, f"only the {name} is right")
    return Grade(max(8, 10 - clutter) + noise, "neither category nor priority is right")


def _named(found: Sequence[str], names: Sequence[str]) -> list[str]:
    """The distinct names that occur, so that naming all of them is not being right."""
    return sorted(set(found) & set(names))


TRIAGE: Final = KnownTask(
    kind="classification",
    name="tickets",
    noun="ticket",
    rows=tickets,
    draw=_draw,
    is_prompt=_is_ticket,
    is_response=_is_label,
    solve=solve,
    spoil=_another_label,
    near_copy=_near_copy,
    placeholder=Exercise(
        "Ticket from [name]:\n[message]\n\nCategory and priority?", "[category], [priority]"
    ),
    grade=_grade,
)
