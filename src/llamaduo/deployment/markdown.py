"""Text of others within a card: shown by Markdown as it is, never read as markup.

The report has the same needs (``reporting/formatting.py``); rooms do not import each other.
"""

from __future__ import annotations

import re

_CONTROL = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"}
_CONTROL[0x7F] = 0x2421
_DIRECTION = {code: f"⟨U+{code:04X}⟩" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_INVISIBLE = _CONTROL | _DIRECTION


def inline(text: str) -> str:
    """One line without markup, for a paragraph or a table cell.

    An address is broken up by an entity, because some renderers make links of bare ones.
    """
    line = " ".join(text.translate(_INVISIBLE).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_\[\]#|~!$])", r"\\\1", line)
    return re.sub(
        r"(?i)(://|www(?=\.))", lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", line
    )


def quoted(text: str) -> str:
    """A block of text, word for word, the fence longer than any run of backticks inside."""
    shown = text.replace("\r\n", "\n").translate(_INVISIBLE)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}"
