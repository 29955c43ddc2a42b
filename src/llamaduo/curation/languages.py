"""Scripts and languages of texts.

A script is told by Unicode's names of letters. A language is told by lingua (``pip install
'llamaduo[languages]'``), and only where it is sure: it always has an answer, and for code, for
lists of names and for the slang of short messages that answer is any of seventy languages. So
what is not prose is left out first, and each half of a text must look like the whole does.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from llamaduo.errors import ExtraMissing
from llamaduo.tasks.words import words

if TYPE_CHECKING:
    from lingua import LanguageDetector

FEWEST_LETTERS = 20
FEWEST_WORDS = 5
SURE = 0.99
"""lingua's confidence from which on a text is in a language."""
LIKELY = 0.5
"""The same for a train text: the norms are read generously."""
FAMILIAR = 0.5
"""A text is in a language of the train split when this share of its words occurs there: few ask
lingua then, and names of people and places, which it takes for other languages, do no harm."""

NO_LETTERS = "none"

SIBLINGS: Final[tuple[frozenset[str], ...]] = tuple(
    map(frozenset, (("da", "nb", "nn"), ("id", "ms"), ("bs", "hr", "sr"), ("cs", "sk"),
                    ("af", "nl"), ("bg", "mk"), ("xh", "zu"), ("st", "tn"), ("hi", "mr")))
)  # fmt: skip
"""Languages that lingua takes for each other, by their ISO 639-1 codes."""

_MOST_CHARS = 1000
_MOST_SYMBOLS = 0.04
_SYMBOL = re.compile(r"[{}\[\]<>=;_\\/|+*&^%$#@~`\d]")
_NO_PROSE = re.compile(
    r"(?:```|~~~).*?(?:```|~~~|\Z) | `[^`\n]*` | \b(?:https?://|www\.)\S+ | \S+@\S+ | <[^<>\n]*>",
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
_BATCH = 1000
_SCRIPTS = {
    "cjk": "han",
    "fullwidth": "latin",
    "halfwidth": "kana",
    "hiragana": "kana",
    "ideographic": "han",
    "katakana": "kana",
    "katakana-hiragana": "kana",
}


def script_of(text: str) -> str:
    """The script that most letters of ``text`` belong to: latin, cyrillic, han, kana …"""
    names = Counter[str]()
    for script, count in scripts_in(text).items():
        names[_SCRIPTS.get(script.lower(), script.lower())] += count
    return max(names, key=lambda name: names[name], default=NO_LETTERS)


def language_of(texts: Sequence[str]) -> list[str]:
    """The ISO 639-1 code of each text's language; where that is not sure, its script.

    Without lingua, the scripts. It takes about a millisecond a text: a sample will often do.
    """
    codes = _told(texts) if _is_installed() else [None] * len(texts)
    return [code or script_of(text) for code, text in zip(codes, texts, strict=True)]


def scripts_in(text: str) -> Counter[str]:
    """How many letters of each script ``text`` has. Scripts are named as Unicode names them."""
    if text.isascii():
        latin = sum(map(str.isalpha, text))
        return Counter({"LATIN": latin} if latin else {})
    counts = Counter[str]()
    for letter, count in Counter(filter(str.isalpha, text)).items():
        if script := _script(letter):
            counts[script] += count
    return counts


@cache
def letters_outside(scripts: frozenset[str]) -> re.Pattern[str]:
    """A pattern that finds any letter of another script; beyond U+FFFF it finds everything."""
    others = "".join(spans for script, spans in _spans().items() if script not in scripts)
    return re.compile(f"[{others}\U00010000-{chr(sys.maxunicode)}]")


@dataclass(frozen=True, slots=True)
class Tongues:
    """What one field of the train split is written in: ``languages`` as ISO 639-1 codes, those
    that are taken for them included, and ``vocabulary``, its words."""

    languages: frozenset[str]
    vocabulary: frozenset[str]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Tongues:
        """What ``texts`` are written in.

        Raises:
            ExtraMissing: lingua is not installed.
        """
        tops = _tops([prose for text in texts if (prose := _prose(text))])
        used = {code for code, confidence in tops if confidence >= LIKELY}
        kin = (group for group in SIBLINGS if group & used)
        return cls(frozenset(used).union(*kin), frozenset().union(*map(words, texts)))

    def foreign(self, texts: Sequence[str]) -> list[str | None]:
        """For each text the English name of its language, if that is surely none of these.

        Where no train text is long enough to tell its language, none is foreign.
        """
        if not self.languages:
            return [None] * len(texts)
        asked = [i for i, text in enumerate(texts) if not self._is_familiar(text)]
        found: list[str | None] = [None] * len(texts)
        told = _told([texts[i] for i in asked], besides=self.languages)
        for i, code in zip(asked, told, strict=True):
            found[i] = None if code is None or code in self.languages else _name(code)
        return found

    def _is_familiar(self, text: str) -> bool:
        """Digits and single characters say nothing: Chinese and Japanese share many."""
        telling = [word for word in words(text) if len(word) > 1 and not word.isdigit()]
        known = sum(map(self.vocabulary.__contains__, telling))
        return known >= FAMILIAR * len(telling) > 0


def _told(texts: Sequence[str], besides: frozenset[str] = frozenset()) -> list[str | None]:
    """The language of each text where it is sure; those of ``besides`` need not be sure."""
    proses = [_prose(text) for text in texts]
    tops = dict(_answers(proses))
    doubted = [p for p, (code, sure) in tops.items() if sure >= SURE and code not in besides]
    halves = dict(_answers([half for prose in doubted for half in _halves(prose)]))
    confirmed = {p for p in doubted if all(_agree(tops[p], halves.get(h)) for h in _halves(p))}
    return [
        tops[p][0] if p in confirmed or (p in tops and tops[p][0] in besides) else None
        for p in proses
    ]


def _agree(whole: tuple[str, float], half: tuple[str, float] | None) -> bool:
    if half is None:
        return False
    pair = {whole[0], half[0]}
    return len(pair) == 1 or any(pair <= group for group in SIBLINGS)


def _answers(texts: Sequence[str]) -> Iterator[tuple[str, tuple[str, float]]]:
    """Each distinct text that is not blank with lingua's first answer."""
    distinct = [text for text in dict.fromkeys(texts) if text.strip()]
    return zip(distinct, _tops(distinct), strict=True)


def _tops(texts: Sequence[str]) -> list[tuple[str, float]]:
    """lingua's first answer to each text, with its confidence."""
    detector = _detector()
    tops: list[tuple[str, float]] = []
    for first in range(0, len(texts), _BATCH):
        batch = list(texts[first : first + _BATCH])
        answers = detector.compute_language_confidence_values_in_parallel(batch)
        tops += [(a[0].language.iso_code_639_1.name.lower(), a[0].value) for a in answers]
    return tops


def _prose(text: str) -> str:
    """``text`` without code, addresses and tags; empty if what is left is too short to tell."""
    plain = _NO_PROSE.sub(" ", text[:_MOST_CHARS])
    prose = "\n".join(line for line in plain.splitlines() if not _looks_like_code(line))
    enough = sum(map(str.isalpha, prose)) >= FEWEST_LETTERS and len(words(prose)) >= FEWEST_WORDS
    return prose if enough else ""


def _looks_like_code(line: str) -> bool:
    return len(_SYMBOL.findall(line)) > _MOST_SYMBOLS * len(line)


def _halves(text: str) -> tuple[str, str]:
    """``text`` in two, between two words unless it has no spaces."""
    middle = text.find(" ", len(text) // 2)
    middle = middle if 0 < middle < 0.75 * len(text) else len(text) // 2
    return text[:middle], text[middle:]


def _name(code: str) -> str:
    from lingua import IsoCode639_1, Language

    return Language.from_iso_code_639_1(IsoCode639_1.from_str(code)).name.title()


def _is_installed() -> bool:
    try:
        import lingua  # noqa: F401
    except ImportError:
        return False
    return True


def _detector() -> LanguageDetector:
    if not _is_installed():
        raise ExtraMissing(
            "curation.languages is on: telling languages needs lingua-language-detector.",
            hint="pip install 'llamaduo[languages]'",
        )
    return _built()


@cache
def _built() -> LanguageDetector:
    """All languages, by runs of three letters alone: 70 MiB, and not 900."""
    from lingua import LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_all_spoken_languages().with_low_accuracy_mode().build()


@cache
def _spans() -> Mapping[str, str]:
    """Script → its letters up to U+FFFF, as the inside of a character class."""
    spans: dict[str, str] = {}
    first, script = 0, ""
    for code in range(0x10001):
        letter = chr(code)
        here = unicodedata.name(letter, "").partition(" ")[0] if letter.isalpha() else ""
        if here != script:
            if script:
                spans[script] = f"{spans.get(script, '')}{chr(first)}-{chr(code - 1)}"
            first, script = code, here
    return spans


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
