"""Text of others: shown, and never obeyed, by a terminal or by Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from llamaduo.tasks.showing import markdown_block, markdown_inline, visible


def test_control_and_direction_characters_are_shown() -> None:
    assert visible("a\x00b\x1b[0m\r\nc\td\u202egpj") == "a␀b␛[0m\nc\td⟨U+202E⟩gpj"
    assert visible("\x9b2J") == "⟨U+009B⟩2J"


@given(st.text())
def test_inline_text_is_one_markdown_paragraph_without_markup(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable(["table"]).parse("x " + markdown_inline(text))
    kinds = [token.type for token in tokens]
    inner = {child.type for token in tokens for child in token.children or ()}

    assert kinds == ["paragraph_open", "inline", "paragraph_close"]
    assert inner <= {"text", "text_special"}


@given(st.text(alphabet="`~ab\n "))
def test_a_block_ends_only_where_it_should(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(markdown_block(text) + "\n\nafter")

    assert [token.type for token in tokens] == [
        "fence",
        "paragraph_open",
        "inline",
        "paragraph_close",
    ]
    assert tokens[0].content == text + "\n"


@pytest.mark.parametrize("address", ["https://x.example/a_b", "WWW.x.example", "see ftp://x now"])
def test_an_address_becomes_no_link(address: str) -> None:
    page = MarkdownIt("gfm-like", {"linkify": False}).render(markdown_inline(address))
    assert page == f"<p>{address}</p>\n"
    assert "://" not in markdown_inline(address)
    assert "www." not in markdown_inline(address).lower()
