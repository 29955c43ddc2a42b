"""The code in a text: where it is, and in which language.

Code stands in fenced blocks, or between sentences, which is how people answer. The language is
the fence's, else it is told by signs that few texts in another language have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import dedent
from typing import Final

_MOSTLY = 0.75
"""The share of lines that look like code in a text that is all code."""
_MARKED = 0.06
"""The share of characters, at most, that prose has of those that code is full of."""
_SENTENCE = 5
"""Words from which on a line may be a sentence without ending like one."""
_HEAD = 20_000
"""Characters of a piece that its language is told by."""

_TAGS: Final[Mapping[str, str]] = {
    "bash": "bash", "sh": "bash", "shell": "bash", "zsh": "bash",
    "c": "c", "h": "c",
    "c++": "cpp", "cc": "cpp", "cpp": "cpp", "cxx": "cpp", "hpp": "cpp",
    "css": "css",
    "go": "go", "golang": "go",
    "htm": "html", "html": "html",
    "java": "java",
    "javascript": "javascript", "js": "javascript", "jsx": "javascript", "mjs": "javascript",
    "json": "json",
    "py": "python", "py3": "python", "python": "python", "python3": "python",
    "rs": "rust", "rust": "rust",
    "ts": "typescript", "typescript": "typescript",
    "tsx": "tsx",
}  # fmt: skip
"""Languages by the tags of code fences, in lower case."""

_SIGNS: Final = {
    language: re.compile("|".join(patterns), re.MULTILINE)
    for language, patterns in {
        "python": (
            r"^[ \t]*(?:async )?def \w+\(|^[ \t]*class \w+.*:$|^[ \t]*from [\w.]+ import ",
            r"^[ \t]*(?:if|elif|for|while|with|try|else|except)\b[^{};\n]*:[ \t]*(?:#.*)?$",
            r"^[ \t]*import \w[\w., ]*$|^[ \t]*print\(|^[ \t]*@\w[\w.]*(?:\(.*\))?$|^\w+ = .*[^;]$",
        ),
        "cpp": (
            r"^ *# *include <\w+>|\bstd::|\b(?:cout|cin) ?(?:<<|>>)|\busing namespace\b",
            r"^ *template ?<",
        ),
        "c": (r"^ *# *include *<\w+\.h>|\b(?:printf|scanf|malloc) ?\(|^ *int main ?\(",),
        "java": (r"\bpublic (?:static|class|interface|void)\b|\bSystem\.out\.|^import java",),
        "javascript": (
            r"\b(?:const|let|var) [\w{\[][^=\n]{0,200}=|=> ?[{(\w]|\bfunction\b ?\w* ?\(",
            r"console\.log\(|document\.|\bmodule\.exports\b|^import .* from ['\"]|^export \w+",
            r" [!=]== ",
        ),
        "typescript": (
            r"\b(?:const|let) \w+: \w+|^ *interface \w+ \{$|\): \w+(?:\[\])? (?:=>|\{)",
            r"^(?:export )?type \w+ =",
        ),
        "go": (r"^package \w+$|^func [\w(]|:= |\bfmt\.\w+\(",),
        "rust": (
            r"\bfn \w+[(<]|\blet mut\b|\bprintln!\(|&(?:str|self|mut)\b|^ *let \w+ = .*;$",
            r"^use \w+::|^ *impl\b",
        ),
        "bash": (r"^#!/(?:usr/)?bin/|^ *(?:fi|done|esac)$|\bthen$|^ *(?:sudo|echo|cd|apt-get) ",),
        "html": (r"<(?:!DOCTYPE html|html|head|body|div|table|form|ul|p|h1|button)\b[^<>]*>",),
        "css": (r"^ *[.#]?\w[^{};\n]*\{[ \t]*$(?=\s*[\w-]+ ?:[^;{}\n]+;)",),
        "other": (
            r"\busing System|\bnew \w+\[|\bConsole\.Write|^<\?php|\$\w+ = |^ *SELECT\b",
            r"^ *CREATE TABLE|^ *INSERT INTO|^ *Sub \w+\(|^ *Dim \w+|^ *end$|<- |\blibrary\(",
        ),
    }.items()
}
"""What a language looks like. C#, PHP, SQL, Visual Basic, Ruby, R are known as *other*."""
_SCRIPTS = ("javascript", "typescript", "tsx")
_ALIKE: Final = {"javascript": _SCRIPTS, "typescript": _SCRIPTS, "c": ("c", "cpp")}
"""Languages that are hard to tell apart."""
_CODE_LINE = re.compile(
    r"[{};]\s*$|^\s*[})\]]|\w\(|\w\s?[-+*/]?=|^\s*(?:#|//|/\*|\*|@\w|<[\w!/?]|\.\w)|^(?:\t|\s{2,})\S"
    r"|^\s*(?:def|class|if|elif|for|while|with|try|else|except|finally|case|async)\b.*:\s*$"
    r"|^\s*(?:import|from|return|pass|break|continue|end|use|package|using)\b[^.!?]*$"
)
_MARKUP = re.compile(r"[{}\[\]()<>=;_\\|&*^%$#@~+/]")
_BULLET = re.compile(r"(?:\d+[.)]|[-*•])\s+")
_QUOTED = re.compile(r"`[^`\n]*`")


@dataclass(frozen=True, slots=True)
class Piece:
    """Code, and the languages that it may be in: it parses if it does in one of them.

    ``sure`` says that it would parse if it were right: it is all code, and its language is named
    or plain to see.
    """

    languages: tuple[str, ...]
    code: str
    sure: bool


def pieces(text: str) -> Iterator[Piece]:
    """Every piece of code in ``text`` that may be in a language which we can read."""
    blocks = list(_fenced(text))
    for tag, code in blocks:
        languages, sure = ((_TAGS[tag],), True) if tag in _TAGS else _looks_like(code, tag)
        if languages and code.strip():
            yield Piece(languages, dedent(code), sure)
    if not blocks:
        yield from _between_sentences(text)


def _between_sentences(text: str) -> Iterator[Piece]:
    """The code of a text that has no fence, without the sentences before and after it."""
    lines = text.split("\n")
    code = [place for place, line in enumerate(lines) if line.strip() and not _is_sentence(line)]
    if not code:
        return
    lines = [line for line in lines[code[0] : code[-1] + 1] if line.strip()]
    whole = "\n".join(text.split("\n")[code[0] : code[-1] + 1])
    languages, sure = _looks_like(whole)
    if languages:
        all_code = len(code) == len(lines)
        alike = sum(bool(_CODE_LINE.search(line)) for line in lines) >= _MOSTLY * len(lines)
        yield Piece(languages, dedent(whole), sure and all_code and alike)


def _is_sentence(line: str) -> bool:
    """Whether ``line`` is prose: it begins like a sentence and has hardly a sign that code has."""
    plain = _QUOTED.sub("x", _BULLET.sub("", line.strip(), count=1))
    if not plain[:1].isalpha() or (plain[0].isascii() and not plain[0].isupper()):
        return False
    if len(_MARKUP.findall(plain)) > _MARKED * len(plain):
        return False
    return len(plain.split()) >= _SENTENCE or plain.endswith(tuple(".!?:。！？："))


_FENCE = re.compile(r"[ \t]*(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")


def _fenced(text: str) -> Iterator[tuple[str, str]]:
    """Tag and text of every fenced block. One that nothing closes goes on to the end."""
    opening: re.Match[str] | None = None
    inside: list[str] = []
    for line in text.split("\n"):
        fence = _FENCE.match(line)
        if opening is None:
            opening, inside = fence, []
        elif fence and not fence["info"].strip() and fence["mark"].startswith(opening["mark"]):
            yield _tag(opening["info"]), "\n".join(inside)
            opening = None
        else:
            inside.append(line)
    if opening is not None:
        yield _tag(opening["info"]), "\n".join(inside)


def _tag(info: str) -> str:
    words = re.split(r"[\s{},:]+", info.strip().lower().lstrip("{."))
    return words[0]


def _looks_like(code: str, tag: str = "") -> tuple[tuple[str, ...], bool]:
    """The languages that ``code`` may be in, and whether that is plain to see.

    None if ``tag`` names a language, because that is another then.
    """
    if tag:
        return (), False
    head = code[:_HEAD]
    counts = {language: len(sign.findall(head)) for language, sign in _SIGNS.items()}
    likeliest = max(counts, key=counts.__getitem__)
    most = counts.pop(likeliest)
    if not most:
        json = re.match(r'\s*[{\[]\s*["{\[]', head)
        return (("json",), True) if json else ((), False)
    if likeliest in _SCRIPTS and head.lstrip().startswith("<"):
        return (*_SCRIPTS, "html"), most > 1
    languages = () if likeliest == "other" else _ALIKE.get(likeliest, (likeliest,))
    others = max(n for language, n in counts.items() if language not in languages)
    return languages, most > 1 and most > others
