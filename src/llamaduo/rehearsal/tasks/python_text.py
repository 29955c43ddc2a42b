"""The Python functions in the text of a model: among prose, in fences, before a cut-off end.

They are read by :mod:`ast` and never run.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent
from typing import Final

MOST_CHARACTERS: Final = 8_000
"""Of a text, that are looked at."""

_FENCED: Final = re.compile(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_FENCE: Final = re.compile(r"^[ \t]*```.*$", re.MULTILINE)
_DEF: Final = re.compile(r"[ \t]*def\b")


@dataclass(frozen=True, slots=True)
class Written:
    """A function: its syntax tree, its lines, and the names that the code around it binds; what
    other functions of its own name bind is left out."""

    tree: ast.FunctionDef
    source: str
    around: frozenset[str]


def functions_in(text: str) -> list[Written]:
    """The functions that a text defines; of a text with code fences, in these."""
    head = text[:MOST_CHARACTERS]
    code = "\n".join(match[1] for match in _FENCED.finditer(head)) or head
    return list(_functions(code)) or [one for piece in _pieces(code) for one in _functions(piece)]


def words_beside(written: Written, text: str) -> int:
    """How many words of ``text`` are not in that function."""
    said = _FENCE.sub("", text[:MOST_CHARACTERS])
    return max(0, _words(said) - _words(written.source))


def _words(text: str) -> int:
    return len(re.findall(r"\w+", text))


def _functions(code: str) -> Iterator[Written]:
    tidy = dedent(code).strip()
    tree = _parsed(tidy)
    lines = tidy.split("\n")
    body = tree.body if tree else []
    bound = [(node, frozenset(_bound_by(node))) for node in body]
    for node in body:
        if isinstance(node, ast.FunctionDef):
            around = [names for other, names in bound if not _is_named(other, node.name)]
            source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            yield Written(node, source, frozenset().union(*around))


def _is_named(statement: ast.stmt, name: str) -> bool:
    return isinstance(statement, ast.FunctionDef) and statement.name == name


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement binds where it stands."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name


def _parsed(code: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the code's, such as "\d"
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # also a NUL, half a surrogate pair, and what is nested too deep for Python


def _pieces(code: str) -> list[str]:
    """Each ``def`` with the lines that are indented below it."""
    found: list[list[str]] = []
    depth: int | None = None
    for line in code.split("\n"):
        indent = len(line) - len(line.lstrip())
        if depth is None or (line.strip() and indent <= depth):
            depth = indent if _DEF.match(line) else None
            if depth is not None:
                found.append([])
        if depth is not None:
            found[-1].append(line)
    return ["\n".join(lines) for lines in found]
