"""What the prompts of the coding task are made of: names, and the steps of small functions.

Phrases stand without capital and full stop; the generator dresses them. In a phrase ``{x}`` is
the parameter and ``{v}`` a constant. No phrase is as long as eight words, so two prompts hardly
ever share a run of that length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from llamaduo.rehearsal.tasks.wording import phrases

Kind = Literal["number", "text", "numbers", "words"]
"""What a function gets: one of these."""
ValueKind = Literal["", "factor", "amount", "bound", "length", "affix", "letter", "separator"]
"""What kind of constant a step has; most have one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its code, its constant, and what says it.

    In the code ``{e}`` is what was computed so far, and ``{v}`` the constant.
    """

    code: str
    value: ValueKind
    phrases: tuple[str, ...]


_NUMBER: Final = (
    (
        Step("{e} * {v}", "factor", phrases("multiply {x} by {v}; take {x} times {v}")),
        Step("{e} / {v}", "factor", phrases("divide {x} by {v}; split {x} by {v}")),
    ),
    (
        Step("{e} + {v}", "amount", phrases("add {v}; increase it by {v}")),
        Step("{e} - {v}", "amount", phrases("subtract {v}; reduce it by {v}")),
    ),
    (Step("min({e}, {v})", "bound", phrases("return at most {v}; cap it at {v}")),),
)
_TEXT: Final = (
    (
        Step("{e}.upper()", "", phrases("put {x} in capitals; turn {x} into upper case")),
        Step("{e}.lower()", "", phrases("put {x} in small letters; turn {x} into lower case")),
        Step("{e}.strip()", "", phrases("strip the spaces around {x}; trim {x}")),
        Step("{e}[:{v}]", "length", phrases("keep the first {v} characters; cut {x} after {v}")),
    ),
    (Step("{e} * {v}", "length", phrases("repeat it {v} times; say it {v} times")),),
    (Step('{e} + "{v}"', "affix", phrases('append "{v}"; add "{v}" at the end')),),
)
_NUMBERS: Final = (
    (
        Step(" if n > {v}", "bound", phrases("keep {x} above {v}; take only those over {v}")),
        Step(" if n < {v}", "bound", phrases("keep {x} below {v}; take only those under {v}")),
    ),
    (
        Step("n * {v}", "factor", phrases("multiply each by {v}; make each {v} times as large")),
        Step("n + {v}", "amount", phrases("add {v} to each; increase each by {v}")),
        Step("n - {v}", "amount", phrases("subtract {v} from each; reduce each by {v}")),
    ),
    (
        Step("sum({e})", "", phrases("return the sum; add them all up; return the total")),
        Step("sorted({e})", "", phrases("return them sorted; sort the result; sort them")),
        Step("[{e}]", "", phrases("return the list; give back a list; return a new list")),
    ),
)
_WORDS: Final = (
    (
        Step(
            " if len(w) > {v}",
            "length",
            phrases("keep {x} longer than {v} letters; take those with over {v} letters"),
        ),
        Step(
            ' if "{v}" in w',
            "letter",
            phrases('keep {x} that contain "{v}"; take those with "{v}"'),
        ),
    ),
    (
        Step("w.upper()", "", phrases("upper-case each; use capitals for each")),
        Step("w[:{v}]", "length", phrases("cut each to {v} letters; shorten each to {v} letters")),
        Step('w + "{v}"', "affix", phrases('put "{v}" after each; append "{v}" to each')),
    ),
    (
        Step(
            '"{v}".join({e})',
            "separator",
            phrases('join them with "{v}"; join all by "{v}"'),
        ),
        Step("sorted({e})", "", phrases("return them sorted; sort the result; sort them")),
        Step("[{e}]", "", phrases("return the list; give back a list; return a new list")),
    ),
)

STEPS: Final[Mapping[Kind, tuple[tuple[Step, ...], ...]]] = {
    "number": _NUMBER,
    "text": _TEXT,
    "numbers": _NUMBERS,
    "words": _WORDS,
}
"""The steps that a function may have, by what it gets: at most one of each group, in this order.

For lists the first group picks items, the second makes something of each, the third ends it."""

GIVEN: Final[Mapping[Kind, tuple[str, ...]]] = {
    "number": phrases("it gets a number; {x} is a number; given one number"),
    "text": phrases("it gets a text; {x} is a string; given one string"),
    "numbers": phrases("it gets a list of numbers; {x} are numbers; given several numbers"),
    "words": phrases("it gets a list of words; {x} are words; given several words"),
}

HEADS: Final = phrases("""write a function `{}`; write the Python function `{}`;
    please define `{}`; we need `{}` in Python; code `{}`; implement `{}`""")
PLACES: Final = phrases("""bakery; library; hotel; museum; school; garage; harbor; clinic; theater;
    bank; farm; zoo; airport; cinema; gym; brewery; market; studio; castle; office""")
JOINTS: Final = (". Then ", ". ", ", then ", " and ")
ASIDES: Final = phrases("""keep it short; thank you; this is for a test; nobody is in a hurry;
    be careful""")

VERBS: Final = phrases("""adjust; convert; prepare; check; update; process; review; build; refine;
    handle; compute; make; get; find; fix; form; settle; shape; treat; weigh; change; clean""")
NOUNS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "number": phrases("""price; weight; age; rent; height; speed; depth; salary; budget; rate;
        volume; bonus; fare; debt; stock; dose; load; width"""),
    "text": phrases("""name; city; title; label; color; street; code; slogan; country; brand;
        greeting; nickname; caption; heading; topic; motto; tag; sender"""),
    "numbers": phrases("""prices; marks; ages; points; counts; sizes; costs; fees; scores;
        lengths; sales; bids; votes; grades; taxes; wages; goals; hours"""),
    "words": phrases("""names; cities; titles; labels; colors; fruits; animals; tools; plants;
        rivers; brands; streets; songs; teams; dishes; towns; birds; flowers"""),
}

AFFIXES: Final = phrases("""new; old; top; my; pre; ok; red; blue; max; web; big; sub; out; end;
    hot; low; ex; dr""")
AFFIX_MARKS: Final = ("-", "_", ":", "!", ".", "/", "#", "*")
SEPARATORS: Final = ("-", "_", ":", "/", "+", ", ", " ", "; ", "|")
