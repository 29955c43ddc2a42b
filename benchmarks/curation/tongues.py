"""Made-up languages for the corpus: words in several scripts, as frequent as words are.

Every vocabulary is made from syllables with a seed of its own, so it is the same on every machine.
The most frequent words of the first are the function words of English, in their order; how often
a word comes follows Zipf and Mandelbrot, p ∝ (rank + 2.7) ** -1.05, which gives "the" 6 %. Each
text has a topic, from whose words a third of its rarer words is taken.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOPICS, TOPIC_WORDS = 500, 200
TOPICAL = 0.33
SENTENCE = 12
"""Words, on average."""

ENGLISH = """the of and to a in is that for it you as with on are be this by i or not have from
at but what all were when we there can an your which their if do will each about how up out them
then she many some so these would other into has more her two like him see time could no make than
first been its who now people my made over did down only way find use may long little very after
words just where most know get through back much go good new write our me man too any day same
right look think also around another came come work three must because does part even place well
such here take why help put different away again off went old number great tell men say small
every found still between name should home big give air line set own under read last never us
left end along while might next sound below saw something thought both few those always show
large often together asked house world going want school important until form food keep children
feet land side without boy once animal life enough took four head above kind began almost live
page got earth need far hand high year mother light country father let night picture being study
second soon story since white ever paper hard near sentence better best across during today
however sure knew it's try told young sun thing whole hear example heard several change answer
room sea against top turned learn point city play toward five himself usually money seen"""
GERMAN = """der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch
es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum
war haben nur oder aber vor zur bis mehr durch man sein wurde
sei können müssen schön größer"""

Shape = tuple[Sequence[str], ...]
"""A syllable is one of each part."""


def _shape(*parts: str) -> Shape:
    """Parts as strings: their pieces between spaces, - for none at all."""
    return tuple([piece.replace("-", "") for piece in part.split()] for part in parts)


_ONSETS = "b c d f g h j k l m n p r s t v w b c d f g h l m n p r s t br dr pl pr sh st th tr ch"
_VOWELS = "a e i o u a e i o u a e i o ai ea ee oo ou"
_CODAS = "- - - - - n r s t l m d ng nd st"
_LATIN = _shape(_ONSETS, _VOWELS, _CODAS)
_UMLAUTS = _shape(_ONSETS, "a e i o u ä ö ü au ei", f"{_CODAS} ß ch")
_CYRILLIC = _shape(" ".join("бвгджзклмнпрстфхцчш"), " ".join("аеиоуыэюя"), "- - н т ль й")
_ARABIC = _shape(" ".join("بتثجحخدذرزسشصضطعغفقكلمنهوي"), "- - ا و ي", "- - ة ن")
_HAN = (list("日本語学校先生電車時間新聞天気世界国家人口食事水道山川花鳥風月東西南北中心会社"),)
_KANA = (
    list("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろ"),
)
_THAI = _shape(" ".join("กขคงจชซญดตถทนบปผพฟมยรลวสหอ"), "า ิ ี ุ ู ำ ะ", "- น ก ม")


@dataclass(frozen=True, slots=True, eq=False)
class Tongue:
    """A language: its words by falling frequency, and ways to write a text of them.

    ``glue`` stands between words. ``cumulative`` is the distribution of the words, ``topical``
    has a row of word numbers for each topic.
    """

    name: str
    glue: str
    plain: NDArray[Any]
    capital: NDArray[Any]
    stopped: NDArray[Any]
    cumulative: NDArray[np.float64]
    topical: NDArray[np.int64]
    common: int

    def texts(
        self, sizes: NDArray[np.int64], topics: NDArray[np.int64], rng: np.random.Generator
    ) -> list[list[str]]:
        """Texts of that many words each, as lists of written words."""
        numbers = self._draw(np.repeat(topics, sizes), rng)
        ends = np.cumsum(sizes)
        stops = rng.random(len(numbers)) < 1 / SENTENCE
        stops[ends - 1] = True
        firsts = np.roll(stops, 1)
        written = self.plain[numbers]
        written[stops] = self.stopped[numbers[stops]]
        written[firsts] = self.capital[numbers[firsts]]
        flat: list[str] = written.tolist()
        places = zip(sizes.tolist(), ends.tolist(), strict=True)
        return [flat[end - size : end] for size, end in places]

    def word(self, draw: float) -> str:
        """The word at that place, 0 to 1, of the distribution."""
        return str(self.plain[np.searchsorted(self.cumulative, draw)])

    def _draw(self, topics: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        numbers = np.searchsorted(self.cumulative, rng.random(len(topics)))
        topical = (numbers >= self.common) & (rng.random(len(topics)) < TOPICAL)
        # A topic has its own frequent words: squaring favours those in front.
        places = (TOPIC_WORDS * rng.random(int(topical.sum())) ** 2).astype(np.int64)
        numbers[topical] = self.topical[topics[topical], places]
        return numbers


def tongues() -> tuple[Tongue, ...]:
    """All languages; the first is that of nine texts in ten."""
    return (
        _tongue("english", 60_000, ENGLISH.split(), (_LATIN,)),
        _tongue("german", 4_000, GERMAN.split(), (_UMLAUTS,)),
        _tongue("russian", 4_500, (), (_CYRILLIC,)),
        _tongue("arabic", 3_000, (), (_ARABIC,), stop="."),
        _tongue("japanese", 2_000, (), (_KANA, _HAN, _HAN + _HAN, _HAN + _KANA), "", "。"),
        _tongue("thai", 2_000, (), (_THAI, _THAI + _THAI), "", " "),
    )


def _tongue(
    name: str,
    count: int,
    common: Sequence[str],
    shapes: Sequence[Shape],
    glue: str = " ",
    stop: str = ".",
) -> Tongue:
    chance = random.Random(name)
    words = dict.fromkeys(common)
    while len(words) < count:  # the rarer, the longer, as words are
        syllables = 1 + (glue != "" and chance.random() < 0.75) + (len(words) > 8_000)
        parts = (part for _ in range(syllables) for part in chance.choice(shapes))
        words[("".join(chance.choice(part) for part in parts))] = None
    found = list(words)[:count]
    weights = (np.arange(count) + 2.7) ** -1.05
    rng = np.random.default_rng(count)
    return Tongue(
        name,
        glue,
        plain=np.array(found, dtype=object),
        capital=np.array([word.capitalize() for word in found], dtype=object),
        stopped=np.array([word + stop for word in found], dtype=object),
        cumulative=np.cumsum(weights / weights.sum()) / (1 + 1e-12),
        topical=rng.integers(min(300, count // 10), count, (TOPICS, TOPIC_WORDS)),
        common=min(300, count // 10),
    )
