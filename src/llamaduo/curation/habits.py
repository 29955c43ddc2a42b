"""Odd things that a text may do. They are faults unless the train split does them too.

The phrases of refusals are English; in other languages a refusal is caught where it leaves the
label set, the schema, the script or the language.

Most texts do none of it, so each looks for a few letters first, which is twenty times as fast
as its pattern. No pattern takes more than linear time: where a stretch may be long, it is read
once and not again from each place inside it that might be a beginning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from llamaduo.curation.loops import repeating

_MACHINE = (
    r"(?:ai\ (?:language\ )?model|ai\ assistant|ai(?=\s*[,;.!])|(?:large\ )?language\ model)\b"
)
_MACHINE_SPEAKS = re.compile(
    rf"\bas\ an?\ {_MACHINE} | \bI(?:\ am|['’]m)\ (?:just\ |only\ )?an?\ {_MACHINE}",
    re.IGNORECASE | re.VERBOSE,
)
_DECLINES = re.compile(
    r"""\W*
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
_DOTS = re.compile(r"[\s.…]+")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)[^\s.]++(\.\S)?", re.IGNORECASE)
_SECRET = re.compile(
    r"""
    \bsk-[\w-]{20} | \bAKIA[0-9A-Z]{16}\b | \bgh[pousr]_\w{30} | \bxox[abeprs]-[\w-]{10}
    | \bAIza[\w-]{35} | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    """,
    re.VERBOSE,
)
_TOKEN = re.compile(r"\beyJ[\w-]{10,}+(\.eyJ[\w-]{10})?")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def refuses(text: str) -> bool:
    """It declines in its first words, or speaks as an AI anywhere."""
    lower = text.lower()  # ı stays, which is an i to a pattern that ignores case
    hinted = " ai" in lower or "language model" in lower or " aı" in lower
    if hinted and _MACHINE_SPEAKS.search(text):
        return True
    return _DECLINES.match(text) is not None


def has_address(text: str) -> bool:
    if "://" not in text and "www." not in text.lower():
        return False
    return any(found[1] for found in _ADDRESS.finditer(text))


def has_secret(text: str) -> bool:
    if "J" in text and "eyJ" in text and any(found[1] for found in _TOKEN.finditer(text)):
        return True
    hinted = (
        ("-" in text and ("sk-" in text or "xox" in text or "-----BEGIN " in text))
        or ("_" in text and "gh" in text)
        or "AKIA" in text
        or "AIza" in text
    )
    return hinted and _SECRET.search(text) is not None


def leaves_code_open(text: str) -> bool:
    """A fence of backticks or tildes is opened and not closed (CommonMark's fences).

    Backticks with others later in the line open none: that is code within a line.
    """
    if "`" not in text and "~" not in text:
        return False
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark is None:
            continue
        if not fence:
            inline = mark[1][0] == "`" and "`" in mark[2]
            fence = "" if inline else mark[1]
        elif mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
    return bool(fence)


def _each(does: Callable[[str], bool]) -> Habit:
    return lambda texts: map(does, texts)


def _found(pattern: re.Pattern[str], hint: str) -> Habit:
    """Whether ``pattern`` is in a text. Where it is, ``hint`` is too."""
    return _each(lambda text: hint in text and pattern.search(text) is not None)


Habit = Callable[[Sequence[str]], Iterable[bool]]
"""Whether each of many texts does it."""

HABITS: Final[Mapping[str, Habit]] = {
    "refusal": _each(refuses),
    "[PLACEHOLDER]": _found(_BRACKETS, "["),
    "{{placeholder}}": _found(_BRACES, "{"),
    "$placeholder": _found(_DOLLAR, "$"),
    "<placeholder>": _found(_ANGLES, "<"),
    "...": _each(lambda text: _DOTS.fullmatch(text) is not None),
    "open code": _each(leaves_code_open),
    "loop": repeating,
    "address": _each(has_address),
    "secret": _each(has_secret),
}
"""By names; one that can stand in a reason is written as it looks."""

SYNTAX: Final = frozenset({"[PLACEHOLDER]", "{{placeholder}}", "$placeholder", "<placeholder>"})
"""Placeholders that are ordinary syntax in program text."""

PLACEHOLDERS: Final = (*sorted(SYNTAX), "...")
