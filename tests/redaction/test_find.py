"""Personal data and secrets are found; orders, dates, prices and stand-ins are not."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.redaction.find import KINDS, Finding, count, find
from llamaduo.redaction.identifiers import luhn

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"

FOUND = [
    ("email", "Write to {} soon.", "bob.o'neil+shop@acme.co.uk"),
    ("email", "{}_", "ada@lovelace.org"),
    ("email", "write to...{}", "ada@lovelace.xn--p1ai"),
    ("email", "{}", "ada [at] lovelace [dot] org"),
    ("email", "?to={}&x=1", "ada%40lovelace.org"),
    ("email", "<{}>", "müller@bücher.de"),
    ("phone", "Dial {}.", "+49 30 901820"),
    ("phone", "{}", "+49 (0)30 901820-12"),
    ("phone", "{} is mine", "+442071234518"),
    ("phone", "({} works, too)", "+1 415-867-5309"),
    ("phone", "reach me: {}", "(415) 867-5309"),
    ("phone", "{}", "415-867-5309"),
    ("phone", "{}", "415.867.5309"),
    ("phone", "at {} or later", "1 415 867 5309"),
    ("phone", "Mobil {}", "0171 9876543"),
    ("phone", "{}", "030/1234567"),
    ("phone", "{}", "01 23 45 67 89"),
    ("phone", "{}", "020 7123 4518"),
    ("phone", "Dial {}", "0049 30 901820"),
    ("phone", "{}", "011 44 20 7123 4518"),
    ("phone", "{}", "+49 170 / 123 45 67"),
    ("phone", "{}", "0470/12.34.56"),
    ("phone", "{}", "06-12345678"),
    ("phone", "{}", "8 (916) 123-45-67"),
    ("phone", '{{"phone_number": "{}"}}', "4158675309"),
    ("phone", "my number is {}", "07911123456"),
    ("phone", "{}", "\uff0b\uff14\uff19 \uff13\uff10 \uff19\uff10\uff11\uff18\uff12\uff10"),
    ("phone", "\u202a{}\u202c", "+49\u202f30\u2011901820"),
    ("phone", "phone: {}", "9018200"),
    ("phone", "Please call me back on {}, thanks", "901 82 00"),
    ("card", "It is {}.", "4111 1111 1111 1111"),
    ("card", "{} 12/27 123", "4111 1111 1111 1111"),
    ("card", "12/27 {}", "4111.1111.1111.1111"),
    ("card", "{}", "4111\u00a01111\u00a01111\u00a01111"),
    ("card", "{}", "378282246310005"),
    ("card", "{} expires soon", "5500-0000-0000-0004"),
    ("iban", "pay to {} please", "DE89 3704 0044 0532 0130 00"),
    ("iban", "{}", "GB82WEST12345698765432"),
    ("iban", "{}", "de89 3704 0044 0532 0130 00"),
    ("iban", "{}", "DE89-3704-0044-0532-0130-00"),
    ("iban", "IBAN{}", "DE89370400440532013000"),
    ("iban", "{}", "DE89 3704 0044 0532\n0130 00"),
    ("iban", "{}", "DE 89  3704  0044  0532  0130  00"),
    ("iban", "{} BIC COBADEFF", "DE89370400440532013000"),
    ("ip", "login from {}.", "81.2.69.142"),
    ("ip", "{}-255", "81.2.69.142"),
    ("ip", "[{}]", "2001:4860:4860::8888"),
    ("secret", "key = '{}'", "sk-proj-Ab3dEf6hIj9lMn2pQr5tUv8x"),
    ("secret", "{}", "sk-ant-api03-Zx8Yw7Vu6Ts5Rq4Po3Nm2Lk1"),
    ("secret", "{}", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    ("secret", "{}", "AKIAIOSFODNN7ABCDEFG"),
    ("secret", "{}", "hf_AbCdEfGhIjKlMnOpQrStUvWx12345678"),
    ("secret", "jwt {}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"),
    ("secret", "Authorization: Bearer {}", "a1B2c3D4e5F6g7H8i9J0k1L2"),
    ("secret", "AccountKey={}", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq=="),
    ("secret", "{}", "1234567890:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw8"),
    ("secret", "https://hooks.slack.com/services/{}", "T00000001/B00000002/XyZxAbCdEfGh12345678"),
    ("secret", "api_key={}", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"),
    ("secret", "postgres://app:{}@db.acme.com/x", "h8Kd02kq"),
    (
        "secret",
        "see:\n{}\nthere",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    ),
    ("secret", "cut off: {}", "-----BEGIN PRIVATE KEY-----MIIE\nMIIEow\nMIIEow=="),
]


@pytest.mark.parametrize(("kind", "frame", "value"), FOUND)
def test_found_in_its_place_and_as_its_kind(kind: str, frame: str, value: str) -> None:
    text = frame.format(value)
    start = text.index(value)
    assert find(text) == (Finding(start, start + len(value), kind),)  # type: ignore[arg-type]


NOTHING = [
    # orders, references, numbers
    "order 4471-22983-77",
    "order number 0171 9876543",
    "tracking no. 415-867-5309",
    "1234567890123456",
    "10000000000",
    "ISBN 978-3-16-148410-0",
    "GET /v1/12345678901",
    "call 911",
    "phone order #12",
    "SELECT phone FROM customers",
    "100-200-3000",
    "order 0049301234567 and 00471122983",
    "no15 people came to the 1st of 3 meetings in room 12",
    "1234 5678 9012 3456 7890 1234",
    r"C:\new\test\reports\00-12-34.txt and \\d{4}-\\n",
    "100%20 of it; a%40b; R&#64;D",
    "+10000000000000 points",
    # dates, times, prices, quantities
    "2026-11-22 14:30",
    "22.11.2026 14:30",
    "phone number 2026-11-22",
    "1/2/2026 - 3/4/2026",
    "12:34:56",
    "2026-11-22T14:30:00Z",
    "1,204.50",
    "$1 204 567",
    "3.14159265358979",
    "0.12 0.34 0.56 0.78 0.91",
    # versions, local and documentation addresses
    "version 10.20.30.40",
    "v10.20.30.40",
    "section 1.2.3.4",
    "127.0.0.1, 192.168.1.17, 192.0.2.1, 2001:db8::1, fe80::1",
    "300.300.300.300",
    "00:1B:44:11:3A:B7",
    "std::vector<int>",
    # what is reserved for examples, and what fails its check digit
    "user@example.com, a@b.test, ada@mail.example",
    "@decorator, x @ y, a@b",
    "(415) 555-0123, +1 415 555 0123, 555-123-4567",
    "+44 20 7946 0018, 020 7946 0018, +49 30 23125 123, +33 1 99 00 12 34, +61 2 5550 1234",
    "+48 22 555 01 47, 4000 0012 3456 7899, GB33 XXXX 2016 1555 5555 55",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.EXAMPLEyP4J3jVmNHl0w5N",
    "-----BEGIN EXAMPLE RSA PRIVATE KEY-----\nMIIEow\n-----END EXAMPLE RSA PRIVATE KEY-----",
    "4111 1111 1111 1112",
    "DE00 3704 0044 0532 0130 00",
    # placeholders
    "sk-your-api-key-goes-here-1234",
    "sk-learn-tutorial-for-beginners-2024",
    "AKIAIOSFODNN7EXAMPLE",
    "task-Ab3dEf6hIj9lMn2pQr5tUv8x",
    "the bearer of bad news, today and tomorrow",
    "password=changeme, token: ${SECRET_TOKEN}",
    "postgres://user:password@localhost/db",
    "-----BEGIN PUBLIC KEY-----",
    "",
]


@pytest.mark.parametrize(("kind", "frame", "value"), FOUND)
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("times", [1, 2])
def test_found_within_escaped_json(
    kind: str, frame: str, value: str, ascii_only: bool, times: int
) -> None:
    """A line break before a number is a letter there: ``\\n+49 …``."""

    def escaped(text: str) -> str:
        for _ in range(times):
            text = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        return text

    before = escaped("Hi,\n")
    text = before + escaped(f"{frame.format(value)}\n\tBye")
    start = text.index(escaped(value), len(before))
    assert find(text) == (Finding(start, start + len(escaped(value)), kind),)  # type: ignore[arg-type]


def test_each_of_several_accounts_is_found() -> None:
    one, two = "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"
    text = f"{one} {two}\n{one}"
    assert [text[f.start : f.end] for f in find(text)] == [one, two, one]


@pytest.mark.parametrize("text", NOTHING)
def test_not_found(text: str) -> None:
    assert [(finding.kind, text[finding.start : finding.end]) for finding in find(text)] == []


def test_a_finding_does_not_hold_what_was_found() -> None:
    value = "ada@lovelace.org"
    (finding,) = find(f"mail {value}")
    assert {field.name for field in fields(finding)} == {"kind", "start", "end"}
    assert value not in repr(finding)


def test_several_are_counted_by_kind() -> None:
    texts = ["a@acme.org, b@acme.org, +49 30 901820", "c@acme.org", "nothing"]
    assert count(texts) == {"email": 3, "phone": 1}


def test_a_password_with_an_address_in_it_is_one_finding() -> None:
    text = "https://app:h8Kd02kq@mail.acme.com/"
    assert [finding.kind for finding in find(text)] == ["secret"]


# --- properties -----------------------------------------------------------------------------

_PIECES = st.one_of(
    st.sampled_from([value for _, _, value in FOUND]),
    st.sampled_from(NOTHING),
    st.text("0123456789 +-./():@abcAB", max_size=12),
    st.text(max_size=6),
)


@given(st.lists(_PIECES, max_size=8).map(" ".join))
def test_findings_are_in_order_and_apart(text: str) -> None:
    last = 0
    for finding in find(text):
        assert last <= finding.start < finding.end <= len(text)
        assert finding.kind in KINDS
        last = finding.end


@given(
    st.lists(st.sampled_from([(kind, value) for kind, _, value in FOUND if kind != "secret"])),
    st.sampled_from([" and then\n", ", or\n", ";\n\n"]),
)
def test_none_hides_another(values: list[tuple[str, str]], between: str) -> None:
    announced = ("9018200", "901 82 00", "4158675309", "07911123456")
    shape = [value for value in values if value[1] not in announced]
    text = between.join(value for _, value in shape)
    assert [finding.kind for finding in find(text)] == [kind for kind, _ in shape]


@given(st.integers(0, 10**15 - 1))
def test_luhn_finds_every_wrong_digit_and_one_right(number: int) -> None:
    digits = f"{number:015d}"
    assert sum(luhn(digits + check) for check in "0123456789") == 1


@given(st.integers(10**12, 10**13 - 1), st.integers(1, 9))
def test_an_iban_with_one_digit_changed_is_none(number: int, change: int) -> None:
    body = f"37040{number}"[:18]
    check = 98 - int(f"{body}131400") % 97
    good = f"DE{check:02d}{body}"
    bad = good[:10] + str((int(good[10]) + change) % 10) + good[11:]
    assert [finding.kind for finding in find(good)] == ["iban"]
    assert not any(finding.kind == "iban" for finding in find(bad))


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "1", "1 ", "1-", "+1 2", "(1", "a@", "a.", "AB12 ", "eyJa.", "0 1 ", "415-867-"),
        *("1.1.", "1:", "::", "sk-", "Bearer ", 'token="', "http://a:", "a://b:c", "call me ", "-"),
        *(
            "\\",
            "\\n",
            "\\u0041",
            "%40",
            "\u200b",
            "a [at] ",
            "a@b [dot] ",
            "00 1",
            "12 ab",
            "de12 ",
        ),
        *("4111 ", "IBANDE12", "basic ", "12345678:AA", "phone_: ", "é", "\uff11"),
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_a_million_characters_of_anything_end(piece: str) -> None:
    """Each takes about half a second; an expression that backtracks would not end today."""
    text = piece * (1_000_000 // len(piece))
    assert all(finding.end <= len(text) for finding in find(text))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not beside this checkout")
def test_real_data_has_next_to_none() -> None:
    """Human-written prompts for classification and coding, 450 conversations."""
    texts = [
        message["content"]
        for path in sorted(SHARED.glob("no_robots_*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
        for message in json.loads(line)["messages"]
    ]
    assert len(texts) >= 900
    assert 0 < sum(count(texts).values()) <= 5
