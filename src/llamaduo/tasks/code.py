"""Whether the code in a text parses. It is never run, nor compiled to what could be run.

Python is read by :mod:`ast`, JSON by :mod:`llamaduo.tasks.json_fields`, other languages by
tree-sitter, whose grammars come inside their wheels (``pip install 'llamaduo[code]'``). What
cannot be told is None: a language that is not known, a grammar that is not installed, prose with
code among it and no fence.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from llamaduo.tasks.code_pieces import Piece, pieces
from llamaduo.tasks.json_fields import NotJSON, parse_json

MOST_CHARACTERS: Final = 20_000
"""Of one piece of code. Grammars take seconds for garbage of this length, and minutes for more."""

_GRAMMARS: Final[Mapping[str, tuple[str, str]]] = {
    language: (f"tree_sitter_{language}", "language")
    for language in ("bash", "c", "cpp", "css", "go", "html", "java", "javascript", "rust")
} | {
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
}
"""The module of each grammar and the function in it that gives it out."""


def parses(response: str, reference: str = "") -> bool | None:
    """Whether all code in ``response`` parses; None where that cannot be told.

    Where it can be told of ``reference``, a response of which it cannot does not parse: it has no
    code, or none that can be told from prose or from a language nobody reads. Left out instead, it
    would let a target be met by the few that can be told.
    """
    told = _all_parse(pieces(response))
    if told is None and _all_parse(pieces(reference)) is not None:
        return False
    return told


def _all_parse(found: Iterable[Piece]) -> bool | None:
    told = [answer for piece in found if (answer := _parses(piece)) is not None]
    return all(told) if told else None


def lacking(text: str) -> frozenset[str]:
    """The languages of code in ``text`` that a grammar which is not installed would tell of."""
    languages = {language for piece in pieces(text) for language in piece.languages}
    return frozenset(one for one in languages & _GRAMMARS.keys() if _parser(one) is None)


def _parses(piece: Piece) -> bool | None:
    told = {_told(language, piece.code) for language in piece.languages}
    return True if True in told else False if told == {False} and piece.sure else None


@lru_cache(maxsize=4096)
def _told(language: str, code: str) -> bool | None:
    """Whether ``code`` parses; None where that cannot be told."""
    if len(code) > MOST_CHARACTERS:
        return None
    if language == "python":
        return _is_python(code)
    if language == "json":
        return _is_json(code)
    parser = _parser(language)
    if parser is None:
        return None
    return not parser.parse(code.encode("utf-8", "replace")).root_node.has_error


def _is_python(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the code's, such as "\d"
            ast.parse(code.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # also a NUL, half a surrogate pair, and what is nested too deep for Python
    return True


def _is_json(code: str) -> bool:
    try:
        parse_json(code)
    except NotJSON:
        return False
    return True


@lru_cache(maxsize=16)
def _parser(language: str) -> Any:
    """tree-sitter's parser of ``language``; None where it or the grammar is not installed."""
    module, function = _GRAMMARS[language]
    if find_spec("tree_sitter") is None or find_spec(module) is None:
        return None
    tree_sitter = import_module("tree_sitter")
    return tree_sitter.Parser(tree_sitter.Language(getattr(import_module(module), function)()))
