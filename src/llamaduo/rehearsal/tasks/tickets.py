"""The built-in task: support-ticket triage. A message in, a category and a priority out.

A ticket is sender × opener × problem × number × context × urgency × sign-off, in varying order
and with light noise: more than 10⁹ combinations, of which :func:`tickets` draws distinct ones.
:func:`solve` is the other direction, a program that knows the phrases, so the rehearsal service
can answer and judge from the request alone.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any, Final

from llamaduo.rehearsal.tasks.ticket_phrases import (
    DISTRACTORS,
    MISSPELLINGS,
    OPENERS,
    PLAIN_CONTEXTS,
    PROBLEMS,
    SENDERS,
    SIGN_OFFS,
    URGENCIES,
)

SYSTEM: Final = "You triage support tickets. Answer with category and priority."
CATEGORIES: Final = tuple(PROBLEMS)
PRIORITIES: Final = tuple(URGENCIES)
LABELS: Final = tuple(f"{c}, {p}" for c in CATEGORIES for p in PRIORITIES)

DISTRACTED_SHARE: Final = 0.4
"""Share of contexts that name another category's things."""
URGENCY_FIRST_SHARE: Final = 0.25
LOWER_CASE_SHARE: Final = 0.15
UNPUNCTUATED_SHARE: Final = 0.15
MISSPELLED_SHARE: Final = 0.2

_FRAME = "Ticket from {sender}:\n{message}\n\nCategory and priority?"
_FRAME_PATTERN = re.compile(
    r"\s*Ticket from [^\n:]+:\n(.*?)\n\nCategory and priority\?\s*", re.DOTALL
)
_QUESTION_WORDS = frozenset({"any", "can", "could", "have", "how", "what", "will"})
_CORRECTIONS = {wrong: right for right, wrong in MISSPELLINGS.items()}
_CATEGORY_OF = {
    f"{beginning} {ending}".lower(): category
    for category, (beginnings, endings) in PROBLEMS.items()
    for beginning in beginnings
    for ending in endings
}
_PRIORITY_OF = {
    phrase.lower().replace(",", ""): priority
    for priority in ("high", "low")  # no cue is normal
    for phrase in URGENCIES[priority]
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket with its right answer."""

    sender: str
    message: str
    category: str
    priority: str

    @property
    def prompt(self) -> str:
        """The user message: the ticket in its fixed frame."""
        return _FRAME.format(sender=self.sender, message=self.message)

    @property
    def label(self) -> str:
        """The right response, as in ``billing, high``."""
        return f"{self.category}, {self.priority}"


def tickets(count: int, seed: int) -> list[dict[str, Any]]:
    """``count`` rows for a coverage file, in chat form, no message twice; same seed, same rows."""
    return [
        {
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": ticket.prompt},
                {"role": "assistant", "content": ticket.label},
            ],
            "reference_source": "human",
        }
        for ticket in draw(count, random.Random(seed))
    ]


def draw(count: int, chance: random.Random) -> list[Ticket]:
    """``count`` tickets with distinct messages."""
    drawn: dict[str, Ticket] = {}
    while len(drawn) < count:
        ticket = draw_one(chance)
        drawn.setdefault(ticket.message.lower(), ticket)
    return list(drawn.values())


def draw_one(
    chance: random.Random, *, category: str | None = None, priority: str | None = None
) -> Ticket:
    """One ticket; category and priority are drawn evenly where they are not given."""
    category = category or chance.choice(CATEGORIES)
    priority = priority or chance.choice(PRIORITIES)
    sentences = _sentences(category, priority, chance)
    message = _noisy(" ".join(_sentence(s) for s in sentences if s), chance)
    return Ticket(chance.choice(SENDERS), message, category, priority)


def _sentences(category: str, priority: str, chance: random.Random) -> list[str]:
    """Opener, problem with a number, and context, urgency or sign-off before or after it."""
    beginnings, endings = PROBLEMS[category]
    problem = f"{chance.choice(beginnings)} {chance.choice(endings)}"
    number = chance.randint(100, 999)
    opener, sign_off = chance.choice(OPENERS), chance.choice(SIGN_OFFS)
    urgency = chance.choice(URGENCIES[priority])
    if urgency and chance.random() < URGENCY_FIRST_SHARE:
        return [opener, urgency, f"#{number}: {problem}", sign_off]
    if urgency and chance.random() < 0.5:
        return [opener, f"{problem}, #{number}", urgency, sign_off]
    return [opener, f"{problem}, #{number}", _context(category, chance), urgency]


def _context(category: str, chance: random.Random) -> str:
    if chance.random() < DISTRACTED_SHARE:
        return chance.choice([text for text, other in DISTRACTORS.items() if other != category])
    return chance.choice(PLAIN_CONTEXTS)


def _sentence(phrase: str) -> str:
    end = "?" if phrase.split(maxsplit=1)[0] in _QUESTION_WORDS else "."
    return phrase[0].upper() + phrase[1:] + end


def _noisy(message: str, chance: random.Random) -> str:
    """Lower case, missing punctuation or one misspelling, each in its share of the tickets."""
    lower, bare, misspelled = (chance.random() for _ in range(3))
    if misspelled < MISSPELLED_SHARE:
        message = _misspelled(message, chance)
    if bare < UNPUNCTUATED_SHARE:
        message = re.sub(r"[.?]", "", message)
    return message.lower() if lower < LOWER_CASE_SHARE else message


def _misspelled(message: str, chance: random.Random) -> str:
    words = message.split(" ")
    candidates = [i for i, word in enumerate(words) if word in MISSPELLINGS]
    if candidates:
        place = chance.choice(candidates)
        words[place] = MISSPELLINGS[words[place]]
    return " ".join(words)


def message_in(prompt: str) -> str | None:
    """The ticket's message inside a user prompt, or None where the frame is another."""
    match = _FRAME_PATTERN.fullmatch(prompt)
    return match.group(1) if match else None


def solve(prompt: str) -> str | None:
    """The right label of a ticket, computed from its words; None when it is not a ticket.

    Takes the bare message as well as the whole prompt. The label is unknown when no problem
    of the phrase table occurs, or problems of two categories do.
    """
    text = _normalised(message_in(prompt) or prompt)
    categories = {category for phrase, category in _CATEGORY_OF.items() if phrase in text}
    priorities = {priority for phrase, priority in _PRIORITY_OF.items() if phrase in text}
    if len(categories) != 1 or len(priorities) > 1:
        return None
    return f"{categories.pop()}, {priorities.pop() if priorities else 'normal'}"


def _normalised(text: str) -> str:
    """Lower case, no punctuation or numbers, misspellings undone, one space between words."""
    words = re.findall(r"[a-z]+", text.lower())
    return " ".join(_CORRECTIONS.get(word, word) for word in words)
