"""The habits, quick as they are, against their plain definitions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from operator import eq

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llamaduo.curation.habits import HABITS
from llamaduo.curation.loops import quick_words
from llamaduo.tasks.words import words

MACHINE = r"(?:ai (?:language )?model|ai assistant|ai(?=\s*[,;.!])|(?:large )?language model)\b"
VERBS = (
    "assist|help|comply|fulfil+|provide|answer|respond|generate|create|write|complete"
    "|do (?:this|that)"
)
REFUSAL = (
    rf"\bas an? {MACHINE}|\bI(?: am|['’]m) (?:just |only )?an? {MACHINE}"
    r"|\A\W*(?:(?:I(?: am|['’]m) )?(?:\w+ )?sorry,? (?:but )?|unfortunately,? "
    r"|I apologi[sz]e,? (?:but )?)?I(?: can['’]?t| can ?not|(?: am|['’]m) (?:unable|not able) to"
    rf"| won['’]t| will not| must decline to) (?:\w+ )?(?:{VERBS})\b"
)
BRACKETS = (
    r"\[(?:[A-Z]{2,}(?:[ _-][A-Z]+)*|(?:your|insert|enter|name of|date of)\b[^\]\n]{0,40}"
    r"|(?:Your|Insert|Enter|Name|Date)\b[^\]\n]{0,40})\](?!\()"
)
DOLLAR = r"\$\{?(?:instruction|response|prompt|topic|input|output|question|answer|name|text)\b"
ANGLES = r"<(?:insert|your|name of|placeholder)\b[^>\n]{0,40}>"
KEYS = (
    r"\bsk-[\w-]{20,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}|\bxox[abeprs]-[\w-]{10,}"
    r"|\bAIza[\w-]{35}|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


def finds(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Callable[[str], bool]:
    return lambda text: re.search(pattern, text, flags) is not None


def leaves_code_open(text: str) -> bool:
    fence = ""
    for line in text.splitlines():
        mark = re.match(r" {0,3}(`{3,}|~{3,})(.*)", line)
        if mark is not None and not fence:
            fence = "" if re.match(r" *`+[^`]+`", line) else mark[1]
        elif mark is not None and mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
    return bool(fence)


def repeats_itself(text: str) -> bool:
    tokens = words(text)
    for period in range(1, 25):
        equal = bytes(map(eq, tokens, tokens[period:]))
        if b"\x01" * (max(16, 4 * period) - period) in equal:
            return True
    return finds(r"([^\W_]{1,8}?)\1{49}")(text)


PLAIN: dict[str, Callable[[str], bool]] = {
    "refusal": finds(REFUSAL, re.IGNORECASE),
    "[PLACEHOLDER]": finds(BRACKETS),
    "{{placeholder}}": finds(r"\{\{\s*[^\W\d][\w. ]*\}\}"),
    "$placeholder": finds(DOLLAR),
    "<placeholder>": finds(ANGLES, re.IGNORECASE),
    "...": finds(r"\A[\s.…]+\Z"),
    "open code": leaves_code_open,
    "loop": repeats_itself,
    "address": finds(r"\b(?:https?://|www\.)[^\s.]+\.\S", re.IGNORECASE),
    "secret": finds(KEYS),
}
PIECES = (
    "As an AI| an ai |as a large |language model|I'm |sorry, but |I can't |help|I am unable"
    " to |provide|aı |as an |[NAME]|[your x]|](|[AA BB_CC]|{{|}}| topic |$name|${input"
    "|<insert it>|<|...|…|.|\n|```|~~~|````|```py\n|http://|https://|www.|WWW.|a.b|eyJ|eyJabcdefghij|.eyJ"
    "|0123456789|-----BEGIN |PRIVATE KEY-----|sk-|AKIA|ABCDEFGH01234567|ghp_|xoxb-|AIza"
    "|abcdefghijklmnopqrst|-|_|  |a|b|x y |no |No, |no.|İ|ſorry|K|é|e\u0301|E\u0301|\u00ad"
    "|\u200b|\u200d|Σ|ΑΣ |ς|漢|字|仮名|ไทย|кот |Кот, |हिन्दी |ǰ |J\u030c |²|ﬁ|\u3000|\x1c|\x85"
    "|\ud800|😀|𝐀|𐐀|𐐨 |ᄀ|ᅡ|가|0"
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Texts of telling pieces, and often of the same few over and over."""
    pieces = draw(st.lists(st.sampled_from(PIECES.split("|")), max_size=12))
    again = draw(st.lists(st.sampled_from(PIECES.split("|")), max_size=4)) * draw(
        st.integers(0, 60)
    )
    return "".join([*pieces, *again, *draw(st.permutations(pieces))])


@pytest.mark.parametrize("habit", HABITS)
@given(some=st.lists(texts(), max_size=4))
@example(some=["a b " * 20, "", "İ" * 16, "ha" * 50, "ha" * 49 + "b"])
@example(some=["http://http://www.a.b", "eyJeyJabcdefghij.eyJabc.eyJabcdefghij"])
def test_a_habit_is_told_as_plainly_defined(habit: str, some: list[str]) -> None:
    assert list(map(bool, HABITS[habit](some))) == [PLAIN[habit](text) for text in some]


@given(texts())
def test_quick_words_are_as_many(text: str) -> None:
    assert len(quick_words(text)) == len(words(text))


def test_no_character_makes_more_than_four_letters() -> None:
    """What lets the rule for long responses not count the words of a short one."""
    made = (unicodedata.normalize("NFD", chr(code).lower()) for code in range(0x110000))
    assert max(map(len, made)) == 4
