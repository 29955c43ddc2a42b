"""Coverage pairs with stand-ins: everywhere in them, the same everywhere, counted."""

from __future__ import annotations

from llamaduo.records import Message, Pair, Provenance, Redacted, pair_id
from llamaduo.redaction.book import Book
from llamaduo.redaction.find import count
from llamaduo.redaction.pairs import redact_pairs
from llamaduo.redaction.redactor import Redactor
from llamaduo.redaction.settings import Mode, RedactionSettings


def pair(prompt: str, response: str = "noted", **metadata: str) -> Pair:
    messages = (Message("system", "You help."), Message("user", prompt))
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source="human",
        provenance=Provenance(origin="coverage", source="data.jsonl:1"),
        json_schema={"description": "as in ada@lovelace.org"},
        metadata=metadata,
    )


PAIRS = (
    pair("Write to ada@lovelace.org", "Wrote to ada@lovelace.org", customer="ada@lovelace.org"),
    pair("Call +49 30 90182017", "ada@lovelace.org"),
    pair("Nothing here"),
)


def redactor(mode: Mode = "on") -> Redactor:
    return Redactor(RedactionSettings(mode=mode), Book(b"of the tests"))


def test_every_text_of_a_pair_has_the_same_stand_in() -> None:
    first, second, _ = redact_pairs(PAIRS, redactor()).pairs
    stand_in = first.metadata["customer"]
    assert stand_in.endswith(("@example.com", "@example.net", "@example.org"))
    assert first.instruction == f"Write to {stand_in}"
    assert first.response == f"Wrote to {stand_in}"
    assert second.response == stand_in
    assert first.json_schema == PAIRS[0].json_schema


def test_ids_are_of_what_is_written_and_untouched_pairs_keep_theirs() -> None:
    redacted = redact_pairs(PAIRS, redactor()).pairs
    assert [one.id for one in redacted] == [pair_id(one.messages, one.response) for one in redacted]
    assert redacted[0].id != PAIRS[0].id
    assert redacted[2] == PAIRS[2]


def test_found_and_pairs_are_counted_by_kind() -> None:
    redacted = redact_pairs(PAIRS, redactor())
    assert redacted.figures == (Redacted("email", 4, 2), Redacted("phone", 1, 1))
    texts = [text for one in redacted.pairs for text in (one.instruction, one.response)]
    assert count(texts) == {}


def test_strict_treats_the_coverage_data_like_on() -> None:
    assert redact_pairs(PAIRS, redactor("strict")) == redact_pairs(PAIRS, redactor())


def test_off_leaves_them_and_counts_nothing() -> None:
    redacted = redact_pairs(PAIRS, redactor("off"))
    assert redacted.pairs == PAIRS
    assert redacted.figures is None
