"""Scripts and languages: what is told, and what is left alone because it is not sure."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from llamaduo.curation import languages
from llamaduo.curation.languages import (
    SIBLINGS,
    Tongues,
    language_of,
    letters_outside,
    script_of,
    scripts_in,
)
from llamaduo.curation.norms import norms_of
from llamaduo.curation.rules import broken_rules
from llamaduo.curation.settings import CurationSettings
from llamaduo.errors import ExtraMissing
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import pair

ENGLISH = [
    "My parcel has not arrived yet, and I would like to know when it is going to be here.",
    "Could you please send last month's invoice to me again? The first one got lost.",
]
FOREIGN = {
    "de": "Ich habe meine Bestellung noch nicht erhalten und möchte wissen, wann sie kommt.",
    "nl": "Ik heb mijn bestelling nog niet ontvangen en wil graag weten wanneer die komt.",
    "es": "Todavía no he recibido mi pedido y me gustaría saber cuándo va a llegar.",
    "pl": "Nadal nie otrzymałem mojego zamówienia i chciałbym wiedzieć, kiedy dotrze.",
    "tr": "Siparişimi hâlâ almadım ve ne zaman geleceğini bilmek istiyorum.",
    "uk": "Я досі не отримав своє замовлення і хотів би знати, коли воно прибуде.",
    "ja": "まだ注文した商品が届いていません。いつ届くか教えていただけますか。",
    "hi": "मुझे अभी तक अपना ऑर्डर नहीं मिला है और मैं जानना चाहता हूँ कि वह कब आएगा।",
}
UNSURE = [
    "billing refund technical account cancellation",
    "Johnson Peters Müller Schmidt Kowalski Nguyen Rodriguez Tanaka",
    "plz hlp me w/ my acct asap thx bro cant log in",
    "chicken tikka masala, pad thai, sushi, tacos al pastor, croissants",
    "Lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod",
    "def add(a, b):\n    return a + b\n\nprint(add(1, 2))",
    "for (int i = 0; i < n; i++) { sum += values[i]; } return sum;",
    "SELECT id, name FROM customers WHERE country = 'NL' ORDER BY name;",
    "TICKET REOPENED PRIO HIGH SLA BREACH ESCALATE TIER",
    "Gracias!",
]


@pytest.fixture
def no_lingua(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lingua", None)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("invoice 12", "latin"),
        ("счёт 12", "cyrillic"),
        ("ＡＢＣ", "latin"),
        ("注文書", "han"),
        ("これは注文です", "kana"),
        ("한국어", "hangul"),
        ("OK, спасибо", "cyrillic"),
        ("", "none"),
        ("12 + 3 = 15 😀", "none"),
    ],
)
def test_a_text_is_in_the_script_of_most_of_its_letters(text: str, script: str) -> None:
    assert script_of(text) == script


def test_letters_outside_some_scripts_are_all_that_are_not_of_them() -> None:
    usual = frozenset({"LATIN", "HIRAGANA", "DEVANAGARI"})
    outside = letters_outside(usual)
    for char in map(chr, range(0x10000)):
        script = unicodedata.name(char, "").partition(" ")[0]
        strange = char.isalpha() and script not in usual and bool(script)
        assert (outside.search(char) is not None) == strange, hex(ord(char))
    assert outside.search("\U0001f600") is not None, "beyond U+FFFF one looks again"


def test_scripts_are_counted_by_letters() -> None:
    assert scripts_in("Ёлка, tree 1!") == {"CYRILLIC": 4, "LATIN": 4}
    assert scripts_in("12") == {}


def test_without_lingua_scripts_are_told(no_lingua: None) -> None:
    assert language_of([ENGLISH[0], FOREIGN["uk"], "7"]) == ["latin", "cyrillic", "none"]


def test_the_rule_needs_lingua_and_says_how_to_get_it(no_lingua: None) -> None:
    settings = CurationSettings(languages=True)
    with pytest.raises(ExtraMissing) as caught:
        norms_of([pair(ENGLISH[0], ENGLISH[1])], TaskSettings(), settings)
    assert caught.value.hint == "pip install 'llamaduo[languages]'"


class TestWithLingua:
    @pytest.fixture(autouse=True)
    def _lingua(self) -> None:
        pytest.importorskip("lingua")

    def test_languages_have_their_codes(self) -> None:
        assert language_of([*FOREIGN.values(), *ENGLISH]) == [*FOREIGN, "en", "en"]

    @pytest.mark.parametrize("field", ["instruction", "response"])
    def test_a_pair_in_another_language_is_dropped(self, field: str) -> None:
        made = [
            pair(*((text, ENGLISH[0]) if field == "instruction" else (ENGLISH[0], text)))
            for text in FOREIGN.values()
            if text not in (FOREIGN["uk"], FOREIGN["ja"], FOREIGN["hi"])
        ]
        train = [pair(*ENGLISH)]
        on = norms_of(train, TaskSettings(), CurationSettings(languages=True))
        reasons = [objection.reason for objection in broken_rules(made, on) if objection]
        start = f"the {field} is in a language that no train pair uses there"
        names = ("German", "Dutch", "Spanish", "Polish", "Turkish")
        assert reasons == [f"{start} ({name})" for name in names]
        off = norms_of(train, TaskSettings(), CurationSettings())
        assert broken_rules(made, off) == [None] * len(made)

    def test_what_a_train_pair_uses_is_no_drop(self) -> None:
        both = Tongues.of([*ENGLISH, FOREIGN["de"]])
        german = "Bitte schicken Sie uns die Rechnung vom letzten Monat an die neue Anschrift."
        assert both.foreign([german]) == [None]
        assert Tongues.of(ENGLISH).foreign([german]) == ["German"]

    def test_of_texts_that_are_not_surely_prose_nothing_is_said(self) -> None:
        assert Tongues.of(ENGLISH).foreign(UNSURE) == [None] * len(UNSURE)

    def test_code_and_addresses_do_not_hide_the_language(self) -> None:
        text = f"```sql\nSELECT name FROM customers\n```\n{FOREIGN['de']} https://shop.example/de"
        assert Tongues.of(ENGLISH).foreign([text]) == ["German"]

    def test_labels_have_no_language_to_differ_from(self) -> None:
        assert Tongues.of(["billing", "refund"]).foreign([FOREIGN["de"]]) == [None]

    def test_languages_that_are_taken_for_each_other_are_one(self) -> None:
        danish = Tongues.of(
            ["Jeg har stadig ikke modtaget min bestilling og vil gerne vide, hvornår den kommer."]
        )
        norwegian = "Jeg har fortsatt ikke mottatt bestillingen min og lurer på når den kommer hit."
        assert {"da", "nb", "nn"} <= danish.languages
        assert danish.foreign([norwegian]) == [None]

    def test_siblings_are_languages_that_lingua_knows(self) -> None:
        from lingua import Language

        known = {language.iso_code_639_1.name.lower() for language in Language.all()}
        assert {code for group in SIBLINGS for code in group} <= known

    def test_words_of_the_train_split_make_a_text_familiar(self) -> None:
        """Names, which lingua takes for Spanish, among words that the train split uses."""
        places = "Which of these are states: Oaxaca, Puebla, Jalisco, Durango, Colima, Tabasco?"
        seen = "Which of these are not states but towns: Bergen, Which, Lyon?"
        assert Tongues.of([*ENGLISH, seen]).foreign([places]) == [None]

    def test_batches_and_repeats_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        texts = [*FOREIGN.values(), *UNSURE, *FOREIGN.values()]
        whole = language_of(texts)
        monkeypatch.setattr(languages, "_BATCH", 3)
        assert language_of(texts) == whole
