"""What is redacted holds nothing personal, keeps its look, and turns back into what it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llamaduo.redaction.book import Book
from llamaduo.redaction.find import find
from llamaduo.redaction.identifiers import luhn
from llamaduo.redaction.redactor import Redactor, open_redactor
from llamaduo.redaction.settings import RedactionSettings
from tests.redaction.test_find import FOUND, NOTHING

ON = RedactionSettings()
OWN = RedactionSettings(
    patterns={"customer": r"CUST-\d{4,8}", "name": r"(?:Mr|Mrs)\. [A-Z][a-z]{1,20}"}
)


def redactor(settings: RedactionSettings = ON) -> Redactor:
    return Redactor(settings, Book(b"a secret of the tests"))


@pytest.mark.parametrize(("kind", "frame", "value"), FOUND)
def test_every_kind_gets_a_stand_in_and_turns_back(kind: str, frame: str, value: str) -> None:
    redacting = redactor()
    text = frame.format(value)
    redacted = redacting.redact(text)
    assert value not in redacted
    assert find(redacted) == ()
    assert redacting.redact(redacted) == redacted
    assert redacting.restore(redacted) == text
    assert redacting.counts == {kind: 1}


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_nobodys_stays(text: str) -> None:
    assert redactor().redact(text) == text


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("bob@acme.co.uk", r"[a-z_]+\d+@example\.(com|net|org)"),
        ("Bob.Jones@acme.com", r"[A-Z][a-z]+\.[A-Z][a-z]+\d+@Example\.(Com|Net|Org)"),
        ("+1 415-867-5309", r"\+1 [2-9]\d\d-555-01\d\d"),
        ("(415) 867-5309", r"\([2-9]\d\d\) 555-01\d\d"),
        ("+49 30 90182017", r"\+49 \d\d \d{8}"),
        ("+48 22 123 45 67", r"\+48 \d\d 555 01 \d\d"),
        ("+442071234518", r"\+44(207946|161496|113496|163296|770090)0\d{3}"),
        ("01 23 45 67 89", r"0\d \d\d \d\d \d\d \d\d"),
        ("4111 1111 1111 1111", r"4000 00\d\d \d{4} \d{4}"),
        ("378282246310005", r"370000\d{9}"),
        ("DE89 3704 0044 0532 0130 00", r"DE\d\d 0000 \d{4} \d{4} \d{4} \d\d"),
        ("GB82WEST12345698765432", r"GB\d\dXXXX\d{14}"),
        ("de89 3704 0044 0532 0130 00", r"de\d\d 0000 \d{4} \d{4} \d{4} \d\d"),
        ("DE89-3704-0044-0532-0130-00", r"DE\d\d-0000-\d{4}-\d{4}-\d{4}-\d\d"),
        ("0049 30 90182017", r"0049 \d\d \d{8}"),
        ("+49\u202f30\u202f90182017", r"\+49\u202f\d\d\u202f\d{8}"),
        ("ada (at) lovelace (dot) org", r"[a-z_]+\d+@example\.(com|net|org)"),
        ("BE68 5390 0754 7034", r"BE\d\d 9999 \d{4} \d{4}"),
        ("81.2.69.142", r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d+"),
        ("2001:4860:4860::8888", r"2001:db8:[0-9a-f:]+"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", r"ghp_\w{29}EXAMPLE"),
        ("AKIAIOSFODNN7ABCDEFG", r"AKIA[A-Z0-9]{9}EXAMPLE"),
        ("password=9f8e7d6c5b4a39281706f5e4d3c2b1a0", r"password=[0-9a-z]{25}example"),
    ],
)
def test_a_stand_in_keeps_kind_and_format(value: str, shape: str) -> None:
    redacted = redactor().redact(value)
    assert re.fullmatch(shape, redacted), redacted


def test_check_digits_are_right() -> None:
    redacting = redactor()
    card = redacting.redact("4111 1111 1111 1111").replace(" ", "")
    assert luhn(card)
    iban = redacting.redact("DE89370400440532013000")
    assert int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def test_spellings_of_one_value_get_spellings_of_one_stand_in() -> None:
    redacting = redactor()
    spaced, plain = "DE89 3704 0044 0532 0130 00", "DE89370400440532013000"
    assert redacting.redact(spaced).replace(" ", "") == redacting.redact(plain)
    small, large = redacting.redact("bob@acme.com"), redacting.redact("BOB@ACME.COM")
    assert small.upper() == large
    assert redacting.restore(f"{small} {large}") == "bob@acme.com BOB@ACME.COM"
    hard = redacting.redact(spaced.replace(" ", "\u00a0"))
    assert hard == redacting.redact(spaced).replace(" ", "\u00a0")
    dashes, dots = redacting.redact("415-867-5309"), redacting.redact("415.867.5309")
    assert dashes.replace("-", ".") == dots


def test_equal_values_are_equal_everywhere_and_others_are_not() -> None:
    redacting = redactor()
    first = redacting.redact("from ada@lovelace.org")
    assert redacting.redact("to ada@lovelace.org") == first.replace("from", "to")
    many = [f"10{n:08d}" for n in range(300)]
    texts = [f"call +49 {number}" for number in many]
    assert len({redacting.redact(text) for text in texts}) == len(texts)


def test_where_a_range_is_used_up_there_is_more_room() -> None:
    """Only a hundred numbers of seven digits are kept for fiction."""
    redacting = redactor()
    texts = [f"phone: 90{n:05d}" for n in range(400)]
    redacted = [one.text for one in redacting.redact_all(texts)]
    assert len(set(redacted)) == len(texts)
    assert [find(text) for text in redacted] == [()] * len(texts)
    assert [redacting.restore(text) for text in redacted] == texts


def test_another_run_draws_others() -> None:
    text = "ada@lovelace.org"
    drawn = {Redactor(ON).redact(text) for _ in range(8)}
    assert len(drawn) == 8


def test_a_pattern_of_the_users_own_gets_what_it_would_find() -> None:
    redacting = redactor(OWN)
    text = "Mr. Smith is CUST-471100, not CUST-471101."
    redacted = redacting.redact(text)
    assert re.fullmatch(r"Mr\. [A-Z][a-z]{4} is CUST-\d{6}, not CUST-\d{6}\.", redacted)
    assert redacted != text
    assert redacting.redact(redacted) == redacted
    assert redacting.restore(redacted) == text
    assert redacting.counts == {"customer": 2, "name": 1}


def test_a_short_value_of_the_users_own_gets_a_longer_stand_in() -> None:
    """Two digits would stand in any text."""
    redacting = redactor(RedactionSettings(patterns={"room": r"(?<=room )\d\d"}))
    redacted = redacting.redact("room 14 of 14")
    assert re.fullmatch(r"room \d{6} of 14", redacted)
    assert redacting.restore(redacted) == "room 14 of 14"


def test_what_two_findings_share_becomes_one() -> None:
    redacting = redactor(RedactionSettings(patterns={"from": r"from \w{1,20}"}))
    text = "mail from bob@acme.org"
    redacted = redacting.redact(text)
    assert "bob" not in redacted
    assert "acme" not in redacted
    assert redacting.restore(redacted) == text
    assert redacting.redact(redacted) == redacted


def test_off_changes_nothing_and_keeps_no_table(tmp_path: Path) -> None:
    redacting = open_redactor(RedactionSettings(mode="off"), tmp_path / "redaction.jsonl")
    assert redacting.redact("ada@lovelace.org") == "ada@lovelace.org"
    assert redacting.found_in("ada@lovelace.org") == {}
    assert list(tmp_path.iterdir()) == []


def test_what_is_found_is_counted_and_not_shown() -> None:
    found = redactor(OWN).found_in("Mrs. Jones, ada@lovelace.org or bob@acme.org")
    assert found == {"name": 1, "email": 2}


def test_raw_texts_never_share_a_stand_in_with_what_another_holds() -> None:
    """Else the second text, turned back, would show the number in the first."""
    drawn = redactor().redact("call +1 415-867-5309")
    texts = ["call +1 415-867-5309", f"in the film they {drawn}"]
    redacting = redactor()
    first, second = (one.text for one in redacting.redact_raw(texts))
    assert second == texts[1]
    assert first != drawn
    assert [redacting.restore(text) for text in (first, second)] == texts
    assert redacting.counts == {"phone": 1}


# --- properties -----------------------------------------------------------------------------

_VALUES = st.sampled_from([value for _, _, value in FOUND])
_PIECES = st.one_of(
    _VALUES,
    st.sampled_from(NOTHING),
    st.sampled_from(["CUST-4711", "Mr. Smith", "call ", "token=", "http://a:", "@", "phone: "]),
    st.text("0123456789 +-./():@abcAB=_", max_size=12),
    st.text(max_size=6),
)
_TEXTS = st.builds(
    lambda between, pieces: between.join(pieces),
    st.sampled_from(["", " ", "\n", ", "]),
    st.lists(_PIECES, max_size=8),
)


@settings(max_examples=200, deadline=None)
@given(_TEXTS)
def test_nothing_is_left_and_everything_comes_back(text: str) -> None:
    for redacting in (redactor(), redactor(OWN)):
        redacted = redacting.redact(text)
        assert find(redacted) == ()
        assert redacting.found_in(redacted) == {}
        assert redacting.redact(redacted) == redacted
        assert redacting.restore(redacted) == text


@settings(max_examples=100, deadline=None)
@given(_TEXTS, st.booleans())
@example("DE89 3704 0044 0532\n0130 00", False)
def test_json_with_values_in_it_stays_json(text: str, ascii_only: bool) -> None:
    redacting = redactor()
    line = json.dumps({"text": text}, ensure_ascii=ascii_only)
    redacted = redacting.redact(line)
    assert find(redacted) == ()
    assert set(json.loads(redacted)) == {"text"}
    assert redacting.restore(redacted) == line


@settings(max_examples=100, deadline=None)
@given(_TEXTS, st.lists(st.integers(1, 9), min_size=1))
def test_a_stream_comes_back_wherever_it_is_cut(text: str, sizes: list[int]) -> None:
    redacting = redactor()
    redacted = redacting.redact(text)
    pieces, place, turn = [], 0, 0
    while place < len(redacted):
        size = sizes[turn % len(sizes)]
        pieces.append(redacted[place : place + size])
        place, turn = place + size, turn + 1
    assert "".join(redacting.restore_stream(pieces)) == text


@settings(max_examples=50, deadline=None)
@given(st.lists(_TEXTS, min_size=2, max_size=4))
def test_one_table_serves_many_texts(texts: list[str]) -> None:
    redacting = redactor()
    redacted = [one.text for one in redacting.redact_all(texts)]
    assert [find(text) for text in redacted] == [()] * len(texts)
    assert [redacting.redact(text) for text in redacted] == redacted


def test_a_stream_holds_back_only_what_may_be_a_stand_in() -> None:
    redacting = redactor()
    stand_in = redacting.redact("ada@lovelace.org")
    restoring = redacting.restoring()
    assert restoring.feed("Write to ") == "Write to "
    assert restoring.feed(stand_in[:5]) == ""
    assert restoring.feed(stand_in[5:]) == "ada@lovelace.org"
    assert restoring.feed(" or " + stand_in[:3]) == " or "
    assert restoring.feed("x") == stand_in[:3] + "x"
    assert restoring.end() == ""


def test_a_stand_in_that_a_text_holds_already_is_not_drawn_for_another() -> None:
    """Else turning back would change what was there before."""
    taken = redactor().redact("ada@lovelace.org")
    fresh = redactor()
    text = f"{taken} is not ada@lovelace.org"
    redacted = fresh.redact(text)
    assert redacted.startswith(f"{taken} is not ")
    assert redacted.count(taken) == 1
    assert fresh.restore(redacted) == text


@pytest.mark.parametrize(
    "piece",
    [
        "call 3782 822463 10005, ",  # a card, and its stand-in would be a number that is called
        "ada@lovelace.org ",
        "a@b.co,",
        "http://a:h8Kd02kq@b.c ",
        "-----BEGIN PRIVATE KEY-----",
        "Mr. Smith CUST-4711 ",
    ],
)
def test_a_long_text_full_of_values_ends(piece: str) -> None:
    """What compares every finding with every other would not end today."""
    redacting = redactor(OWN)
    text = piece * (200_000 // len(piece))
    redacted = redacting.redact(text)
    assert find(redacted) == ()
    assert redacting.restore(redacted) == text
