"""Pieces of text: together they are the whole, and no piece shows what it should not."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from llamaduo.serving.text import StopStrings, TokenText
from tests.tiny_llama import tokenizer_of

VOCABULARY = 512


@cache
def byte_level() -> Any:
    """Each token is some bytes: a character may take several."""
    return tokenizer_of(256, specials=["<|0|>", "<|1|>", "<|2|>"])


@cache
def sentence_piece() -> Any:
    """Words begin with a mark; the decoder drops the space before the first of a text. What is
    in no word is spelt in bytes."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    byte_names = [f"<0x{byte:02X}>" for byte in range(256)]
    words = ["▁the", "▁sun", "▁", "s", "▁é", "\ufffd"]
    tokens = {token: i for i, token in enumerate([*byte_names, *words])}
    built = Tokenizer(models.BPE(vocab=tokens, merges=[], byte_fallback=True))
    built.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    untyped: Any = PreTrainedTokenizerFast
    return untyped(tokenizer_object=built)


def pieces_of(tokenizer: Any, ids: list[int]) -> list[str]:
    def decode(some: Any) -> str:
        return str(tokenizer.decode(some, clean_up_tokenization_spaces=False))

    text = TokenText(decode)
    return [*(text.push(token) for token in ids), text.rest()]


def decoded(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


@given(st.lists(st.integers(3, VOCABULARY - 200), max_size=30))
def test_pieces_of_any_tokens_make_their_text(ids: list[int]) -> None:
    assert "".join(pieces_of(byte_level(), ids)) == decoded(byte_level(), ids)


WORDS = st.integers(256, 261).map(lambda token: [token])
SPELT = st.characters(codec="utf-8").map(lambda character: list(character.encode()))


@given(st.lists(WORDS | SPELT, max_size=20))
@example([[256], [257], [0xC3, 0xA9], [0xC3, 0xBC], [256]])
def test_so_do_those_of_a_decoder_that_drops_spaces(spelt: list[list[int]]) -> None:
    ids = [token for tokens in spelt for token in tokens]
    assert "".join(pieces_of(sentence_piece(), ids)) == decoded(sentence_piece(), ids)


@given(st.text(st.characters(exclude_characters="\ufffd", codec="utf-8"), max_size=30))
def test_no_piece_of_a_real_text_has_half_a_character(text: str) -> None:
    ids = byte_level()(text)["input_ids"]
    pieces = pieces_of(byte_level(), ids)
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_text_comes_as_soon_as_it_can() -> None:
    ids = byte_level()("The parcel é")["input_ids"]
    pieces = pieces_of(byte_level(), ids)
    assert pieces[-1] == ""
    assert len([piece for piece in pieces if piece]) >= len(ids) - 1  # é takes two


# --- stop strings -------------------------------------------------------------------------

SHORT = st.text("ab", min_size=1, max_size=4)
SPLIT = st.lists(st.text("abc", max_size=5), max_size=12)


def letter_by_letter(text: str, stops: list[str]) -> tuple[str, bool]:
    """The text before the stop string that is complete first; the longer of two."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))], True
    return text, False


@given(SPLIT, st.lists(SHORT, max_size=4))
@example(["xa", "b", "c"], ["abd", "b"])
def test_the_text_ends_before_the_first_stop_string_however_it_is_cut(
    pieces: list[str], stops: list[str]
) -> None:
    expected, stopped = letter_by_letter("".join(pieces), stops)
    guard = StopStrings(stops)
    shown = ""
    for piece in pieces:
        shown += guard.push(piece)
        assert expected.startswith(shown)  # nothing that must not be seen
        if guard.stopped:
            break
    assert shown + guard.rest() == expected
    assert guard.stopped == stopped


def test_only_what_may_be_a_beginning_is_kept_back() -> None:
    guard = StopStrings(["\n\nUser:"])
    assert guard.push("Hello\n") == "Hello"
    assert guard.push("you") == "\nyou"
    assert guard.push(".\n\nUs") == "."
    assert guard.push("er: hi") == ""
    assert guard.stopped
    assert guard.rest() == ""
