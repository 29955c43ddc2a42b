"""Odd things that a text may do. They are faults unless the train split does them too.

The phrases of refusals are English; in other languages a refusal is caught where it leaves the
label set, the schema or the script.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import eq
from typing import Final

from llamaduo.tasks.words import words

_MACHINE = (
    r"(?:ai\ (?:language\ )?model|ai\ assistant|ai(?=\s*[,;.!])|(?:large\ )?language\ model)\b"
)
_REFUSAL = re.compile(
    rf"""
    \bas\ an?\ {_MACHINE}
    | \bI(?:\ am|['’]m)\ (?:just\ |only\ )?an?\ {_MACHINE}
    | \A\W*
      (?:(?:I(?:\ am|['’]m)\ )?(?:\w+\ )?sorry,?\ (?:but\ )?
        |unfortunately,?\ |I\ apologi[sz]e,?\ (?:but\ )?)?
      I(?:\ can['’]?t|\ can\ ?not|(?:\ am|['’]m)\ (?:unable|not\ able)\ to|\ won['’]t
        |\ will\ not|\ must\ decline\ to)
      \ (?:\w+\ )?
      (?:assist|help|comply|fulfil+|provide|answer|respond|generate|create|write|complete
        |do\ (?:this|that))\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BRACKETS = re.compile(
    r"\[(?:[A-Z]{2,}(?:[ _-][A-Z]+)*|(?:your|insert|enter|name of|date of)\b[^\]\n]{0,40}"
    r"|(?:Your|Insert|Enter|Name|Date)\b[^\]\n]{0,40})\](?!\()"
)
_BRACES = re.compile(r"\{\{\s*[^\W\d][\w. ]*\}\}")
_DOLLAR = re.compile(
    r"\$\{?(?:instruction|response|prompt|topic|input|output|question|answer|name|text)\b"
)
_ANGLES = re.compile(r"<(?:insert|your|name of|placeholder)\b[^>\n]{0,40}>", re.IGNORECASE)
_DOTS = re.compile(r"\A[\s.…]+\Z")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)[^\s.]+\.\S", re.IGNORECASE)
_SECRET = re.compile(
    r"""
    \bsk-[\w-]{20,} | \bAKIA[0-9A-Z]{16}\b | \bgh[pousr]_\w{30,} | \bxox[abeprs]-[\w-]{10,}
    | \bAIza[\w-]{35} | \beyJ[\w-]{10,}\.eyJ[\w-]{10,} | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    """,
    re.VERBOSE,
)
_STUTTER = re.compile(r"([^\W_]{1,8}?)\1{49}")

_LOOP_TIMES = 4
_LOOP_WORDS = 16
_LONGEST_LOOP = 24


def repeats_itself(text: str) -> bool:
    """The same words at least four times in a row, sixteen words or more in all; or the same
    few letters fifty times. What is repeated may have up to 24 words."""
    tokens = words(text)
    return bool(_STUTTER.search(text)) or any(
        _repeats(tokens, period) for period in range(1, _LONGEST_LOOP + 1)
    )


def _repeats(tokens: list[str], period: int) -> bool:
    """A loop of ``period`` words: each word equals the one ``period`` before it, for long."""
    needed = max(_LOOP_WORDS, _LOOP_TIMES * period) - period
    equal = bytes(map(eq, tokens, tokens[period:]))
    return b"\x01" * needed in equal


def leaves_code_open(text: str) -> bool:
    """A fence of backticks or tildes is opened and not closed (CommonMark's fences)."""
    fence = ""
    for line in text.splitlines():
        mark = re.match(r" {0,3}(`{3,}|~{3,})(.*)", line)
        if mark is None:
            continue
        if not fence:
            fence = mark[1]
        elif mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
    return bool(fence)


def _found(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.search(text) is not None


HABITS: Final[Mapping[str, Callable[[str], bool]]] = {
    "refusal": _found(_REFUSAL),
    "[PLACEHOLDER]": _found(_BRACKETS),
    "{{placeholder}}": _found(_BRACES),
    "$placeholder": _found(_DOLLAR),
    "<placeholder>": _found(_ANGLES),
    "...": _found(_DOTS),
    "open code": leaves_code_open,
    "loop": repeats_itself,
    "address": _found(_ADDRESS),
    "secret": _found(_SECRET),
}
"""Name → whether a text does it. A name that can stand in a reason is written as it looks."""

SYNTAX: Final = frozenset({"[PLACEHOLDER]", "{{placeholder}}", "$placeholder", "<placeholder>"})
"""Placeholders that are ordinary syntax in program text."""

PLACEHOLDERS: Final = (*sorted(SYNTAX), "...")
