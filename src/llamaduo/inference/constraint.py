"""Hold what a model writes to a JSON schema, token by token. llguidance says which may follow.

The model picks as it would without; only where its pick cannot go on to JSON of the schema is
another one picked, among those that can. So an answer that needs no help is, token for token, the
one without a schema, and the others come by the probabilities of the tokens that are allowed.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llamaduo.errors import ExtraMissing, ModelError

INSTALL: Final = "pip install 'llamaduo[schema]'"
_WHITE_SPACE: Final = {
    # White space is free in JSON, and small models then write line ends for ever: a line end and
    # an indent are enough for every usual layout.
    "whitespace_pattern": r"\n?[ \t]{0,16}",
    "whitespace_flexible": True,
    "coerce_one_of": True,
}


_MOST_COMPILED: Final = 64
"""Kept for the next answer: a server gets its schemas from clients, and may not grow with them."""


class Grammars:
    """The schemas of one model's answers, each compiled once while it is in use.

    Raises:
        ExtraMissing: llguidance is not installed.
        ModelError: it does not know such a tokenizer.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Sequence[int]) -> None:
        self._llguidance = _llguidance()
        self._ends = frozenset(ends)
        hf = importlib.import_module("llguidance.hf")
        size = max(vocabulary, len(tokenizer))
        try:
            self._tokenizer = hf.from_tokenizer(tokenizer, n_vocab=size, eos_token=list(ends))
        except ValueError as error:
            raise ModelError(
                "llguidance, which holds answers to a JSON schema, does not know the tokenizer of"
                f" {tokenizer.name_or_path}: {error}.",
                hint="Set inference.constrained: off, or choose another inference.engine.",
            ) from error
        self._compiled: dict[str, Any] = {}

    def shortfall(self, schema: Mapping[str, Any]) -> str | None:
        """Why ``schema`` cannot be held to; None if it can."""
        error: str = self._matcher(schema).get_error()
        return error.strip().partition("\n")[0] or None

    def start(self, schema: Mapping[str, Any]) -> Held:
        """The beginning of an answer that is held to ``schema``."""
        return Held(self._matcher(schema).deep_copy(), self._ends)

    def _matcher(self, schema: Mapping[str, Any]) -> Any:
        text = json.dumps(schema)
        if text not in self._compiled:
            if len(self._compiled) == _MOST_COMPILED:
                del self._compiled[next(iter(self._compiled))]
            matcher: Any = self._llguidance.LLMatcher
            grammar = matcher.grammar_from_json_schema(text, overrides=_WHITE_SPACE)
            self._compiled[text] = matcher(self._tokenizer, grammar, log_level=0)
        return self._compiled[text]


class Held:
    """One answer that is being written under a schema."""

    def __init__(self, matcher: Any, ends: frozenset[int]) -> None:
        self._matcher = matcher
        self._ends = ends
        self.untouched = True
        """Every token so far is the model's own pick."""

    def takes(self, token: int) -> bool:
        """Whether ``token`` may come next; it has come then. Anything may, where llguidance has
        given up, as on a schema that is too much work: the whole answer is checked later."""
        if token in self._ends:
            taken = self._matcher.is_accepting()
        else:
            taken = self._matcher.try_consume_tokens([token])
        return bool(taken) or bool(self._matcher.is_error())

    def allowed(self) -> bytes:
        """For every token, a byte that is not 0 where it may come next."""
        self.untouched = False
        return bytes(self._matcher.compute_logit_bias())

    def take(self, token: int) -> None:
        """``token``, one of those that :meth:`allowed` named, comes next."""
        if token not in self._ends:
            self._matcher.consume_token(token)


def _llguidance() -> Any:
    try:
        return importlib.import_module("llguidance")
    except ImportError as error:
        raise ExtraMissing(
            "Answers are held to a JSON schema by llguidance, which is not installed.",
            hint=f"{INSTALL}, or set inference.constrained: off.",
        ) from error
