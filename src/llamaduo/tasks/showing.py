"""Text of others, shown as it is: by a terminal, by a page, and by Markdown, which takes none of
it for markup."""

from __future__ import annotations

import re

_CONTROL = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"}
_CONTROL[0x7F] = 0x2421
_DIRECTION = {code: f"⟨U+{code:04X}⟩" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_C1 = {code: f"⟨U+{code:04X}⟩" for code in range(0x80, 0xA0)}
"""Controls too: U+009B begins an escape sequence in some terminals."""
_INVISIBLE = _CONTROL | _C1 | _DIRECTION


def visible(text: str) -> str:
    """Text with its control and direction characters shown, so that none can disguise it."""
    return text.replace("\r\n", "\n").translate(_INVISIBLE)


def markdown_inline(text: str) -> str:
    """Text that Markdown shows as it is, in a paragraph or in a table cell: one line, no markup.

    An address is broken up by an entity, because some renderers make links of bare ones.
    """
    line = " ".join(visible(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_\[\]#|~!$])", r"\\\1", line)
    return re.sub(
        r"(?i)(://|www(?=\.))", lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", line
    )


def markdown_block(text: str) -> str:
    """Text as a fenced block, the fence longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{visible(text)}\n{fence}"
