"""Summarization of short notes: how summaries are graded and gone wrong."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import Final, Literal

from llamaduo.rehearsal.tasks.known import Exercise, Grade, KnownTask
from llamaduo.rehearsal.tasks.note_phrases import DAYS, THINGS, VERBS
from llamaduo.rehearsal.tasks.notes import (
    a_remark,
    another,
    draw_one,
    facts_in,
    facts_of,
    rows,
    solve,
    text_in,
)
from llamaduo.rehearsal.tasks.place_phrases import FIRST_NAMES, KINDS, LAST_NAMES, NAMES
from llamaduo.tasks.words import words

State = Literal["right", "partly right", "missing", "wrong"]

POINTS: Final[Mapping[State, int]] = {"right": 0, "partly right": 24, "missing": 32, "wrong": 42}
"""What each of the four facts costs; an invented statement weighs more than an omission."""
INVENTED: Final = 40
"""What a name or number costs that the note does not have."""
FURTHER: Final = 60
"""Of what the worst of these flaws costs, all counts; of the others, so many hundredths."""
BESIDE: Final = 3
"""How many hundredths of the points each word takes that carries meaning and is of no fact."""
TOO_LONG: Final = 5
"""The same for each word beyond half as many again as the right summary has."""
SENTENCE: Final = 10
"""The same for each sentence after the first."""
MOST_EXCESS: Final = 80
"""The most that these three take together."""
MISSPELT: Final = 0.85
"""How alike a name must be to one of the note to be that one, misspelt: the share of letters."""
BEST: Final = 97
LEAST: Final = 8

_OF_NO_WEIGHT: Final = frozenset(
    words("""a an the and at by for from he has have her here his in is note of on says she states
    summary that they this to was were who""")
)
"""Words that neither tell a fact nor anything else."""
_DENIALS: Final = frozenset(words("cannot didn false never no nobody none not nothing without"))
_CANONICAL: Final = {
    **{form: verb for verb, forms in VERBS.items() for form in forms},
    **{form: day.lower() for day, forms in DAYS.items() for form in forms},
    **{f"{one}s": one for one in (*THINGS, *KINDS)},
}
"""Other ways to write the same."""


def _lower(*groups: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for group in groups for name in group)


_NAMED: Final = {
    "who": _lower(FIRST_NAMES, LAST_NAMES),
    "did": _lower(VERBS, THINGS),
    "where": _lower(NAMES, KINDS),
    "when": _lower(DAYS),
}
"""Kind of fact → the words that can be part of one."""
_KNOWN: Final = frozenset(_CANONICAL).union(*_NAMED.values())
"""Words that are judged as facts already, whatever their form."""


def _spoil(prompt: str, right: str, chance: random.Random) -> str:
    """One or two facts are others."""
    facts = facts_of(right) or facts_in(prompt)
    if facts is None:
        return a_remark(chance)
    values = asdict(facts)
    for kind in chance.sample(sorted(values), chance.randint(1, 2)):
        values[kind] = another(kind, values[kind], chance)
    return type(facts)(**values).summary


def _near_copy(prompt: str, chance: random.Random) -> str:
    """The same note with one more remark: the summary is right, but nothing is new."""
    return prompt.replace("\n\nSummary:", f" {a_remark(chance)}\n\nSummary:", 1)


def _grade(prompt: str, response: str, expected: str, chance: random.Random) -> Grade:
    """Agreement in meaning: 94 to 100 where all facts are right, in any order and spelling, with
    nothing beside them; 62 to 68 where one is missing, 43 to 49 where two are. What else there is
    to a flaw is said above. No fact right 5 to 11, nothing said at all 0 to 5.
    """
    found = _content(response)
    if not found:
        return Grade(chance.randint(0, 5), "it says nothing")
    noise = chance.randint(-3, 3)
    states = _states(found, expected)
    if all(state in ("missing", "wrong") for state in states.values()):
        return Grade(LEAST + noise, "it tells none of the facts")
    invented = INVENTED * bool(_foreign(response, prompt, expected))
    worst, *others = sorted([invented, *(POINTS[state] for state in states.values())], reverse=True)
    points = BEST - worst - FURTHER * sum(others) // 100
    excess = min(MOST_EXCESS, _excess(response, expected))
    score = max(LEAST, points * (100 - excess) // 100)
    return Grade(score + noise, _reason(states, invented, excess))


def _states(found: Sequence[str], expected: str) -> dict[str, State]:
    """How each kind of fact stands in a response. No note denies anything, so what a response
    denies was done all the same."""
    right = set(_content(expected))
    states = {
        kind: _state(right & named, set(found) & named, right) for kind, named in _NAMED.items()
    }
    return states if _DENIALS.isdisjoint(found) else {**states, "did": "wrong"}


def _state(right: set[str], found: set[str], expected: set[str]) -> State:
    """A fact beside another of its kind is wrong, so that naming all of them is not being right."""
    if found - expected:
        return "wrong"
    if not found & right:
        return "missing"
    return "right" if right <= found else "partly right"


def _foreign(response: str, prompt: str, expected: str) -> list[str]:
    """Names and numbers that neither the note nor the right summary has. A word with a capital is
    a name where no sentence begins with it; one that is misspelt or cut off is none of its own.
    """
    names = _lower(re.findall(r"(?<=[\w,;] )[A-Z]\w+|\d+", response))
    told = {*words(text_in(prompt) or prompt), *words(expected)}
    return [
        name
        for name in sorted(names - told - _KNOWN - _OF_NO_WEIGHT)
        if not any(word.startswith(name) for word in told)
        and not get_close_matches(name, told, 1, MISSPELT)
    ]


def _excess(response: str, expected: str) -> int:
    """What not being one short sentence of the facts takes, as a copy of the note is none."""
    beside = (Counter(_content(response)) - Counter(_content(expected))).total()
    too_long = max(0, len(words(response)) - len(words(expected)) * 3 // 2)
    more = [part for part in re.split(r"[.!?]\s|\n", response) if part.strip()][1:]
    return BESIDE * beside + TOO_LONG * too_long + SENTENCE * len(more)


def _reason(states: Mapping[str, State], invented: int, excess: int) -> str:
    told = [f"{kind} is {state}" for kind, state in states.items() if state != "right"]
    told += ["it names what the note does not"] if invented else []
    reason = ", ".join(told) or "the facts are right"
    return reason + (", with words beside the facts" if excess else "")


def _content(text: str) -> list[str]:
    """The words of ``text`` that carry meaning, however they are written."""
    spelled = (_CANONICAL.get(word, word) for word in words(text))
    return [word for word in spelled if word not in _OF_NO_WEIGHT and len(word) > 1]


SUMMARIZATION: Final = KnownTask(
    kind="summarization",
    name="notes",
    noun="note",
    rows=rows,
    draw=draw_one,
    is_prompt=lambda prompt: facts_in(prompt) is not None,
    is_response=lambda response: facts_of(response) is not None,
    solve=solve,
    spoil=_spoil,
    near_copy=_near_copy,
    placeholder=Exercise(
        "Note:\n[note]\n\nSummary:", "[name] [did what] at the [place] on [weekday]."
    ),
    grade=_grade,
)
